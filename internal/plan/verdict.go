package plan

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// Verdict is what the ledger means for the workflow's conditions, as an error for the frame: nil when it succeeded, Wait while
// it runs (the message tells how far it is), Terminal with the root cause when it ended otherwise.
func Verdict(w *Workflow, l *saga.Ledger, after time.Duration) error {
	counts := l.Counts()
	done := fmt.Sprintf("%d of %d done", counts.Passed(), counts.Total())
	cause := rootCause(w, l)
	switch {
	case l.Phase == saga.RunSucceeded:
		return nil
	case l.Phase == saga.RunFailed:
		return fault.New(fault.Terminal, v1alpha1.ReasonFailed, "%s: %s", done, cause)
	case l.Phase == saga.RunRolledBack:
		return fault.New(fault.Terminal, v1alpha1.ReasonRolledBack, "%s; what this run had made is gone again%s", cause, irreversible(counts))
	case l.Phase == saga.RunRollbackFailed:
		return fault.New(fault.Terminal, v1alpha1.ReasonFailed, "%s; undoing failed, see status.leftovers%s", cause, irreversible(counts))
	case w.spec.Suspend:
		return fault.Waiting(v1alpha1.ReasonSuspended, after, "%s; suspended: nothing new starts while spec.suspend is true", done)
	case l.Phase == saga.RunUndoing:
		return fault.Waiting(fault.ReasonInProgress, after, "undoing (%d undone, %d under way): %s", counts[saga.Undone], counts[saga.Undoing], cause)
	}
	if counts[saga.Failed]+counts[saga.Unknown] > 0 {
		return fault.Waiting(fault.ReasonInProgress, after, "%s%s; nothing new starts: %s", done, under(w, l), cause)
	}
	return fault.Waiting(fault.ReasonInProgress, after, "%s%s", done, under(w, l))
}

func irreversible(counts saga.Counts) string {
	switch n := counts[saga.Irreversible]; n {
	case 0:
		return ""
	case 1:
		return "; 1 command that ran cannot be undone"
	default:
		return fmt.Sprintf("; %d commands that ran cannot be undone", n)
	}
}

// under names the operations that are under way, at most three.
func under(w *Workflow, l *saga.Ledger) string {
	var names []string
	more := 0
	for k := range w.ops {
		counts := l.OpCounts(k)
		if counts.Live() == 0 {
			continue
		}
		if len(names) == 3 {
			more++
			continue
		}
		name := w.ops[k].Name
		if counts.Live() == counts[saga.Retrying] {
			name += fmt.Sprintf(" (%s, will be tried again)", l.Ops[k].Reason)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	text := "; running: " + strings.Join(names, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// rootCause tells what failed first, in the words of whoever failed. What only ended because of it, between two attempts or
// because the workflow's time was up, is told when there is nothing else.
func rootCause(w *Workflow, l *saga.Ledger) string {
	var first *saga.Op
	best := guilt{rank: math.MaxInt}
	for k := range l.Ops {
		if l.Ops[k].Reason == "" {
			continue
		}
		if g := guiltOf(w, l, k); g.rank < best.rank || g.rank == best.rank && g.at < best.at {
			first, best = &l.Ops[k], g
		}
	}
	switch {
	case first == nil:
		return "nothing failed"
	case first.Message == "":
		return fmt.Sprintf("operation %q: %s", first.Name, first.Reason)
	}
	return fmt.Sprintf("operation %q: %s: %s", first.Name, first.Reason, first.Message)
}

// guilt orders operations that have a story: 0 for one that failed by itself.
type guilt struct {
	rank int
	at   int32 // when it failed, where that is still known
}

func guiltOf(w *Workflow, l *saga.Ledger, k int) guilt {
	op, retries := &l.Ops[k], int32(0)
	if op.Reason == string(fault.ReasonTimedOut) && strings.HasPrefix(op.Message, theWorkflow) {
		return guilt{rank: 2}
	}
	if policy := w.ops[k].Retry; policy != nil {
		retries = policy.Limit
	}
	g := guilt{rank: 1}
	for i := op.First; i < op.First+op.Count; i++ {
		if l.Reasons[i] == 0 || l.Phases[i] != saga.Unknown && l.Attempts[i] > 0 && int32(l.Attempts[i]) <= retries {
			continue
		}
		at := int32(0)
		if l.Phase == saga.RunRunning || l.Phase == saga.RunFailed { // undoing replaces the times
			at = l.Ends[i]
		}
		if g.rank > 0 || at < g.at {
			g = guilt{at: at}
		}
	}
	return g
}
