package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// Verdict is what the ledger means for the workflow's conditions, as an error for the frame: nil when it succeeded, Wait while
// it runs (the message tells how far it is), Terminal with the root cause when it ended otherwise.
func Verdict(w *Workflow, l *saga.Ledger, after time.Duration) error {
	if w.gate.Shut() {
		return w.gate.verdict(l, after)
	}
	counts := l.Counts()
	done := fmt.Sprintf("%d of %d done", counts.Passed(), counts.Total())
	if slices.ContainsFunc(w.ops, func(op operation) bool { return op.countless() }) {
		done = fmt.Sprintf("%d of at least %d done", counts.Passed(), counts.Total())
	}
	cause := rootCause(l)
	if l.Refusal != "" {
		cause, done = cause+"; "+l.Refusal, done+"; "+l.Refusal
	}
	switch {
	case l.Phase == saga.RunSucceeded:
		return nil
	case l.Phase == saga.RunFailed:
		return fault.New(fault.Terminal, v1alpha1.ReasonFailed, "%d of %d done: %s", counts.Passed(), counts.Total(), cause)
	case l.Phase == saga.RunCancelled:
		return fault.New(fault.Terminal, v1alpha1.ReasonCancelled, "%d of %d done: %s", counts.Passed(), counts.Total(), cause)
	case l.Phase == saga.RunRolledBack:
		return fault.New(fault.Terminal, v1alpha1.ReasonRolledBack, "%s; what this run had made is gone again%s%s", cause, irreversible(counts), kept(l))
	case l.Phase == saga.RunRollbackBlocked:
		return fault.New(fault.Terminal, v1alpha1.ReasonBlocked, "%s; what is left is protected from deletion, see status.leftovers: take the protection away and annotate keelway.dev/retry%s", cause, irreversible(counts))
	case l.Phase == saga.RunRollbackFailed:
		return fault.New(fault.Terminal, v1alpha1.ReasonFailed, "%s; undoing failed, see status.leftovers%s", cause, irreversible(counts))
	case w.spec.Suspend:
		return fault.Waiting(v1alpha1.ReasonSuspended, after, "%s; suspended: nothing new starts while spec.suspend is true", done)
	case l.Phase == saga.RunUndoing:
		return fault.Waiting(fault.ReasonInProgress, after, "undoing (%d undone, %d under way): %s", counts[saga.Undone], counts[saga.Undoing], cause)
	}
	a := &advance{w: w, l: l}
	switch {
	case w.draining():
		return fault.Waiting(fault.ReasonInProgress, after, "%s%s; the operations were edited: what runs ends first, then the rest is planned anew", done, under(w, l))
	case a.halting():
		return fault.Waiting(fault.ReasonInProgress, after, "%s%s; nothing new starts: %s", done, under(w, l), cause)
	case l.Cause.Reason != "":
		return fault.Waiting(fault.ReasonInProgress, after, "%s%s%s; the others go on, although %s", done, under(w, l), approvals(w, l), cause)
	}
	if w.awaitsApproval(l) {
		return fault.Waiting(v1alpha1.ReasonAwaitingApproval, after, "%s%s", done, approvals(w, l))
	}
	return fault.Waiting(fault.ReasonInProgress, after, "%s%s%s", done, under(w, l), approvals(w, l))
}

// kept counts what undo was told to leave.
func kept(l *saga.Ledger) string {
	n := 0
	for i, phase := range l.Phases {
		if l.Marks[i].Has(saga.Touched) && !phase.UndoTerminal() {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; kept as keepOnUndo asks: %d", n)
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

// rootCause tells what failed first, in the words of whoever failed, or what stopped the run as a whole.
func rootCause(l *saga.Ledger) string {
	text := l.Cause.Reason
	switch {
	case text == "":
		return "nothing failed"
	case l.Cause.Message != "":
		text += ": " + l.Cause.Message
	}
	if l.Cause.Instance == saga.None {
		return text
	}
	return fmt.Sprintf("operation %q: %s", l.Ops[l.OpOf(int(l.Cause.Instance))].Name, text)
}
