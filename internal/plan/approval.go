package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Outputs of an Approval.
const (
	outputApprovedBy = "approvedBy"
	outputApprovedAt = "approvedAt"
)

const (
	// ApprovedBy is the key of Requests under which stands who gave the approval. It is there only where the admission policies vouch
	// for the name.
	ApprovedBy = "approved-by"
	// unverified is who approved where nobody vouches for a name.
	unverified = "unverified"
	// phaseAwaiting is the phase of an instance that waits for somebody's word.
	phaseAwaiting = "AwaitingApproval"

	maxUser  = 253 // bytes of a user's name that are kept
	maxAsked = 3   // approvals that a message tells of
)

// askForApproval records that the operation may go on as soon as somebody approves. It is asked for before an approval counts, so
// that nobody approves what they cannot have seen.
func (a *advance) askForApproval(k int) {
	for n := range a.w.ops[k].count {
		i := a.l.Instance(k, n)
		if a.l.Phases[i] == saga.Pending && !a.l.Asked(i) && (a.w.ops[k].joins == nil || a.joined(k, i)) {
			a.keep(a.own().Ask(i, a.now.Unix()))
		}
	}
}

// approve lets operations of type Approval succeed that wait for it: all that are named, or none.
func (a *advance) approve(what string) string {
	if a.w.gate.answered {
		return a.w.gate.answer
	}
	var chosen []int
	for _, name := range strings.Split(what, ",") {
		k, ok := a.w.index[strings.TrimSpace(name)]
		if !ok || a.w.ops[k].Approval == nil {
			return fmt.Sprintf("there is no operation of type Approval that is called %q: %s", clip(name, 80), a.awaited())
		}
		switch i := a.l.Instance(k, 0); {
		case a.l.Asked(i):
			chosen = append(chosen, k)
		case a.l.Phases[i] == saga.Pending:
			return fmt.Sprintf("%q is not awaited yet: look at it when it is, and ask with another token", a.w.ops[k].Name)
		default:
			return fmt.Sprintf("%q is %s: %s", a.w.ops[k].Name, a.l.Phases[i], a.awaited())
		}
	}
	outputs := map[string]string{outputApprovedBy: a.asked.approver(), outputApprovedAt: a.now.UTC().Format(time.RFC3339)}
	for _, k := range chosen {
		if err := a.l.CanHold(k, outputs); err != nil {
			return fmt.Sprintf("who gave it cannot be kept: %v", err)
		}
		a.orderAs(&a.w.ops[k], k, 0, a.l.Instance(k, 0))
		a.keep(a.own().SetOutputs(k, outputs))
		a.settle(a.l.Instance(k, 0), saga.Succeeded, "", "")
	}
	return ""
}

// awaited says which approvals are awaited, for somebody who gave another one.
func (a *advance) awaited() string {
	var names []string
	for _, k := range a.w.approvals {
		if a.l.Asked(a.l.Instance(k, 0)) {
			names = append(names, a.w.ops[k].Name)
		}
	}
	if len(names) == 0 {
		return "no approval is awaited"
	}
	return "awaited is " + someNames(names)
}

// awaitsApproval reports whether nothing happens any more before somebody approves.
func (w *Workflow) awaitsApproval(l *saga.Ledger) bool {
	if len(w.approvals) == 0 || l.Phase != saga.RunRunning {
		return false
	}
	if counts := l.Counts(); counts.Live() > 0 {
		return false
	}
	for _, k := range w.approvals {
		if l.Asked(l.Instance(k, 0)) {
			return true
		}
	}
	return false
}

// approvals tells people which approvals are awaited and how they are given; "" when none are.
func approvals(w *Workflow, l *saga.Ledger) string {
	var asked []string
	more := 0
	for _, k := range w.approvals {
		switch op := &w.ops[k]; {
		case !l.Asked(l.Instance(k, 0)):
		case len(asked) == maxAsked:
			more++
		case op.Approval.Message == "":
			asked = append(asked, fmt.Sprintf("%q", op.Name))
		default:
			asked = append(asked, fmt.Sprintf("%q (%s)", op.Name, clip(op.Approval.Message, 120)))
		}
	}
	if len(asked) == 0 {
		return ""
	}
	text := "; awaiting approval of " + strings.Join(asked, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + fmt.Sprintf(": annotate %s%s with the name", v1alpha1.VerbPrefix, v1alpha1.VerbApprove)
}

// approvedBy is who approved an operation; "" when nobody did, or it is none to approve.
func (w *Workflow) approvedBy(l *saga.Ledger, k int) string {
	if w.ops[k].Approval == nil {
		return ""
	}
	return l.Ops[k].Outputs[outputApprovedBy]
}
