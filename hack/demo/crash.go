package main

import (
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// moment is a time at which CRASH=1 kills the operator.
type moment struct {
	while string // what happens then, for people
	comes func(*snapshot) bool
}

// moments are in the order in which they come; each is used once.
func moments(fail bool) []moment {
	all := []moment{
		{"the workflow has just been applied", func(s *snapshot) bool { return s.workflow != nil }},
		{"the servers come up", func(s *snapshot) bool { return len(s.servers) > 0 && len(s.services) == 0 }},
		{"the servers are looked at, before anything is changed on them", inPhase(v1alpha1.ServiceChecking)},
		{"etcd is being installed", inPhase(v1alpha1.ServiceApplying)},
	}
	if fail {
		return append(all,
			moment{"the failed installation waits for its second attempt", func(s *snapshot) bool { return s.anyOperation("Retrying") }},
			moment{"what was made is being undone", func(s *snapshot) bool { return s.anyOperation("Undoing") }},
		)
	}
	return append(all,
		moment{"what was installed is being checked", inPhase(v1alpha1.ServiceVerifying)},
		moment{"some members are ready and others are not", func(s *snapshot) bool {
			return inPhase(v1alpha1.ServiceReady)(s) && slices.ContainsFunc(s.services, func(t v1alpha1.TaskService) bool { return t.Status.Ready < t.Status.Total })
		}},
		moment{"the check writes and reads", func(s *snapshot) bool {
			return slices.ContainsFunc(s.runs, func(r v1alpha1.Run) bool { return r.Status.Phase == v1alpha1.RunRunning })
		}},
	)
}

// inPhase: the service is in that phase on some server.
func inPhase(phase v1alpha1.ServicePhase) func(*snapshot) bool {
	return func(s *snapshot) bool {
		for _, t := range s.services {
			if slices.ContainsFunc(t.Status.Servers, func(on v1alpha1.ServiceOnServer) bool { return on.Phase == phase }) {
				return true
			}
		}
		return false
	}
}

func (s *snapshot) anyOperation(phase string) bool {
	return s.workflow != nil && slices.ContainsFunc(s.workflow.Status.Operations, func(o v1alpha1.OperationStatus) bool { return o.Phase == phase })
}

// saboteur knows which moments are still to come.
type saboteur struct {
	left  []moment
	kills int
	seal  string // of the world at the last kill
}

// strike returns the moment that a snapshot shows, and forgets it; nil: none. It waits until the operator that was started last
// has written something: to kill one that has not begun would be no news.
func (b *saboteur) strike(s *snapshot) *moment {
	if s.seal() == b.seal {
		return nil
	}
	for i := range b.left {
		if b.left[i].comes(s) {
			found := b.left[i]
			b.left = slices.Delete(b.left, i, i+1)
			b.kills++
			return &found
		}
	}
	return nil
}

// seal changes whenever anything is written.
func (s *snapshot) seal() string {
	var seal strings.Builder
	if s.workflow != nil {
		seal.WriteString(s.workflow.ResourceVersion)
	}
	for i := range s.servers {
		seal.WriteString(" " + s.servers[i].ResourceVersion)
	}
	for i := range s.services {
		seal.WriteString(" " + s.services[i].ResourceVersion)
	}
	for i := range s.runs {
		seal.WriteString(" " + s.runs[i].ResourceVersion)
	}
	return seal.String()
}
