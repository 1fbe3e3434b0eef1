package plan

import (
	"fmt"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// foldUndoing takes in what became of an instance that is being undone: its end is a confirmed absence, nothing less.
func (a *advance) foldUndoing(op *operation, i int) {
	s := a.sights[i]
	switch {
	case s.Gone && op.Type == v1alpha1.OperationCommand:
		a.settle(i, saga.Irreversible, "", "")
	case s.Gone:
		a.settle(i, saga.Undone, "", "")
	case s.Deleting && s.Stalled:
		a.settle(i, saga.UndoFailed, orInternal(s.Reason), s.Message)
	}
}

// undo takes back what was made, in the reverse of the order that ran: an operation when all that rests on it is gone.
// Independent branches go side by side under the same limit. Suspending holds it too.
func (a *advance) undo() {
	if a.l.Phase != saga.RunUndoing || a.w.spec.Suspend || a.err != nil {
		return
	}
	counts := a.l.Counts()
	room := a.w.limit() - int(counts.Live())
	open := false
	stuck := make([]int, len(a.w.ops)) // 1 + the operation that rests on this one and could not be undone; 0: there is none
	for _, k32 := range slices.Backward(a.w.graph.Order()) {
		k := int(k32)
		rests := a.rests(k, stuck)
		switch {
		case !a.standing(k):
		case rests:
			open = true
		case stuck[k] > 0:
			a.leaveBehind(k, stuck[k]-1)
		default:
			room = a.undoOperation(k, room)
			open = open || a.standing(k)
		}
	}
	if open {
		return
	}
	end := saga.RunRolledBack
	if counts = a.l.Counts(); counts[saga.UndoFailed] > 0 {
		end = saga.RunRollbackFailed
	}
	a.setRun(end)
}

// rests reports whether something that depends on the operation still stands, and notes what can never be taken away from it.
func (a *advance) rests(k int, stuck []int) (rests bool) {
	for _, arc := range a.w.graph.Succs(k) {
		switch above := int(arc.Op); {
		case a.standing(above):
			rests = true
		case stuck[above] > 0:
			stuck[k] = stuck[above]
		case a.l.OpCounts(above)[saga.UndoFailed] > 0:
			stuck[k] = above + 1
		}
	}
	return rests
}

// stands reports whether an instance was ordered and not yet taken back: it may have an effect.
func (a *advance) stands(i int) bool {
	switch a.l.Phases[i] {
	case saga.Succeeded, saga.Failed, saga.Unknown, saga.Cancelled:
		return a.l.Ordered(i)
	}
	return a.l.Phases[i] == saga.Undoing
}

func (a *advance) standing(k int) bool {
	c := a.l.OpCounts(k)
	if c[saga.Succeeded]+c[saga.Unknown]+c[saga.Undoing] > 0 {
		return true
	}
	if c[saga.Failed]+c[saga.Cancelled] == 0 {
		return false
	}
	for n := range a.w.ops[k].count { // these may have ended before they were ordered
		if a.stands(a.l.Instance(k, n)) {
			return true
		}
	}
	return false
}

func (a *advance) undoOperation(k, room int) int {
	op := &a.w.ops[k]
	for n := range op.count {
		i := a.l.Instance(k, n)
		if a.l.Phases[i] == saga.Undoing || !a.stands(i) {
			continue
		}
		switch {
		case op.Type == v1alpha1.OperationCommand && a.overWith(i):
			a.settle(i, saga.Irreversible, "", "")
		case op.child == "":
			a.takeBack(i)
			a.settle(i, saga.Undone, "", "")
		case room > 0:
			a.takeBack(i)
			if a.sights[i].UID == "" {
				a.wakeAt(a.now) // no event may ever tell that there is nothing
			}
			room--
		}
	}
	return room
}

// overWith reports whether a command is known to have ended. One that may still run is stopped, by deleting its Run, before
// the server goes on which it runs; its effect stays irreversible.
func (a *advance) overWith(i int) bool {
	s := a.sights[i]
	return s.Exists && !s.Deleting && (s.Ready || s.Stalled && s.Answered >= int32(a.l.Attempts[i]))
}

// leaveBehind gives up what a left-over still rests on: to take it away would only break what is there. What needs no
// child is simply over.
func (a *advance) leaveBehind(k, above int) {
	op := &a.w.ops[k]
	message := fmt.Sprintf("%q rests on it and could not be undone", a.w.ops[above].Name)
	for n := range op.count {
		i := a.l.Instance(k, n)
		if !a.stands(i) {
			continue
		}
		end, reason, message := saga.UndoFailed, string(fault.ReasonDeletionBlocked), message
		switch {
		case op.Type == v1alpha1.OperationCommand:
			end, reason, message = saga.Irreversible, "", ""
		case op.child == "":
			end, reason, message = saga.Undone, "", ""
		}
		a.takeBack(i)
		a.settle(i, end, reason, message)
	}
}
