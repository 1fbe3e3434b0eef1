package plan

import (
	"fmt"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// prunes returns how many of the things that are left may go now: those of a run that has done all else, in their order, as far as
// parallelLimit allows.
func (w *Workflow) prunes(l *saga.Ledger) (n int) {
	c := l.Counts()
	if !w.spec.Prune || w.draining() || l.Phase != saga.RunRunning || l.Stop != saga.StopNone || c[saga.Pending]+c.Live() > 0 {
		return 0
	}
	for _, of := range l.Left {
		n += len(of.Keys)
	}
	return min(n, w.limit())
}

// prune deletes what may go.
func prune(w *Workflow, l *saga.Ledger, sights Sights) (actions []ChildAction) {
	for n := range w.prunes(l) {
		place := 2*l.N() + n
		if s := sights[place]; s.Exists && !s.Deleting {
			kind, name := w.Child(l, place)
			actions = append(actions, ChildAction{Do: Delete, Instance: place, Kind: kind, Name: name, UID: s.UID})
		}
	}
	return actions
}

// prune takes in what is gone of what the workflow no longer asks for. It reports whether nothing of it is left that may go: only
// then the run is over. What cannot go fails the run, for somebody has to see to it.
func (a *advance) prune() bool {
	window, stuck, blocked, why := a.w.prunes(a.l), 0, 0, Sight{}
	unsure := false // one is not there, and nobody has looked whether that is so: its turn has only come
	var gone []int
	for n := range window {
		switch s := a.sights[2*a.given.N()+n]; {
		case a.round > 0: // what was left before this look is known by its places before
		case s.Gone:
			gone = append(gone, n)
		case !s.Exists:
			unsure = true
		case s.Deleting && s.Stalled:
			if stuck++; why.Message == "" {
				why = s
			}
		case s.Deleting && s.Reason == string(fault.ReasonDeletionBlocked):
			blocked++
		}
	}
	for k := len(gone) - 1; k >= 0; k-- {
		of, key := leftAt(a.l, gone[k])
		a.own().LetGo(of.Operation, key)
	}
	switch {
	case len(a.l.Left) == 0 || !a.w.spec.Prune:
		return true
	case stuck > 0 && stuck+blocked == window: // the others wait for those
		a.own().Blame(saga.None, orInternal(why.Reason), fmt.Sprintf("what was removed from the workflow cannot go: %s", why.Message))
		a.setRun(saga.RunFailed)
		return false
	case a.round > 0 || len(gone) > 0 || unsure:
		a.wakeAt(a.now)
	}
	return false
}
