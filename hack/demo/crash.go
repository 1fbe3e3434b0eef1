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
		{"the workflow has just been applied", func(s *snapshot) bool { return s.Workflow != nil }},
		{"the servers come up", func(s *snapshot) bool { return len(s.Servers) > 0 && len(s.Services) == 0 }},
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
			return inPhase(v1alpha1.ServiceReady)(s) && slices.ContainsFunc(s.Services, func(t v1alpha1.TaskService) bool { return t.Status.Ready < t.Status.Total })
		}},
		moment{"the check writes and reads", func(s *snapshot) bool {
			return slices.ContainsFunc(s.Runs, func(r v1alpha1.Run) bool { return r.Status.Phase == v1alpha1.RunRunning })
		}},
	)
}

// inPhase: the service is in that phase on some server.
func inPhase(phase v1alpha1.ServicePhase) func(*snapshot) bool {
	return func(s *snapshot) bool {
		for _, t := range s.Services {
			if slices.ContainsFunc(t.Status.Servers, func(on v1alpha1.ServiceOnServer) bool { return on.Phase == phase }) {
				return true
			}
		}
		return false
	}
}

func (s *snapshot) anyOperation(phase string) bool {
	return s.Workflow != nil && slices.ContainsFunc(s.Workflow.Status.Operations, func(o v1alpha1.OperationStatus) bool { return o.Phase == phase })
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
	if s.Workflow != nil {
		seal.WriteString(s.Workflow.ResourceVersion)
	}
	for i := range s.Servers {
		seal.WriteString(" " + s.Servers[i].ResourceVersion)
	}
	for i := range s.Services {
		seal.WriteString(" " + s.Services[i].ResourceVersion)
	}
	for i := range s.Runs {
		seal.WriteString(" " + s.Runs[i].ResourceVersion)
	}
	return seal.String()
}
