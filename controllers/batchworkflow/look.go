package batchworkflow

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	sights   plan.Sights
	strays   []client.Object // children that the ledger does not want
	next     *saga.Ledger
	recorded bool // this look wrote the ledger
	wake     time.Time
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
		return unsettled(w, err)
	}
	l.memory.workflow = compiled
	return nil
}

// unsettled takes back what was said of the run's end: an edit or a loss made it untrue.
func unsettled(w *v1alpha1.BatchWorkflow, err error) error {
	if fault.IsTerminal(err) {
		meta.RemoveStatusCondition(&w.Status.Conditions, v1alpha1.SucceededCondition)
		if w.Status.Phase == v1alpha1.WorkflowSucceeded {
			w.Status.Phase = v1alpha1.WorkflowPending
		}
	}
	return err
}

// observe reads the children from the cache, and confirms by live reads what is said to be gone.
func (l *look) observe(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	kids, err := l.children.List(ctx, w)
	if err != nil {
		return err
	}
	l.sights = make(plan.Sights, kids.Len())
	for kid := range kids.All() {
		if i := l.memory.workflow.Instance(kid.GetName()); i >= 0 && plan.Wants(l.memory.workflow, l.memory.ledger, i) {
			l.sights[i] = plan.Look(kid)
		} else if kid.GetDeletionTimestamp() == nil {
			l.strays = append(l.strays, kid)
		}
	}
	l.recall()
	return l.confirm(ctx, w)
}

// recall adds what was refused at the last look: such a child will never be seen.
func (l *look) recall() {
	for i, sight := range l.memory.refused {
		if l.memory.ledger.Phases[i] != saga.Running || int32(l.memory.ledger.Attempts[i]) != sight.Asked {
			delete(l.memory.refused, i)
			continue
		}
		if !l.sights[i].Exists {
			l.sights[i] = sight
		}
	}
}

// confirm asks the API server itself about children whose end would be believed: the cache may not know of them yet.
func (l *look) confirm(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for _, i := range plan.Confirm(l.memory.workflow, l.memory.ledger, l.sights) {
		group.Go(func() error {
			kind, name := l.memory.workflow.Child(l.memory.ledger, i)
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
	return group.Wait()
}

// lookLive sees of a child what its metadata tell.
func (l *look) lookLive(ctx context.Context, w *v1alpha1.BatchWorkflow, kind, name string) (plan.Sight, error) {
	found, err := l.children.GetLive(ctx, w, kind, name)
	if err != nil || found == nil {
		return plan.Sight{Gone: err == nil}, err
	}
	return plan.Sight{Exists: true, Deleting: found.GetDeletionTimestamp() != nil, UID: found.GetUID()}, nil
}

// advance lets the engine decide.
func (l *look) advance(_ context.Context, w *v1alpha1.BatchWorkflow) (err error) {
	l.next, l.wake, err = plan.Advance(l.memory.workflow, l.memory.ledger, l.sights, plan.RequestsIn(w.Annotations), l.kit.Now())
	return err
}

// act does what the newest ledger asks for. A child that can never be made counts as its attempt's failure at the next look.
func (l *look) act(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	actions := plan.Act(l.memory.workflow, l.memory.ledger, l.sights)
	if len(actions)+len(l.strays) > 0 {
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
			if fault.IsTerminal(err) && action.Do == plan.Ensure {
				l.memory.refused[action.Instance] = plan.NotMade(action.Attempt, err)
				l.wake = l.kit.Now()
				return nil
			}
			failures = append(failures, err)
			return nil
		})
	}
	_ = group.Wait() // the failures are collected: one child does not keep the others from being made
	for _, stray := range l.strays {
		failures = append(failures, l.children.Delete(ctx, stray))
	}
	return errors.Join(failures...)
}

func (l *look) do(ctx context.Context, w *v1alpha1.BatchWorkflow, action plan.ChildAction) error {
	seen := children.Ref(action.Kind, w.Namespace, action.Name, action.UID)
	switch action.Do {
	case plan.Ensure:
		return l.children.Ensure(ctx, w, l.memory.version, action.Child)
	case plan.Raise:
		if err := l.children.Raise(ctx, seen, action.Attempt); !fault.IsGone(err) {
			return err
		}
		return nil // the next look makes it anew
	default:
		return l.children.Delete(ctx, seen)
	}
}

// summarise tells people: at once when the phase changes, otherwise at most once a second.
func (l *look) summarise(_ context.Context, w *v1alpha1.BatchWorkflow) error {
	now, ledger := l.kit.Now(), l.memory.ledger
	next := plan.Summarise(l.memory.workflow, ledger, l.sights)
	after := l.after(now, ledger)
	edge := next.Phase != w.Status.Phase || w.Status.ObservedGeneration != w.Generation || ledger.Phase.Terminal()
	if pause := l.memory.told.Add(time.Second).Sub(now); !edge && pause > 0 {
		if ready := reconcile.Condition(w, v1alpha1.ReadyCondition); ready != nil {
			return fault.Waiting(fault.Reason(ready.Reason), min(after, pause), "%s", ready.Message)
		}
	}
	l.memory.told = now
	next.ObservedGeneration, next.Conditions = w.Status.ObservedGeneration, w.Status.Conditions
	w.Status = next
	verdict := plan.Verdict(l.memory.workflow, ledger, after)
	if ledger.Phase.Terminal() {
		status, reason, message := metav1.ConditionTrue, v1alpha1.ReasonSucceeded, finished(w)
		if verdict != nil {
			status, reason, message = metav1.ConditionFalse, string(fault.ReasonOf(verdict)), verdict.Error()
		}
		reconcile.Set(w, v1alpha1.SucceededCondition, status, reason, message, now)
	}
	return verdict
}

// after is how long nothing happens unless something wakes us.
func (l *look) after(now time.Time, ledger *saga.Ledger) time.Duration {
	if l.wake.IsZero() || l.wake.Sub(now) > audit {
		return audit
	}
	return max(l.wake.Sub(now), time.Millisecond)
}
