package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// An operation of type Power has no children of its own. It switches Servers that the workflow made, and so it looks at the children of
// another operation. The mark Replaced says that a Server was in the other state before: only then there is something to take back.

// orderSwitches makes sure that no two operations want a server in different states at the same time, which would never come to rest:
// where both states are asked for, all that switch a server stand in a line.
func (c *compiler) orderSwitches() {
	type pair struct{ first, then int }
	last, both, met := map[string]int{}, map[string]bool{}, map[pair]bool{}
	for _, asks := range []bool{false, true} { // whether both states are asked for is known after one round
		clear(last)
		for _, k32 := range c.out.graph.Order() {
			k, op := int(k32), &c.out.ops[k32]
			if op.Power == nil {
				continue
			}
			for _, server := range op.targets {
				before, ok := last[server]
				last[server] = k
				step := pair{before, k}
				switch {
				case !ok:
				case !asks:
					both[server] = both[server] || c.out.ops[before].Power.State != op.Power.State
				case both[server] && !met[step] && !c.leads(before, route{to: k}):
					c.at(k, "power")
					c.fault(fault.ReasonInvalid, "operations %q and %q switch the same server, which is asked to be %s and %s, and neither comes before the other: add one to the other's dependsOn",
						c.out.ops[before].Name, op.Name, v1alpha1.PowerRunning, v1alpha1.PowerStopped)
				}
				met[step] = asks
			}
		}
	}
}

// serverOf returns the place of the Server that an instance of a Power operation acts on, or -1.
func (w *Workflow) serverOf(op *operation, n int) int {
	k, ok := w.index[op.Power.Target.Operation]
	if !ok || w.ops[k].child != KindServer {
		return -1
	}
	if i, ok := w.instances[v1alpha1.ChildName(w.name, op.Power.Target.Operation, cmp.Or(op.Power.Target.Key, op.key(n)))]; ok {
		return i
	}
	return -1
}

// switched looks at the Server of an instance: what was seen of it, and whether it is asked to be in that state. A Server that is not
// there, or on its way out, is nil.
func (w *Workflow) switched(op *operation, n int, sights Sights, to v1alpha1.Power) (server *v1alpha1.Server, s Sight, asked bool) {
	s = sights[w.serverOf(op, n)]
	if server, _ = s.Child.(*v1alpha1.Server); server == nil || s.Deleting {
		return nil, s, false
	}
	return server, s, orRunning(server.Spec.Power) == to
}

// Recheck lists the places of Servers of which a live read must tell before Advance may call them switched, switched back, or gone: a cache
// may still show how they stood before they were switched.
func Recheck(w *Workflow, l *saga.Ledger, sights Sights) (places []int) {
	for k := range w.ops {
		op, counts := &w.ops[k], l.OpCounts(k)
		if op.Power == nil || counts[saga.Running]+counts[saga.Undoing] == 0 {
			continue
		}
		for n := range op.count {
			to := op.Power.State
			switch l.Phases[op.first+n] {
			case saga.Running:
			case saga.Undoing:
				to = other(to)
			default:
				continue
			}
			if server, s, asked := w.switched(op, n, sights, to); server == nil || asked && s.Ready {
				places = append(places, w.serverOf(op, n))
			}
		}
	}
	return slices.DeleteFunc(places, func(place int) bool { return place < 0 })
}

func other(p v1alpha1.Power) v1alpha1.Power {
	if p == v1alpha1.PowerStopped {
		return v1alpha1.PowerRunning
	}
	return v1alpha1.PowerStopped
}

// switches says which Servers must be switched: those of instances that run, and back again those of instances that are undone.
func switches(w *Workflow, l *saga.Ledger, sights Sights) (actions []ChildAction) {
	for k := range w.ops {
		op, counts := &w.ops[k], l.OpCounts(k)
		if op.Power == nil || counts[saga.Running]+counts[saga.Undoing] == 0 {
			continue
		}
		for n := range op.count {
			i, to := op.first+n, op.Power.State
			switch phase := l.Phases[i]; {
			case phase == saga.Running && !w.draining():
			case phase == saga.Undoing && l.Marks[i].Has(saga.Replaced):
				to = other(to)
			default:
				continue
			}
			if server, s, asked := w.switched(op, n, sights, to); server != nil && !asked {
				actions = append(actions, ChildAction{Do: Switch, Instance: w.serverOf(op, n), Kind: KindServer, Name: server.Name, UID: s.UID, Power: to})
			}
		}
	}
	return actions
}

// foldPower takes in what became of a Server that is switched.
func (a *advance) foldPower(k, i int) {
	op := &a.w.ops[k]
	if op.Power == nil {
		return // it was removed from the workflow
	}
	a.open(k)
	switch server, s, asked := a.w.switched(op, i-op.first, a.sights, op.Power.State); {
	case server == nil:
		a.attemptFailed(op, i, string(fault.ReasonServerNotFound), "its server is gone, or on its way out")
	case asked && s.Ready:
		a.settle(i, saga.Succeeded, "", "")
	case asked && s.Stalled:
		a.attemptFailed(op, i, orInternal(s.Reason), s.Message)
	default:
		a.tick(k, i, asked && !s.Queued, s.Queued)
		if op.Timeout != nil && a.l.Begun[i] != saga.None && a.spent(a.l.Begun[i], a.l.Spent[i], op.Timeout.Duration) {
			a.attemptFailed(op, i, string(fault.ReasonTimedOut), timedOut("the attempt", op.Timeout.Duration, s.Message))
		}
	}
}

// foldPowerBack takes in what became of a Server that is switched back.
func (a *advance) foldPowerBack(op *operation, i int) {
	if a.switchedBack(op, i) {
		a.settle(i, saga.Undone, "", "")
		return
	}
	_, s, asked := a.w.switched(op, i-op.first, a.sights, other(op.Power.State))
	switch limit := op.undo.Timeout; {
	case a.l.Retries[i] != saga.None: // between two tries
	case asked && s.Stalled:
		a.undoFailed(op, i, orInternal(s.Reason), s.Message)
	case limit == nil:
	case a.l.Begun[i] == saga.None:
		a.own().Begin(i, a.now.Unix())
	case a.spent(a.l.Begun[i], a.l.Spent[i], limit.Duration):
		a.undoFailed(op, i, string(fault.ReasonTimedOut), timedOut("undoing", limit.Duration, s.Message))
	}
}

// switchedBack reports whether a Server is again as it was before. One that is gone needs no more, and one that this run made need not
// come up before it goes.
func (a *advance) switchedBack(op *operation, i int) bool {
	server, s, asked := a.w.switched(op, i-op.first, a.sights, other(op.Power.State))
	if server == nil || !a.l.Marks[i].Has(saga.Replaced) {
		return true
	}
	made := a.l.Marks[a.w.serverOf(op, i-op.first)]
	return asked && (s.Ready || made.Has(saga.Touched) && !made.Has(saga.Stood))
}

// takePowerBack begins to take back what an instance of a Power operation did.
func (u *undoing) takePowerBack(op *operation, i int) {
	switch {
	case op.Power == nil && u.l.Marks[i].Has(saga.Replaced): // it was removed from the workflow: nobody knows what it did
		u.settle(i, saga.Irreversible, "", "")
	case op.Power == nil || u.switchedBack(op, i):
		u.takeBack(i)
		u.settle(i, saga.Undone, "", "")
	case u.room > 0:
		u.takeBack(i)
		u.room--
		u.open = true
	default:
		u.open = true
	}
}

// changesPower reports whether an instance that is ordered will switch its Server.
func (a *advance) changesPower(op *operation, n int) bool {
	if op.Power == nil {
		return false
	}
	server, _, asked := a.w.switched(op, n, a.sights, op.Power.State)
	return server != nil && !asked
}

// keepPower leaves a Server that is updated in the state that it is in, where that is the business of an operation of type Power.
func (w *Workflow) keepPower(k int, wanted Child, s Sight) {
	to, _ := wanted.(*v1alpha1.Server)
	from, _ := s.Child.(*v1alpha1.Server)
	if to != nil && from != nil && w.ops[k].powered {
		to.Spec.Power = from.Spec.Power
	}
}

// powerShape says what a Power operation does.
func powerShape(p *v1alpha1.PowerSwitch) string {
	return fmt.Sprintf("power: %s", p.State)
}
