package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// foldUndoing takes in what became of an instance that is being undone: its end is a confirmed absence, nothing less. What its
// child said before this try was asked for is not about it.
func (a *advance) foldUndoing(op *operation, i int) {
	if op.Power != nil {
		a.foldPowerBack(op, i)
		return
	}
	s := a.sights[i]
	scripted, reverts := !op.unscripted(s, a.sights[i+a.l.N()]), a.w.reverts(a.l, i)
	answered := s.Answered >= int32(a.l.Attempts[i])
	limit := op.undo.Timeout
	if reverts { // a child that does not come right again would be waited for for ever
		limit = cmp.Or(limit, op.Timeout, a.w.spec.Timeout)
	}
	switch {
	case scripted && a.foldScript(op, i):
	case s.Gone && !scripted, reverts && s.reverted(a.l) && s.Ready:
		a.settle(i, taken(op), "", "")
	case a.l.Retries[i] != saga.None: // between two tries
	case (s.Deleting || reverts && s.reverted(a.l)) && s.Stalled && answered && !scripted:
		a.undoFailed(op, i, orInternal(s.Reason), s.Message)
	case limit == nil:
	case a.l.Begun[i] == saga.None:
		a.own().Begin(i, a.now.Unix())
	case a.spent(a.l.Begun[i], a.l.Spent[i], limit.Duration):
		a.undoFailed(op, i, string(fault.ReasonTimedOut), timedOut("undoing", limit.Duration, s.Message))
	}
}

// foldLeft takes in that something went after all that could not be undone in time.
func (a *advance) foldLeft(op *operation, i int) {
	switch s := a.sights[i]; {
	case op.Power != nil:
		if a.switchedBack(op, i) {
			a.settle(i, saga.Undone, "", "")
		}
	case !op.unscripted(s, a.sights[i+a.l.N()]):
		a.foldScript(op, i)
	case s.Gone, a.w.reverts(a.l, i) && s.reverted(a.l) && s.Ready:
		a.settle(i, taken(op), "", "")
	}
}

// taken is the end of an instance whose child is gone.
func taken(op *operation) saga.Phase {
	if op.Type == v1alpha1.OperationCommand {
		return saga.Irreversible
	}
	return saga.Undone
}

// undoFailed plans the next try, or gives up.
func (a *advance) undoFailed(op *operation, i int, reason, message string) {
	retry, tries := op.undo.Retry, int32(a.l.Tries[i])
	if retry == nil || tries > retry.Limit {
		a.settle(i, saga.UndoFailed, reason, message)
		return
	}
	due := a.now.Add(pause(retry.Backoff, tries))
	a.keep(a.own().PostponeUndo(i, ceilUnix(due), reason, message))
}

// undo takes back what was made, in the reverse of the order that ran: an instance when all that rests on it is gone.
// Independent branches go side by side under the same limit. Suspending holds it too.
func (a *advance) undo() {
	if a.l.Phase != saga.RunUndoing || a.err != nil {
		return
	}
	u := &undoing{advance: a, covers: make([]bool, a.l.N()), kept: make([]bool, a.l.N()), blocks: make([]int, a.l.N())}
	switch {
	case a.l.Stop == saga.StopAborted:
		u.abandon()
	case a.w.spec.Suspend:
		return
	default:
		counts := a.l.Counts()
		u.room = a.w.limit() - int(counts.Live())
		for _, k := range slices.Backward(a.w.graph.Order()) {
			u.operation(int(k))
		}
		if u.open {
			return
		}
	}
	u.leaveBehind()
	end := saga.RunRolledBack
	if counts := a.l.Counts(); counts[saga.UndoFailed] > 0 {
		end = saga.RunRollbackFailed
		if a.protected() {
			end = saga.RunRollbackBlocked
		}
	}
	a.setRun(end)
}

// protectedWords say why something stays that a person forbade to delete, which is stronger than an undo.
const protectedWords = "it is protected from deletion: spec.deletionProtection"

// protected reports whether all that is left over is protected from deletion, or lies under what is.
func (a *advance) protected() bool {
	guarded := false
	for i, phase := range a.l.Phases {
		if phase != saga.UndoFailed {
			continue
		}
		switch reason := a.l.Reason(i); {
		case reason == string(fault.ReasonProtected):
			guarded = true
		case reason != string(fault.ReasonDeletionBlocked) || a.sights[i].Deleting:
			return false
		}
	}
	return guarded
}

// undoing is one pass over what is taken back. What it says of an instance holds for whatever it depends on too, also where
// something in between never ran.
type undoing struct {
	*advance
	room   int
	open   bool   // something is under way, or will be
	covers []bool // by instance: it, or what rests on it, is still to go
	kept   []bool // by instance: it, or what rests on it, is to stay (keepOnUndo)
	blocks []int  // by instance: 1 + the operation, it or above it, that could not be undone; 0: none
}

// stands reports whether an instance was ordered in this run and not yet taken back: it may have an effect. What an earlier run did is
// not this one's to undo.
func (a *advance) stands(i int) bool {
	switch a.l.Phases[i] {
	case saga.Succeeded, saga.Failed, saga.Unknown, saga.Cancelled:
		return a.l.Marks[i].Has(saga.Touched)
	}
	return a.l.Phases[i] == saga.Undoing
}

// operation goes on with one operation; all that depends on it was looked at before.
func (u *undoing) operation(k int) {
	op := &u.w.ops[k]
	above := u.above(k)
	for n := range op.count {
		i := u.l.Instance(k, n)
		rests := u.partners(op, n, above)
		u.covers[i], u.blocks[i], u.kept[i] = rests.covered, rests.blocked, rests.kept || op.KeepOnUndo && u.stands(i)
		switch {
		case u.l.Phases[i] == saga.UndoFailed:
			u.blocks[i] = k + 1
		case !u.stands(i):
		case u.l.Phases[i] == saga.Undoing && u.blocks[i] > 0: // another hand began it before its turn
			u.leave(i, string(fault.ReasonDeletionBlocked), u.restsOn(u.blocks[i]))
		case u.l.Phases[i] == saga.Undoing:
			u.again(i)
			u.open, u.covers[i] = true, true
		case u.kept[i]: // as it is
		case u.blocks[i] > 0: // it stays
		case u.covers[i]:
			u.open = true
		default:
			u.takeBackInstance(op, i)
			u.covers[i] = u.stands(i)
		}
	}
}

// resting is what rests on an instance: whether something of it is still to go, is to stay, or cannot go (1 + its operation).
type resting struct {
	covered, kept bool
	blocked       int
}

func (u *undoing) add(r resting, i int) resting {
	return resting{r.covered || u.covers[i], r.kept || u.kept[i], max(r.blocked, u.blocks[i])}
}

// above looks along the edges that join all instances.
func (u *undoing) above(k int) (all resting) {
	for _, arc := range u.w.graph.Succs(k) {
		if arc.Same {
			continue
		}
		above := &u.w.ops[arc.Op]
		for i := above.first; i < above.first+above.count; i++ {
			all = u.add(all, i)
		}
	}
	return all
}

// partners adds the edges that join instances by key.
func (u *undoing) partners(op *operation, n int, all resting) resting {
	for _, edge := range op.joined {
		if partner := edge.partner[n]; partner >= 0 {
			all = u.add(all, int(partner))
		}
	}
	return all
}

// again orders the next try of undoing when it is due.
func (u *undoing) again(i int) {
	if u.l.Retries[i] == saga.None {
		return
	}
	if due := time.Unix(u.l.Unix(u.l.Retries[i]), 0); u.now.Before(due) {
		u.wakeAt(due)
		return
	}
	u.keep(u.own().OrderUndo(i, u.now.Unix()))
}

func (u *undoing) takeBackInstance(op *operation, i int) {
	s := u.sights[i]
	switch {
	case op.Type == v1alpha1.OperationPower:
		u.takePowerBack(op, i)
		return
	case op.unscripted(s, Sight{}) && op.Type == v1alpha1.OperationCommand && u.overWith(i), u.w.reverts(u.l, i) && u.l.Marks[i].Has(saga.Replaced):
		u.settle(i, saga.Irreversible, "", "") // what stood before is gone, and what stands in its place is better than nothing
		return
	case s.Protected && !u.w.reverts(u.l, i) && s.Effect != EffectAdopted:
		u.blocks[i] = u.l.OpOf(i) + 1
		u.leave(i, string(fault.ReasonProtected), protectedWords)
		return
	case op.child == "":
		u.takeBack(i)
		u.settle(i, saga.Undone, "", "")
		return
	case u.room > 0:
		u.takeBack(i)
		if u.sights[i].UID == "" {
			u.wakeAt(u.now) // no event may ever tell that there is nothing
		}
		u.room--
	}
	u.open = true
}

// overWith reports whether a command is known to have ended. One that may still run is stopped, by deleting its Run, before
// the server goes on which it runs; its effect stays irreversible.
func (a *advance) overWith(i int) bool {
	s := a.sights[i]
	return s.Exists && !s.Deleting && (s.Ready || s.Stalled && s.Answered >= int32(a.l.Attempts[i]))
}

// leaveBehind gives up what left-overs still rest on: to take it away would only break what is there. What needs no child is
// simply over.
func (u *undoing) leaveBehind() {
	for i, by := range u.blocks {
		if by > 0 && u.stands(i) && !u.kept[i] {
			u.leave(i, string(fault.ReasonDeletionBlocked), u.restsOn(by))
		}
	}
}

func (u *undoing) restsOn(by int) string {
	return fmt.Sprintf("%q rests on it and could not be undone", u.w.ops[by-1].Name)
}

// abandon gives up everything that still stands: somebody wants the end at once.
func (u *undoing) abandon() {
	for i := range u.l.N() {
		if u.stands(i) {
			u.leave(i, v1alpha1.ReasonCancelled, "undoing was aborted")
		}
	}
}

func (u *undoing) leave(i int, reason, message string) {
	op := &u.w.ops[u.l.OpOf(i)]
	end := saga.UndoFailed
	switch {
	case op.Type == v1alpha1.OperationCommand && op.script(u.sights[i]) == "":
		end, reason, message = saga.Irreversible, "", ""
	case op.child == "" && !(op.Power != nil && u.l.Marks[i].Has(saga.Replaced)):
		end, reason, message = saga.Undone, "", ""
	}
	if u.l.Phases[i] != saga.Undoing {
		u.takeBack(i)
	}
	u.settle(i, end, reason, message)
}
