package batchworkflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/saga"
)

// writers is how many children are written at once: more would only lengthen the API server's queue.
const writers = 8

// look is one look at one workflow: what its steps hand to each other.
type look struct {
	*Reconciler
	memory   *memory
	workflow *plan.Workflow // as the ledger knows it
	sights   plan.Sights
	print    uint64          // of the children that were seen
	strays   []client.Object // children that the ledger does not want
	ground   types.UID       // what children are anchored to; empty: they go with their workflow
	adrift   []client.Object // children that are not anchored as they shall be
	asked    plan.Requests
	plan     *v1alpha1.CheckpointPlan // that is to be on record
	next     *saga.Ledger
	news     time.Time // the first event since the look before; zero: there was none
	recorded bool      // this look wrote the ledger
	acted    bool      // this look did something about children
	wake     time.Time
	gone     string // what vanished that is not made again, in words
}

// compile checks the spec, once a generation.
func (l *look) compile(_ context.Context, w *v1alpha1.BatchWorkflow) error {
	if w.Status.Phase == "" {
		w.Status.Phase = v1alpha1.WorkflowPending
	}
	if l.memory.workflow != nil && l.memory.workflow.Generation() == w.Generation {
		return nil
	}
	compiled, err := plan.Compile(w, l.recipes)
	if err != nil {
		return err
	}
	l.memory.workflow = compiled
	return nil
}

// unsettling adds to each step that a failure of it takes back what was said of the run's end, where that is no longer true.
func (l *look) unsettling(steps ...reconcile.Step[*v1alpha1.BatchWorkflow]) []reconcile.Step[*v1alpha1.BatchWorkflow] {
	for i, step := range steps {
		steps[i] = func(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
			err := step(ctx, w)
			if err != nil && !apierrors.IsConflict(err) { // after a conflict nothing is told
				l.unsettle(w, fault.IsTerminal(err))
			}
			return err
		}
	}
	return steps
}

// unsettle takes back that a run succeeded, or is planned, when an edit or a loss made it untrue, and that one ended in any way when
// the next is under way. An end that may still be true stays: where the Checkpoint is lost, it tells how the run ended.
func (l *look) unsettle(w *v1alpha1.BatchWorkflow, untrue bool) {
	next := l.memory.ledger != nil && !l.memory.ledger.Phase.Terminal()
	over := w.Status.Phase == v1alpha1.WorkflowPlanned || reconcile.Condition(w, v1alpha1.SucceededCondition) != nil
	if !over || !next && !untrue {
		return
	}
	meta.RemoveStatusCondition(&w.Status.Conditions, v1alpha1.SucceededCondition)
	if next || w.Status.Phase == v1alpha1.WorkflowSucceeded || w.Status.Phase == v1alpha1.WorkflowPlanned {
		w.Status.Phase = v1alpha1.WorkflowPending
	}
}

// observe reads the children from the cache, and confirms by live reads what is said to be gone.
func (l *look) observe(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	kids, err := l.children.List(ctx, w)
	if err != nil {
		return err
	}
	l.sights, l.print = make(plan.Sights, kids.Len()), fingerprint(kids)
	places := l.workflow.Places(l.memory.ledger)
	for kid := range kids.All() {
		place := places.Of(kid.GetName())
		sight := plan.Look(kid)
		if place >= 0 && plan.Wants(l.workflow, l.memory.ledger, place) {
			l.sights[place] = sight
		} else if kid.GetDeletionTimestamp() == nil {
			l.strays = append(l.strays, kid)
			continue
		}
		if l.drifts(kid) {
			l.adrift = append(l.adrift, kid)
		}
	}
	l.recall()
	return l.confirm(ctx, w)
}

// recall adds what was refused at the last look: such a child will never be seen.
func (l *look) recall() {
	ledger := l.memory.ledger
	for i, sight := range l.memory.refused {
		of, under := i%max(ledger.N(), 1), saga.Running
		if i >= ledger.N() { // the Run that undoes a command
			under = saga.Undoing
		}
		if i >= 2*ledger.N() || ledger.Phases[of] != under || int32(ledger.Attempts[of]) != sight.Asked {
			delete(l.memory.refused, i)
			continue
		}
		if l.sights[i].Asked < sight.Asked { // not there, or not as it is wanted
			l.sights[i] = sight
		}
	}
}

// confirm asks the API server itself about children whose end, or switch, would be believed: the cache may not know of them yet.
func (l *look) confirm(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	gone, switched := plan.Confirm(l.workflow, l.memory.ledger, l.sights), plan.Recheck(l.workflow, l.memory.ledger, l.sights)
	for _, i := range gone {
		group.Go(func() error {
			kind, name := l.workflow.Child(l.memory.ledger, i)
			sight, err := l.lookLive(ctx, w, kind, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			l.sights[i] = sight
			return nil
		})
	}
	for _, i := range switched {
		group.Go(func() error {
			_, name := l.workflow.Child(l.memory.ledger, i)
			server, err := l.children.GetServer(ctx, w, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if l.sights[i] = (plan.Sight{Gone: true}); server != nil {
				l.sights[i] = plan.Look(server)
			}
			return nil
		})
	}
	return group.Wait()
}

// lookLive sees of a child what its metadata tell.
func (l *look) lookLive(ctx context.Context, w *v1alpha1.BatchWorkflow, kind, name string) (plan.Sight, error) {
	found, err := l.children.GetLive(ctx, w, kind, name)
	if err != nil || found == nil {
		return plan.Sight{Gone: err == nil}, err
	}
	return plan.LookAt(found), nil
}

// advance lets the engine decide.
func (l *look) advance(_ context.Context, w *v1alpha1.BatchWorkflow) (err error) {
	l.next, l.wake, err = plan.Advance(l.workflow, l.memory.ledger, l.sights, l.asked, l.kit.Now())
	return err
}

// act does what the newest ledger asks for. A child that can never be made counts as its attempt's failure at the next look.
func (l *look) act(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	if l.workflow.Replanned(l.memory.ledger) { // the plan was made anew: what was seen is looked at again by it
		return fault.Waiting(fault.ReasonInProgress, time.Millisecond, "the operations were edited: what is to be done is planned anew")
	}
	actions := plan.Act(l.workflow, l.memory.ledger, l.sights)
	if len(actions)+len(l.strays) > 0 {
		l.acted = true
		if err := l.newest(ctx, w); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	var failures []error
	group := errgroup.Group{}
	group.SetLimit(writers)
	for _, action := range actions {
		group.Go(func() error {
			err := l.do(ctx, w, action)
			if err == nil || fault.IsWait(err) { // what it waits for wakes us
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if fault.IsTerminal(err) && (action.Do == plan.Ensure || action.Do == plan.Update) {
				l.memory.refused[action.Instance] = plan.NotMade(action.Attempt, err)
				l.wake = l.kit.Now()
				return nil
			}
			failures = append(failures, err)
			return nil
		})
	}
	_ = group.Wait() // the failures are collected: one child does not keep the others from being made
	if len(actions) > 0 && !l.news.IsZero() {
		l.pulse.started.Observe(l.kit.Now().Sub(l.news).Seconds())
	}
	for _, stray := range l.strays {
		failures = append(failures, l.children.Delete(ctx, stray))
	}
	return errors.Join(failures...)
}

// turns is how long a look may go on by itself. Others wait for their turn meanwhile.
const turns = 250 * time.Millisecond

// blink is how long a look waits for the run's next moment: less than a look of its own for it would cost.
const blink = 5 * time.Millisecond

// goOn takes the next steps of a run that time alone moves, and that are due: without an event there is nothing to see, and a look of its
// own for each would tell people of states that are over. Each step is recorded as any other.
func (l *look) goOn(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	for began, before := l.kit.Now(), ""; before != l.memory.version && l.moves(began); {
		before = l.memory.version
		if err := wait(ctx, l.wake.Sub(l.kit.Now())); err != nil {
			return err
		}
		for _, step := range []reconcile.Step[*v1alpha1.BatchWorkflow]{l.advance, l.record, l.act} {
			if err := step(ctx, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// moves reports whether the run goes on by itself at once: something was recorded, no child is involved, and the next moment is near.
func (l *look) moves(began time.Time) bool {
	now := l.kit.Now()
	return l.recorded && !l.acted && len(l.sights) == 0 && !l.wake.IsZero() && l.wake.Sub(now) <= blink && now.Sub(began) < turns
}

// wait ends early, with an error, when the look must.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (l *look) do(ctx context.Context, w *v1alpha1.BatchWorkflow, action plan.ChildAction) error {
	seen := children.Ref(action.Kind, w.Namespace, action.Name, action.UID)
	rewrite := func(live client.Object) error { return action.Rewrite(live.(plan.Child)) }
	var err error
	switch action.Do {
	case plan.Ensure:
		children.SetAnchor(action.Child, l.ground)
		if err = l.children.Ensure(ctx, w, l.memory.version, action.Child); fault.ReasonOf(err) == fault.ReasonOrphaned {
			if err = l.current(ctx, w); err == nil { // who lost its owner may have lost us: the collector hears of a deletion before we do
				err = l.children.Adopt(ctx, w, l.memory.version, action.Child, rewrite)
			}
		}
	case plan.Raise:
		err = l.children.Raise(ctx, seen, action.Attempt)
	case plan.Update:
		err = l.children.Rewrite(ctx, w, l.memory.version, seen, action.Attempt, rewrite)
	case plan.Revert, plan.Release, plan.Retreat, plan.Switch:
		err = l.children.Rewrite(ctx, w, l.memory.version, seen, 0, rewrite)
	case plan.Supplant:
		err = l.children.DeleteVersion(ctx, seen, action.Version)
	default:
		err = l.children.Delete(ctx, seen)
	}
	if fault.IsGone(err) {
		return nil // the next look sees that it is gone
	}
	return err
}

// summarise tells people: at once when the phase changes, otherwise in the pace that the workflow's size allows.
func (l *look) summarise(_ context.Context, w *v1alpha1.BatchWorkflow) error {
	now, ledger := l.kit.Now(), l.memory.ledger
	l.shelf.count(w.UID, plan.Count(l.workflow, ledger), family{client.ObjectKeyFromObject(w), l.print}, ledger.Phase.Terminal())
	next := plan.Summarise(l.workflow, ledger, l.sights)
	after := l.after(now, ledger)
	edge := next.Phase != w.Status.Phase || w.Status.ObservedGeneration != w.Generation || ledger.Phase.Terminal()
	if pause := l.memory.told.Add(l.memory.workflow.Pace()).Sub(now); !edge && pause > 0 {
		if ready := reconcile.Condition(w, v1alpha1.ReadyCondition); ready != nil {
			return fault.Waiting(fault.Reason(ready.Reason), min(after, pause), "%s", ready.Message)
		}
	}
	l.memory.told = now
	next.ObservedGeneration, next.Conditions = w.Status.ObservedGeneration, w.Status.Conditions
	w.Status = next
	verdict := besides(plan.Verdict(l.workflow, ledger, after), plan.Burden(ledger, l.sights))
	switch {
	case w.Status.Phase == v1alpha1.WorkflowPlanStale:
		reconcile.Set(w, v1alpha1.SucceededCondition, metav1.ConditionFalse, string(fault.ReasonOf(verdict)), verdict.Error(), now)
	case !ledger.Phase.Terminal() || l.workflow.Gated():
		meta.RemoveStatusCondition(&w.Status.Conditions, v1alpha1.SucceededCondition)
	default:
		status, reason, message := metav1.ConditionTrue, v1alpha1.ReasonSucceeded, finished(w)
		if verdict != nil {
			status, reason, message = metav1.ConditionFalse, string(fault.ReasonOf(verdict)), verdict.Error()
		}
		reconcile.Set(w, v1alpha1.SucceededCondition, status, reason, message, now)
	}
	l.tellOfTheGone(w)
	return besides(verdict, l.gone)
}

// besides says more of what a verdict, if there is one, says already.
func besides(verdict error, more string) error {
	if verdict == nil || more == "" {
		return verdict
	}
	return &fault.Error{Class: fault.ClassOf(verdict), Reason: fault.ReasonOf(verdict), After: fault.AfterOf(verdict), Err: fmt.Errorf("%w; %s", verdict, more)}
}

// tellOfTheGone makes an event of what vanished after its success, once: what the condition tells already is no news.
func (l *look) tellOfTheGone(w *v1alpha1.BatchWorkflow) {
	l.gone = plan.Vanished(l.workflow, l.memory.ledger, l.sights)
	if ready := reconcile.Condition(w, v1alpha1.ReadyCondition); l.gone != "" && (ready == nil || !strings.Contains(ready.Message, l.gone)) {
		l.kit.Events.Eventf(w, nil, corev1.EventTypeWarning, v1alpha1.ReasonChildVanished, "Reconcile", "%s", l.gone)
	}
}

// finished is what a workflow that succeeded says, with a request that was refused and what has vanished since.
func (l *look) finished(w *v1alpha1.BatchWorkflow) string {
	text := finished(w)
	for _, more := range []string{l.memory.ledger.Refusal, l.gone} {
		if more != "" {
			text += "; " + more
		}
	}
	return text
}

// after is how long nothing happens unless something wakes us.
func (l *look) after(now time.Time, ledger *saga.Ledger) time.Duration {
	if l.wake.IsZero() || l.wake.Sub(now) > audit {
		return audit
	}
	return max(l.wake.Sub(now), time.Millisecond)
}
