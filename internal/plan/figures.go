package plan

import (
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Kin is what instances are counted by.
type Kin struct {
	Type  string // of the operation
	Phase string
}

// Figures are what a ledger says in numbers, without names.
type Figures struct {
	Phase     v1alpha1.WorkflowPhase
	Instances map[Kin]int32
	// Moved is when something was last recorded of a run that is under way, or the later moment at which time alone will move it.
	// Zero: it is over, or held by somebody.
	Moved time.Time
}

// Count reads a ledger's figures.
func Count(w *Workflow, l *saga.Ledger) Figures {
	f := Figures{Phase: w.Phase(l), Instances: map[Kin]int32{}}
	for k := range l.Ops {
		for phase, n := range l.OpCounts(k) {
			if n > 0 {
				f.Instances[Kin{l.Ops[k].Type, saga.Phase(phase).String()}] += n
			}
		}
	}
	if !l.Phase.Terminal() && !w.spec.Suspend && !w.awaitsApproval(l) {
		f.Moved = time.Unix(moved(w, l), 0)
	}
	return f
}

// moved leaves out the time for which the run was held, whenever that was: it says too little rather than too much.
func moved(w *Workflow, l *saga.Ledger) int64 {
	last := int32(0)
	for i, phase := range l.Phases {
		last = max(last, l.Starts[i], l.Ends[i], l.Retries[i])
		if wait := w.ops[l.OpOf(i)].Wait; wait != nil && phase == saga.Running {
			last = max(last, l.Starts[i]+int32(wait.Duration.Duration/time.Second))
		}
	}
	return l.Unix(last) + int64(l.Held)
}
