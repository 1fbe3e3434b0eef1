package server

import (
	"context"
	"slices"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/provider"
)

// story is what happens to Servers from a beginning, which nobody disturbs, to an end. In between the process dies.
type story struct {
	title    string
	servers  int
	machines int // machines that are made for each Server, all told
	before   func(*stage) bool
	tell     func(*stage) bool
}

func gone(s *v1alpha1.Server) bool { return s == nil }

func made(s *stage) bool {
	s.apply()
	return s.until("up", provisioned)
}

var stories = []story{
	{title: "create", servers: 1, machines: 1, before: nothing, tell: func(s *stage) bool {
		return made(s) && s.each("up", 1)
	}},
	{title: "create three", servers: 3, machines: 1, before: nothing, tell: func(s *stage) bool {
		return made(s) && s.each("up", 1)
	}},
	{title: "create one, then two", servers: 3, machines: 1, before: nothing, tell: func(s *stage) bool {
		all := s.names
		s.names = all[:1]
		s.apply()
		begun := s.until("in the making", func(*v1alpha1.Server) bool { return s.w.left().made > 0 })
		s.names = all[1:]
		s.apply()
		s.names = all
		return begun && s.until("up", provisioned) && s.each("up", 1)
	}},
	{title: "abort", servers: 1, machines: 1, before: nothing, tell: abort},
	{title: "abort three", servers: 3, machines: 1, before: nothing, tell: abort},
	{title: "resize", servers: 1, machines: 1, before: made, tell: func(s *stage) bool {
		s.edit(func(spec *v1alpha1.ServerSpec) { spec.Size = s.w.larger })
		return s.until("resized", func(now *v1alpha1.Server) bool { return provisioned(now) && now.Status.Applied.Size == s.w.larger }) && s.each("resized", 1)
	}},
	{title: "power", servers: 1, machines: 1, before: made, tell: func(s *stage) bool {
		s.edit(func(spec *v1alpha1.ServerSpec) { spec.Power = v1alpha1.PowerStopped })
		if !s.until("off", stopped) {
			return false
		}
		s.edit(func(spec *v1alpha1.ServerSpec) { spec.Power = v1alpha1.PowerRunning })
		return s.until("on", provisioned) && s.each("on", 1)
	}},
	{title: "relabel", servers: 1, machines: 1, before: made, tell: func(s *stage) bool {
		for _, role := range []string{"web", "db"} {
			for _, name := range s.names {
				s.patch(name, func(o *v1alpha1.Server) { o.Labels = map[string]string{"role": role} })
			}
			if !s.until("labelled "+role, func(now *v1alpha1.Server) bool { return provisioned(now) && s.carries(now.Status.ID, "role", role) }) {
				return false
			}
		}
		for _, name := range s.names {
			s.patch(name, func(o *v1alpha1.Server) { o.Labels = nil })
		}
		return s.until("without a label", func(now *v1alpha1.Server) bool { return provisioned(now) && s.carries(now.Status.ID, "role", "") }) && s.each("relabelled", 1)
	}},
	{title: "replace", servers: 1, machines: 2, before: made, tell: func(s *stage) bool {
		first := s.now[s.names[0]].Status.ID
		s.edit(func(spec *v1alpha1.ServerSpec) {
			spec.Image, spec.UpdatePolicy = s.w.other, v1alpha1.UpdateReplaceAllowed
		})
		return s.until("replaced", func(now *v1alpha1.Server) bool { return provisioned(now) && now.Status.ID != first }) && s.each("replaced", 2)
	}},
	{title: "adopt", servers: 1, machines: 1, before: earlier, tell: func(s *stage) bool {
		s.apply(s.w.left().machines[0])
		return s.until("adopted", provisioned) && s.each("adopted", 1)
	}},
	{title: "delete", servers: 1, machines: 1, before: made, tell: func(s *stage) bool { return s.vanish() }},
}

func nothing(*stage) bool { return true }

// abort deletes what was just asked for, as soon as the cloud has made something: maybe nobody knows of it yet, and it does not show.
func abort(s *stage) bool {
	s.apply()
	return s.until("in the making", func(*v1alpha1.Server) bool { return s.w.left().made > 0 }) && s.vanish()
}

// earlier is the machine of an object of the same name that is no more.
func earlier(s *stage) bool {
	account, err := s.w.open(&killer{})
	if err == nil {
		want := provider.Machine{Key: "key-before", Size: s.w.size, Image: s.w.image, Disks: []provider.Disk{{Name: "data", SizeGiB: 10}}}
		want.Owner = provider.Owner{Installation: "test", Namespace: s.ns, Name: s.names[0], UID: "uid-before"}
		_, err = account.Create(context.Background(), want)
	}
	if err != nil {
		s.wrong("making a machine beforehand: %v", err)
		return false
	}
	s.w.Clock.Move(3 * time.Minute)
	return true
}

// carries asks the cloud itself, as a process that nobody kills.
func (s *stage) carries(id, key, value string) bool {
	account, err := s.w.open(&killer{})
	if err != nil {
		s.wrong("asking the cloud: %v", err)
		return false
	}
	machine, err := account.Get(context.Background(), id)
	return err == nil && machine.Labels[key] == value
}

// each demands that every Server has one machine with its disks, which its status names, and that so many were made for each ever.
func (s *stage) each(when string, machines int) bool {
	var recorded []string
	for _, name := range s.names {
		recorded = append(recorded, s.now[name].Status.ID)
	}
	slices.Sort(recorded)
	is := s.w.left()
	slices.Sort(is.machines)
	if !slices.Equal(recorded, is.machines) {
		s.wrong("%s: there are the machines %v, and the Servers have %v", when, is.machines, recorded)
	}
	if is.made > machines*len(s.names)+s.lost() {
		s.wrong("%s: %d machines were made for %d Servers", when, is.made, len(s.names))
	}
	if is.disks != 2*len(s.names) {
		s.wrong("%s: there are %d disks, want 2 for each of %d machines", when, is.disks, len(s.names))
	}
	return len(s.problems) == 0
}

// arm orders faults from now on.
func (s *stage) arm(orders []faults.Order) {
	if err := s.w.Board.Arm(orders...); err != nil {
		s.wrong("ordering faults: %v", err)
	}
	s.ordered = orders
}

// disarm takes back what did not strike.
func (s *stage) disarm() {
	s.struck, s.ended = s.strikes(nil), s.strikes(lethal)
	s.w.Board.Disarm("")
	s.ordered = nil
}

// strikes counts the orders that struck, of the faults of those names (nil: all).
func (s *stage) strikes(names []string) (n int) {
	count := func(orders []faults.Order, by int) {
		for _, o := range orders {
			if names == nil || slices.Contains(names, o.Name) {
				n += by
			}
		}
	}
	count(s.ordered, 1)
	count(s.w.Board.Armed(), -1)
	return n
}

// lost is how many machines may have ended by another hand.
func (s *stage) lost() int { return s.ended + s.strikes(lethal) }

func (s *stage) vanish() bool {
	s.remove()
	return s.until("gone", gone)
}

// end deletes what is there, and demands that nothing is left and no machine was ever there of which no status told.
func (s *stage) end(machines int) {
	if !s.vanish() {
		s.wrong("it is not deleted")
		return
	}
	s.w.Clock.Move(10 * time.Minute)
	is := s.w.left()
	if len(s.ids) == 0 && s.lost() > 0 {
		is.beside = nil // they are of a machine that no Server ever had
	}
	if len(is.machines)+is.disks+len(is.beside) > 0 {
		s.wrong("left at the end: machines %v, %d disks, %v", is.machines, is.disks, is.beside)
	}
	if is.made > machines*len(s.names)+s.lost() {
		s.wrong("%d machines were made for %d Servers", is.made, len(s.names))
	}
	for name, ids := range s.ids {
		if len(ids) > machines+s.lost() {
			s.wrong("%s had the machines %v", name, ids)
		}
	}
}
