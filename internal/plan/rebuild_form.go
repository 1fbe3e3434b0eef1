package plan

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// What is left of a run says that something was done. Whether that is what is written now follows from the children that are there, field by
// field; of those that are gone nothing tells but the summary, which names the operations by which the run goes.

// goesBy reports whether the run that a summary tells of goes by the operations as they are written now.
func (w *Workflow) goesBy(told v1alpha1.BatchWorkflowStatus) bool {
	if told.ObservedGeneration != w.generation {
		return false
	}
	return told.Run == nil || told.Run.Operations == "" || told.Run.Operations == fmt.Sprintf("%x", w.hash) // a release before did not say
}

// valueless reports whether a Run is there that has succeeded, and a value that it needs is not known any more: what puts it out is not
// ready, as when it was edited and is being changed. Whether it ran with the value as it will be is not known.
func (r *rebuilding) valueless(i int) bool {
	op := &r.w.ops[r.l.OpOf(i)]
	if op.child != KindRun || !r.found[i].Ready {
		return false
	}
	for _, ref := range op.refs(i - op.first) {
		if _, known := r.lookup(ref); !known {
			return true
		}
	}
	return false
}

// recognise records in which form a Run succeeded, where that is known: it is there and says so, or the operations are those by which it
// ran. What happens to its object later does not matter then.
func (r *rebuilding) recognise(i int) error {
	k := r.l.OpOf(i)
	op := &r.w.ops[k]
	if op.child != KindRun || r.l.Phases[i] != saga.Succeeded || r.differs(i) || !r.found[i].Exists && !r.certain {
		return nil
	}
	form, known := r.w.formOf(op, i-op.first, r.lookup)
	if !known {
		return nil
	}
	return r.l.Recognise(i, form)
}

// lost reports whether a command may have run of which nobody knows any more what it was: the ledger was lost, and its Run is gone.
func (f *forecaster) lost(op *operation, i int, sight Sight) bool {
	standing := f.former.Standing(i)
	return op.Command != nil && !sight.Exists && (standing == saga.Succeeded || standing == saga.Unknown) && f.former.Form(i) == saga.Form{} && f.former.Phases[i] != saga.Undone
}

// doubt is the fate of such a command: a person looks, unless the command itself says that it may be done again.
func doubt(op *operation, known bool) Fate {
	if op.Command.OnUnknown == v1alpha1.OnUnknownRetry {
		return Fate{Do: DeedCreate, Known: known, anew: true, why: "done again because " + lostWords + ", and its onUnknown is Retry"}
	}
	return Fate{Do: DeedNone, Known: true, Phase: saga.Unknown, lost: true, why: lostWords}
}

const lostWords = "the workflow's Checkpoint was lost, its Run is gone, and whether it ran as it is written now is not known"

// doubted says so in the next ledger.
func doubted(l *saga.Ledger, i int, fate Fate) error {
	if !fate.lost {
		return nil
	}
	return l.Doubt(i, string(fault.ReasonCheckpointLost), lostWords+": look, then annotate keelway.dev/retry")
}

// runPhases are those of runs that are over.
var runPhases = map[v1alpha1.WorkflowPhase]saga.RunPhase{
	v1alpha1.WorkflowSucceeded: saga.RunSucceeded, v1alpha1.WorkflowFailed: saga.RunFailed, v1alpha1.WorkflowCancelled: saga.RunCancelled,
	v1alpha1.WorkflowRolledBack: saga.RunRolledBack, v1alpha1.WorkflowRollbackFailed: saga.RunRollbackFailed, v1alpha1.WorkflowRollbackBlocked: saga.RunRollbackBlocked,
}

// endOf is how a run ended, and whether it has. A workflow that was edited since may speak of the plan of its next run.
func endOf(told v1alpha1.BatchWorkflowStatus) (run saga.RunPhase, over bool) {
	if run, over = runPhases[told.Phase]; over || told.Run == nil || told.Run.FinishedAt == nil {
		return run, over
	}
	counts := told.Counts
	if counts == nil {
		counts = &v1alpha1.WorkflowCounts{}
	}
	switch {
	case len(told.Leftovers) > 0:
		return saga.RunRollbackFailed, true
	case counts.Undone > 0:
		return saga.RunRolledBack, true
	case counts.Failed > 0:
		return saga.RunFailed, true
	case counts.Cancelled > 0:
		return saga.RunCancelled, true
	}
	return saga.RunSucceeded, true
}

// freeze keeps the outputs of operations of which all stands: what their children say later is not what others ran with.
func (r *rebuilding) freeze() error {
	for k := range r.w.ops {
		op := &r.w.ops[k]
		if len(op.given) == 0 || r.l.OpCounts(k)[saga.Succeeded] != int32(op.count) {
			continue
		}
		r.lookup(expr.Ref{Operation: op.Name})
		if outputs := r.outputs[k]; len(outputs) > 0 && r.l.CanHold(k, outputs) == nil {
			if err := r.l.SetOutputs(k, outputs); err != nil {
				return err
			}
		}
	}
	return nil
}
