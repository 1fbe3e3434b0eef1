package plan

import (
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// foldUndoing takes in what became of an instance that is being undone: its end is a confirmed absence, nothing less.
func (a *advance) foldUndoing(i int) {
	s := a.sights[i]
	switch {
	case s.Gone:
		a.did(a.l.Settle(i, saga.Undone, a.now.Unix(), "", ""))
	case s.Deleting && s.Stalled:
		a.did(a.l.Settle(i, saga.UndoFailed, a.now.Unix(), orInternal(s.Reason), s.Message))
	}
}

func orInternal(reason string) string {
	if reason == "" {
		return string(fault.ReasonInternal)
	}
	return reason
}

// undo takes back what was made, in the reverse of the order that ran: an operation when nothing that rests on it still
// stands. Independent branches go side by side under the same limit. Suspending holds it too.
func (a *advance) undo() {
	if a.l.Phase != saga.RunUndoing || a.w.spec.Suspend || a.err != nil {
		return
	}
	counts := a.l.Counts()
	room := a.w.limit() - int(counts.Live())
	for _, k32 := range slices.Backward(a.w.graph.Order()) {
		if k := int(k32); a.standing(k) && a.bare(k) {
			room = a.undoOperation(k, room)
		}
	}
	counts = a.l.Counts()
	if counts[saga.Undoing] > 0 || a.anyStanding() {
		return
	}
	end := saga.RunRolledBack
	if counts[saga.UndoFailed] > 0 {
		end = saga.RunRollbackFailed
	}
	a.did(a.l.SetRun(end, a.now.Unix()))
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
	if c[saga.Succeeded]+c[saga.Failed]+c[saga.Unknown]+c[saga.Cancelled]+c[saga.Undoing] == 0 {
		return false
	}
	for n := range a.w.ops[k].count {
		if a.stands(a.l.Instance(k, n)) {
			return true
		}
	}
	return false
}

func (a *advance) anyStanding() bool {
	for k := range a.w.ops {
		if a.standing(k) {
			return true
		}
	}
	return false
}

// bare reports whether nothing that depends on the operation still stands.
func (a *advance) bare(k int) bool {
	for _, arc := range a.w.graph.Succs(k) {
		if a.standing(int(arc.Op)) {
			return false
		}
	}
	return true
}

func (a *advance) undoOperation(k, room int) int {
	op := &a.w.ops[k]
	for n := range op.count {
		i := a.l.Instance(k, n)
		if a.l.Phases[i] == saga.Undoing || !a.stands(i) {
			continue
		}
		switch {
		case op.Type == v1alpha1.OperationCommand:
			a.did(a.l.Settle(i, saga.Irreversible, a.now.Unix(), "", ""))
		case op.child == "":
			a.did(a.l.Undo(i, a.now.Unix()))
			a.did(a.l.Settle(i, saga.Undone, a.now.Unix(), "", ""))
		case room > 0:
			a.did(a.l.Undo(i, a.now.Unix()))
			room--
		}
	}
	return room
}
