package plan

import (
	"maps"
	"slices"
	"strconv"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// A Server does not go while a service names it. So what is on a server that is made anew has to leave it first, and comes back when its own
// instance is ordered.

// disturb records that the services on a server are touched by this run, because the server is made anew: undoing puts them back.
func (a *advance) disturb(server string) {
	for k := range a.w.ops {
		op := &a.w.ops[k]
		if op.child != KindTaskService || !slices.Contains(op.targets, server) {
			continue
		}
		for n := range op.count {
			i := op.first + n
			if a.l.Phases[i] == saga.Pending && a.l.Stands(i) && !a.l.Disturbed(i) && slices.Contains(a.w.onServers(op, n), server) {
				a.own().Disturb(i)
			}
		}
	}
}

// onServers returns the names of the Servers that the n-th service is on.
func (w *Workflow) onServers(op *operation, n int) []string {
	if !op.each() {
		return op.targets
	}
	at := n % len(op.targets)
	return op.targets[at : at+1]
}

// leaving returns the Servers that go so that others of their names can be made.
func (w *Workflow) leaving(l *saga.Ledger, sights Sights) map[string]bool {
	going := map[string]bool{}
	for k := range w.ops {
		op := &w.ops[k]
		if op.child != KindServer || w.draining() || l.OpCounts(k)[saga.Running] == 0 {
			continue
		}
		for i := op.first; i < op.first+op.count; i++ {
			s := sights[i]
			if l.Phases[i] == saga.Running && s.UID != "" && (s.Deleting || w.order(l, i, s) == Supplant) {
				going[w.names[i]] = true
			}
		}
	}
	return going
}

// retreat makes services leave servers that go: a service that is on others too is changed, one that is on no other goes itself. That
// holds for services as well that were removed from the workflow and left.
func (w *Workflow) retreat(l *saga.Ledger, sights Sights) (actions []ChildAction) {
	going := w.leaving(l, sights)
	if len(going) == 0 {
		return nil
	}
	for _, place := range slices.Sorted(maps.Keys(sights)) {
		s := sights[place]
		service, ok := s.Child.(*v1alpha1.TaskService)
		if place < l.N() && !l.Disturbed(place) {
			continue // it is not ordered anew, so it would not come back
		}
		if !ok || s.Deleting || !slices.ContainsFunc(service.Spec.Servers.Names, func(name string) bool { return going[name] }) {
			continue
		}
		action := ChildAction{Do: Retreat, Instance: place, Kind: KindTaskService, Name: service.Name, Run: l.Run, UID: s.UID, From: going}
		if !slices.ContainsFunc(service.Spec.Servers.Names, func(name string) bool { return !going[name] }) {
			action.Do, action.Version = Supplant, service.ResourceVersion
		}
		actions = append(actions, action)
	}
	return actions
}

// leave takes servers out of a service. It keeps its attempt: that it comes back is another order.
func (a ChildAction) leave(live Child) error {
	service, ok := live.(*v1alpha1.TaskService)
	if !ok {
		return fault.New(fault.Terminal, fault.ReasonInternal, "a bug in keelway: %s is no service", a.Name)
	}
	wanted := service.DeepCopy()
	wanted.Spec.Servers.Names = slices.DeleteFunc(wanted.Spec.Servers.Names, func(name string) bool { return a.From[name] })
	if len(wanted.Spec.Servers.Names) == 0 {
		return fault.New(fault.Gone, fault.ReasonNotFound, "it is on no other server")
	}
	wanted.Annotations = maps.Clone(wanted.Annotations)
	wanted.Annotations[v1alpha1.AnnotationRun] = strconv.Itoa(int(a.Run))
	return overwrite(live, wanted, EffectUpdated)
}
