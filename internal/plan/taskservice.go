package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// RunVerb is what is done next for a service on one machine.
type RunVerb string

const (
	RunNone   RunVerb = "None"   // nothing: it is as wanted, or it waits for something that an event tells
	RunWait   RunVerb = "Wait"   // a run is under way, or a time is not reached
	RunCheck  RunVerb = "Check"  // start: does the machine differ from what is wanted?
	RunApply  RunVerb = "Apply"  // start: make it so
	RunVerify RunVerb = "Verify" // start: check again what was applied
	RunHealth RunVerb = "Health" // start: does the service do its work?
	RunDrift  RunVerb = "Drift"  // start: check whether somebody else changed the machine
	RunRemove RunVerb = "Remove" // start: leave nothing
	RunStop   RunVerb = "Stop"   // end a run whose input is no longer wanted, before anything else is started
	RunDrop   RunVerb = "Drop"   // forget the runs, then the server's entry: nothing of the service is left there
)

// HostState is how a Server stands towards a service.
type HostState string

const (
	HostReady   HostState = "Ready"
	HostWaiting HostState = "Waiting" // it exists and cannot be worked on now
	HostLeaving HostState = "Leaving" // it is being deleted: its machine goes, and what is on it
	HostGone    HostState = "Gone"    // there is no such Server
)

// Host is one server of a service: what is wanted on it, what is recorded of it, what was seen of it.
type Host struct {
	Name      string
	Wanted    bool   // among spec.servers now
	Digest    string // of the input that is wanted there
	Machine   string // the id of the machine that is there now
	State     HostState
	Why       string // why State is not Ready, for people
	Abandoned bool   // a person decided that deletion does not wait for it

	Recorded v1alpha1.ServiceOnServer
	Said     *RunSaid // what the runner said of the run that Asks names; nil when it did not answer
	Err      error    // why it did not answer

	Look HealthLook
}

// HealthLook is where looking at a ready service stands on one server: at its health, and every second time at whether somebody
// else changed the machine. It is kept in the operator's memory only: it changes
// without end, and forgetting it costs one look.
type HealthLook struct {
	Under bool      // a run was started and not yet folded in
	Drift bool      // that run, or else the next one, looks for a drift
	Last  time.Time // when the last one was folded in; zero: not since the operator started
}

// RunState is what a machine knows of a run, in the words of internal/runner.
type RunState string

const (
	RunStateMissing RunState = "Missing" // never begun
	RunStateLost    RunState = "Lost"    // begun, and ended without leaving its outcome
	RunStateWaiting RunState = "Waiting" // for the machine's lock
	RunStateRunning RunState = "Running"
	RunStateExited  RunState = "Exited"
)

// RunSaid is the runner's answer.
type RunSaid struct {
	State    RunState
	Code     int
	Tail     string // redacted
	TimedOut bool
}

// ServiceSeen is everything that the next step of a TaskService depends on.
type ServiceSeen struct {
	UID      string
	Deleting bool
	Version  string               // that is wanted
	Interval time.Duration        // between two looks at a service's health
	Slots    int                  // servers that a change may be under way on at once; 0: 1
	Drift    v1alpha1.DriftPolicy // "": Correct
	Pause    time.Duration        // until the next look at runs under way
	Hosts    []Host               // wanted ones and recorded ones, each name once
}

// RunAction is what to do about one server, as data. The shell first records the status of all servers, then forgets, halts and
// does, in this order.
type RunAction struct {
	Server string
	Do     RunVerb
	ID     string   // of the run to start or to stop
	Halt   []string // runs to stop and forget first: none of them is recorded
	Forget []string // runs whose results Status holds
	Look   HealthLook
	// Then replaces the server's status once Do is done; only for Stop.
	Then *v1alpha1.ServiceOnServer
}

// ServiceStep is the decision for a whole TaskService.
type ServiceStep struct {
	Servers  []v1alpha1.ServiceOnServer // the status to record, the worst first
	Actions  []RunAction                // one a host, in the order of names
	Ready    int32
	Total    int32
	Wake     time.Duration // 0: nothing to wake for
	Notes    []string      // what was skipped and why, for an event
	Outcome  error         // nil: as wanted
	Finished bool          // deleting, and nothing is left
}

// TaskService decides what comes next on every server of a service.
//
// Order is always check, apply, verify, and a look at health before a service counts as ready. First installs run on all servers
// at once, because members of a cluster need each other; changes go to as many servers at a time as there are slots, and stop at
// the first that fails.
func TaskService(seen ServiceSeen, now time.Time) ServiceStep {
	hosts := slices.SortedFunc(slices.Values(seen.Hosts), func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	works := make([]*work, len(hosts))
	for i, host := range hosts {
		works[i] = &work{seen: seen, host: host, now: now, status: host.Recorded}
		works[i].status.Name = host.Name
		works[i].fold()
	}
	turn := turnsOf(works, max(seen.Slots, 1))
	step := ServiceStep{}
	for _, w := range works {
		w.decide(turn)
		step.add(w)
	}
	step.conclude(seen, works)
	return step
}

// add gathers one server's part.
func (s *ServiceStep) add(w *work) {
	if w.note != "" {
		s.Notes = append(s.Notes, w.note)
	}
	if w.dropped {
		return
	}
	s.Servers = append(s.Servers, w.status)
	s.Actions = append(s.Actions, w.action)
	if w.wake > 0 && (s.Wake == 0 || w.wake < s.Wake) {
		s.Wake = w.wake
	}
	if w.host.Wanted {
		s.Total++
		if w.ready() {
			s.Ready++
		}
	}
}

// severity orders servers for people: the worst first.
var severity = map[v1alpha1.ServicePhase]int{
	v1alpha1.ServiceFailed: 0, v1alpha1.ServiceUnhealthy: 1, v1alpha1.ServicePending: 2, v1alpha1.ServiceRemoving: 3,
	v1alpha1.ServiceChecking: 4, v1alpha1.ServiceApplying: 5, v1alpha1.ServiceVerifying: 6, v1alpha1.ServiceUnassigned: 7,
	v1alpha1.ServiceReady: 8,
}

func worstFirst(a, b v1alpha1.ServiceOnServer) int {
	return cmp.Or(cmp.Compare(severity[a.Phase], severity[b.Phase]), cmp.Compare(a.Name, b.Name))
}

// conclude says what the servers' states mean for the service.
func (s *ServiceStep) conclude(seen ServiceSeen, works []*work) {
	slices.SortFunc(s.Servers, worstFirst)
	if seen.Deleting && len(s.Servers) == 0 {
		s.Finished = true
		return
	}
	if !seen.Deleting && s.Ready == s.Total && s.Total > 0 && s.idle() {
		return
	}
	s.Outcome = serviceOutcome(seen, s, works)
}

// idle reports whether nothing but looks at health is to be done.
func (s *ServiceStep) idle() bool {
	return !slices.ContainsFunc(s.Actions, func(a RunAction) bool { return a.Do == RunStop })
}

// serviceOutcome names the worst server. A failure is final only when no other server is still being worked on.
func serviceOutcome(seen ServiceSeen, s *ServiceStep, works []*work) error {
	var worst *work
	moving := false
	for _, w := range works {
		if w.dropped || !w.host.Wanted && !seen.Deleting {
			continue
		}
		moving = moving || w.moving
		if worst == nil || w.badness() < worst.badness() {
			worst = w
		}
	}
	if worst == nil {
		return fault.Waiting(fault.ReasonServerNotFound, 0, "spec.servers matches no Server")
	}
	text := worst.tell(seen, s)
	if worst.failed() && !moving {
		return fault.New(fault.Terminal, worst.reason(), "%s", text)
	}
	return fault.Waiting(worst.reason(), s.Wake, "%s", text)
}
