package plan

import (
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// Found is what is found of one instance's child after the workflow's ledger was lost.
type Found struct {
	Sight
	Fresh   bool  // it has never been what was asked for, so nothing that needs its success was ordered since it was
	Planned int64 // the generation of the operations by which it was ordered as it is; 0: it does not say
}

// Find reads a child as Look does, and besides what tells of its past.
func Find(child metav1.Object) Found {
	f := Found{Sight: Look(child)}
	f.Planned, _ = strconv.ParseInt(child.GetAnnotations()[v1alpha1.AnnotationPlanned], 10, 64)
	switch c := child.(type) {
	case *v1alpha1.Server:
		f.Fresh = c.Status.ID == ""
	case *v1alpha1.TaskService:
		f.Fresh = c.Status.Resolved == nil
	case *v1alpha1.Run:
		f.Fresh = c.Status.Phase != v1alpha1.RunSucceeded
	}
	f.Fresh = f.Fresh && !f.Ready
	return f
}

// Rebuild makes a ledger anew, as far as the children and the last summary tell. What they do not tell is Unknown and never
// Pending, so that nothing that may have been done is done again before somebody has looked (an approval is Cancelled, and asked for again); and a run with such gaps is not
// undone by itself. asked is what people have asked for so far: it counts as handled, because it may have been.
//
// It deletes nothing: a child that is there stands, unless the run was being undone. The ledger is not durable yet.
func Rebuild(w *Workflow, told v1alpha1.BatchWorkflowStatus, found map[int]Found, asked Requests, now time.Time) (*saga.Ledger, error) {
	started := now.Unix()
	if told.Run != nil && told.Run.StartedAt != nil {
		started = told.Run.StartedAt.Unix()
	}
	l, err := w.Start(started)
	if err != nil {
		return nil, err
	}
	if told.Run != nil {
		l.Run = max(l.Run, told.Run.Number)
	}
	for _, f := range found {
		l.Run = max(l.Run, f.Run)
	}
	if told.Run != nil && told.Run.Number < l.Run { // the summary is of the run before: it says nothing of this one, but that it has begun
		told, l.Started = v1alpha1.BatchWorkflowStatus{}, now.Unix()
	}
	for verb, value := range asked {
		l.Handle(verb, clip(value, saga.MaxValue))
	}
	r := &rebuilding{w: w, l: l, found: found, certain: w.goesBy(told), counts: told.Counts, passed: make([]bool, l.N()), barred: make([]bool, l.N()), outputs: make([]map[string]string, len(w.ops))}
	if r.certain && told.Run != nil && told.Run.Generation > 0 { // a release before did not say
		l.Generation, r.planned = told.Run.Generation, told.Run.Generation
	}
	r.prove()
	r.bar()
	if err := r.place(told, now.Unix()); err != nil {
		return nil, err
	}
	return l, r.freeze()
}

// rebuilding is one call of Rebuild.
type rebuilding struct {
	w       *Workflow
	l       *saga.Ledger
	found   map[int]Found
	passed  []bool              // by instance: something that needs its success was ordered, so it had it
	outputs []map[string]string // by operation; nil: not asked for, or not known
	certain bool                // the run went by the operations as they are written now
	counts  *v1alpha1.WorkflowCounts
	planned int64  // since this generation; 0: not known, or it did not
	barred  []bool // by instance: something that it needs has never succeeded, so it was never ordered
}

// Lost reports whether the run's ledger was lost and could not be rebuilt without gaps.
func Lost(l *saga.Ledger) bool { return l.Cause.Reason == string(fault.ReasonCheckpointLost) }

// place settles the run and all its instances.
func (r *rebuilding) place(told v1alpha1.BatchWorkflowStatus, now int64) error {
	where := r.onTheWay
	switch run, over := endOf(told); {
	case over:
		if !r.certain { // it was edited since: that is the next run's, which goes on from what is there
			r.l.SpecHash = saga.Hash{}
		}
		finished := now
		if told.Run != nil && told.Run.FinishedAt != nil {
			finished = told.Run.FinishedAt.Unix()
		}
		r.l.RestoreRun(run, finished)
		where = func(i int) saga.Phase { return r.over(i, run) }
	case told.Phase == v1alpha1.WorkflowUndoing:
		r.l.RestoreRun(saga.RunUndoing, 0)
		where = r.onTheWayBack
	}
	for i := range r.l.N() {
		to, reason, message := where(i), "", ""
		if to == saga.Unknown && r.w.ops[r.l.OpOf(i)].Approval != nil { // it has no effect, and what is not known to be given is not given
			to = saga.Cancelled
		}
		switch to {
		case saga.Pending:
			continue
		case saga.Unknown, saga.UndoFailed, saga.Failed, saga.Cancelled:
			reason, message = r.why(i)
		}
		if r.older(i) && !r.l.Phase.Terminal() && r.l.Phase != saga.RunUndoing {
			r.l.Reclaim(i, uint16(min(max(r.found[i].Asked, 1), 1<<16-1)))
			continue
		}
		attempts := r.found[i].Asked
		if r.found[i].Exists {
			attempts = max(attempts, 1)
		}
		if err := r.l.Restore(i, to, attempts, r.mark(i), now, reason, message); err != nil {
			return fmt.Errorf("rebuilding the ledger of workflow %s: %w", r.w.name, err)
		}
		if err := r.recognise(i); err != nil {
			return err
		}
		if (to == saga.Unknown || to == saga.Cancelled) && r.l.Phase == saga.RunRunning && r.w.ops[r.l.OpOf(i)].policy != v1alpha1.FailureIgnore {
			r.l.Blame(int32(i), reason, message)
		}
	}
	if r.l.Phase != saga.RunRunning && r.l.Phase != saga.RunSucceeded {
		r.blame(told)
	}
	return nil
}

// older reports whether a child stands in a form in which it is not wanted any more, so that this run has not come to it, or not to its
// end: it is ordered in its turn. What it needs and nobody knows any more proves nothing.
func (r *rebuilding) older(i int) bool {
	return !r.found[i].Deleting && r.differs(i)
}

// differs reports whether a child is there and is not what is wanted now, as far as it is known what that is.
func (r *rebuilding) differs(i int) bool {
	f, k := r.found[i], r.l.OpOf(i)
	if !f.Exists || f.Child == nil {
		return false
	}
	op, n := &r.w.ops[k], i-r.w.ops[k].first
	if _, known := r.w.formOf(op, n, r.lookup); !known {
		return false
	}
	wanted := r.w.build(op, n, r.lookup)
	r.w.keepPower(k, wanted, f.Sight)
	return len(Changes(op.child, f.Child, wanted)) > 0
}

// lookup knows the outputs of operations of which every child is there and ready, as they will be frozen anew.
func (r *rebuilding) lookup(ref expr.Ref) (string, bool) {
	k, ok := r.w.index[ref.Operation]
	if !ok {
		return "", false
	}
	if r.outputs[k] == nil {
		op, sights := &r.w.ops[k], Sights{}
		for i := op.first; i < op.first+op.count; i++ {
			if sights[i] = r.found[i].Sight; !sights[i].Ready {
				return "", false
			}
		}
		r.outputs[k] = r.w.collect(k, sights)
	}
	value, ok := r.outputs[k][ref.Output]
	return value, ok
}

// mark is what the run did to an instance: what its child says, and where there is none, whatever can be undone by confirming that.
func (r *rebuilding) mark(i int) saga.Mark {
	f := r.found[i]
	switch {
	case f.Exists && (f.Run != r.l.Run || f.Effect == EffectReverted):
		return 0
	case f.Effect == EffectUpdated, f.Effect == EffectAdopted:
		return saga.Touched | saga.Stood
	case f.Effect == EffectReplaced:
		return saga.Touched | saga.Stood | saga.Replaced
	}
	return saga.Touched
}

// onTheWay is where an instance of a run that goes forward is. What is there goes on, and what it says is folded in as ever.
func (r *rebuilding) onTheWay(i int) saga.Phase {
	switch f := r.found[i]; {
	case f.Exists && f.Deleting: // by another hand, or by an undo that nobody could tell of any more
		return saga.Unknown
	case r.valueless(i):
		return saga.Unknown
	case f.Exists && f.Ready, r.passed[i] && !r.skippable(i):
		return saga.Succeeded
	case f.Exists:
		return saga.Running
	case r.barred[i]:
		return saga.Pending
	}
	return saga.Unknown
}

// onTheWayBack is where an instance of a run that is being undone is: what may have been ordered is taken back.
func (r *rebuilding) onTheWayBack(i int) saga.Phase {
	switch f := r.found[i]; {
	case f.Exists && f.Deleting:
		return saga.Undoing
	case f.Exists:
		return stood(f)
	case r.barred[i]:
		return saga.Omitted
	}
	return saga.Unknown
}

// over is where an instance of a run that is over is.
func (r *rebuilding) over(i int, run saga.RunPhase) saga.Phase {
	f := r.found[i]
	back := run == saga.RunRolledBack || leftOver(run)
	switch {
	case f.Exists && leftOver(run) && f.Run == r.l.Run && f.Effect != EffectReverted:
		return saga.UndoFailed
	case f.Exists && back && r.w.ops[r.l.OpOf(i)].Type == v1alpha1.OperationCommand:
		return saga.Irreversible
	case f.Exists && run == saga.RunSucceeded && !r.mayFail(i):
		return saga.Succeeded
	case f.Exists && run == saga.RunCancelled && !f.Ready:
		return saga.Cancelled
	case f.Ready && r.differs(i): // the run had not come to it, or had put it back
		return saga.Unknown
	case f.Exists:
		return stood(f)
	case r.passed[i] && !back && !r.skippable(i):
		return saga.Succeeded
	case r.barred[i]:
		return saga.Omitted
	case back && r.w.ops[r.l.OpOf(i)].Type == v1alpha1.OperationCommand:
		return saga.Irreversible
	case back:
		return saga.Undone
	case run == saga.RunSucceeded && r.certain && !r.mayFail(i):
		return saga.Succeeded
	}
	return saga.Unknown
}

// stood is how an instance ended whose child is there.
func stood(f Found) saga.Phase {
	switch {
	case f.Ready:
		return saga.Succeeded
	case f.Stalled && !f.Unknown:
		return saga.Failed
	}
	return saga.Unknown
}

// why says why nothing better is known of an instance, or in its child's own words what is.
func (r *rebuilding) why(i int) (reason, message string) {
	f := r.found[i]
	if f.Exists && f.Stalled {
		return orInternal(f.Reason), f.Message
	}
	kind, name := r.w.Child(r.l, i)
	switch {
	case r.w.ops[r.l.OpOf(i)].Approval != nil:
		message = "whether it was approved is not known"
	case kind == "":
		message = "whether it was done is not known"
	case f.Exists:
		message = fmt.Sprintf("%s %s is there, and what became of it is not known", kind, name)
	default:
		message = fmt.Sprintf("%s %s is not there, and whether it ever was is not known", kind, name)
	}
	return string(fault.ReasonCheckpointLost), "the workflow's Checkpoint was lost; " + message + ": look, then annotate keelway.dev/retry"
}

// blame keeps the cause of a failure that the summary still tells.
func (r *rebuilding) blame(told v1alpha1.BatchWorkflowStatus) {
	first := -1
	for n, op := range told.Operations {
		if op.Reason == "" || op.Phase == saga.Succeeded.String() || r.instance(op) < 0 {
			continue
		}
		if first < 0 || op.FinishedAt != nil && told.Operations[first].FinishedAt != nil && op.FinishedAt.Before(told.Operations[first].FinishedAt) {
			first = n
		}
	}
	if first < 0 {
		r.l.Blame(saga.None, string(fault.ReasonCheckpointLost), "the workflow's Checkpoint was lost, and with it the cause")
		return
	}
	op := told.Operations[first]
	r.l.Blame(int32(r.instance(op)), orInternal(op.Reason), op.Message)
}

// instance finds the one of which a summary speaks, or -1.
func (r *rebuilding) instance(told v1alpha1.OperationStatus) int {
	k, ok := r.w.index[told.Name]
	if !ok {
		return -1
	}
	op := &r.w.ops[k]
	for n := range op.count {
		if op.key(n) == told.Key {
			return op.first + n
		}
	}
	return -1
}
