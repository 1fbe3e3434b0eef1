package plan

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// OnceVerb is what is done next for a Run.
type OnceVerb string

const (
	OnceNone  OnceVerb = "None"  // it has ended, or it waits
	OnceStart OnceVerb = "Start" // record the status, then start the run of its id on the machine
	OnceProbe OnceVerb = "Probe" // ask from the operator, and judge
	OnceEnd   OnceVerb = "End"   // stop the run and forget it: the object goes
)

// RunSeen is everything that the next step of a Run depends on.
type RunSeen struct {
	UID      string
	Deleting bool
	Asked    int32 // the annotation's attempt
	Spec     v1alpha1.RunSpec
	Status   v1alpha1.RunStatus

	// The target's Server, for a Run that has a target.
	State   HostState
	Why     string
	Machine string

	Said *OnceSaid // what the runner said of status.id; nil when it was not asked
	Err  error     // why it did not answer
}

// OnceSaid is the runner's answer for a Run.
type OnceSaid struct {
	State     RunState
	StartedAt time.Time
	EndedAt   time.Time
	Report    RunReport
	Tail      string
	Outputs   map[string]string
}

// RunStep is the decision: the status to record before the deed, and what the conditions say.
type RunStep struct {
	Do      OnceVerb
	Status  v1alpha1.RunStatus
	Outcome error // nil: Succeeded; Terminal with phase Failed or Unknown: ended otherwise
	Note    string
	Done    bool // deleting, and nothing is left to do outside
}

// Ended reports whether a Run has its result. It is never done again, unless it did not succeed and a higher attempt is asked for.
func Ended(phase v1alpha1.RunPhase) bool {
	return phase == v1alpha1.RunSucceeded || phase == v1alpha1.RunFailed || phase == v1alpha1.RunUnknown
}

// Again reports whether an ended Run is asked to be done once more.
func Again(status v1alpha1.RunStatus, asked int32) bool {
	return (status.Phase == v1alpha1.RunFailed || status.Phase == v1alpha1.RunUnknown) && asked > status.Attempt
}

// Run decides what comes next for a Run. A command is started once for each attempt: when it cannot be known how a command that
// had begun went on, spec.onUnknown decides, and unless it says otherwise the Run ends Unknown and nothing is repeated. Probes
// change nothing and are simply asked again.
func Run(seen RunSeen, now time.Time) RunStep {
	step := RunStep{Do: OnceNone, Status: *seen.Status.DeepCopy()}
	switch {
	case seen.Deleting:
		step.leave(seen)
		return step
	case Again(seen.Status, seen.Asked):
		step.Status = v1alpha1.RunStatus{ObservedGeneration: seen.Status.ObservedGeneration, Conditions: step.Status.Conditions}
		seen.Said, seen.Err = nil, nil
	case Ended(seen.Status.Phase):
		if seen.Status.Phase == v1alpha1.RunSucceeded { // whatever attempt is asked for: it has succeeded
			step.Status.Attempt = max(seen.Asked, seen.Status.Attempt)
		}
		return step
	}
	step.Status.Attempt = max(seen.Asked, step.Status.Attempt)
	if seen.Status.Phase == v1alpha1.RunRunning {
		step.Status.Attempt = seen.Status.Attempt // of the attempt that runs
	}
	switch {
	case seen.Spec.Target == nil:
		step.Do, step.Status.Phase = OnceProbe, v1alpha1.RunRunning
	case step.Status.ID == "":
		step.begin(seen)
	default:
		step.follow(seen, now)
	}
	return step
}

// begin gives the run its id and its machine.
func (s *RunStep) begin(seen RunSeen) {
	s.Status.Phase = v1alpha1.RunPending
	switch seen.State {
	case HostReady:
		s.Status.Phase = v1alpha1.RunRunning
		s.Status.Machine = seen.Machine
		s.Status.ID = s.id(seen, seen.Machine)
		s.Do = OnceStart
		s.Outcome = fault.Waiting(fault.ReasonInProgress, PollPause(0), "starts on server %s", seen.Spec.Target.ServerRef.Name)
	case HostGone:
		s.Outcome = fault.Waiting(fault.ReasonServerNotFound, 0, "%s: create it, or make this Run anew with the right target", seen.Why)
	default:
		s.Outcome = fault.Waiting(fault.ReasonDependency, 0, "%s", seen.Why)
	}
}

// id is that of the run of this attempt, or of asking for its outcome; each start after an unknown outcome has another.
func (s *RunStep) id(seen RunSeen, machine string) string {
	verb, turn := RunVerb(seen.Spec.Action), ""
	if s.Status.Verifying {
		verb = RunVerify
	}
	if s.Status.Repeats > 0 {
		turn = fmt.Sprint(s.Status.Repeats)
	}
	return RunID(seen.UID, machine, verb, turn, s.Status.Attempt)
}

// follow goes on with a run that was recorded.
func (s *RunStep) follow(seen RunSeen, now time.Time) {
	server := seen.Spec.Target.ServerRef.Name
	switch {
	case seen.State == HostGone, seen.Machine != "" && seen.Machine != seen.Status.Machine:
		s.vanished(seen, fault.ReasonMachineLost, fmt.Sprintf("machine %s of server %s is gone", seen.Status.Machine, server), now)
	case seen.State != HostReady:
		s.Outcome = fault.Waiting(fault.ReasonDependency, 0, "cannot be followed: %s", seen.Why)
	case seen.Err != nil && fault.IsTerminal(seen.Err):
		s.Outcome = seen.Err
	case seen.Err != nil:
		s.Outcome = fault.Waiting(fault.ReasonOf(seen.Err), unreachablePause, "cannot be followed: %w", seen.Err)
	case seen.Said == nil, seen.Said.State == RunStateMissing && s.Status.StartedAt == nil:
		s.Do = OnceStart // recorded and not begun: the id makes this safe to repeat
		s.Outcome = fault.Waiting(fault.ReasonInProgress, PollPause(0), "starts on server %s", server)
	case seen.Said.State == RunStateMissing:
		s.vanished(seen, fault.ReasonOutcomeUnknown, fmt.Sprintf("machine %s no longer knows the run", seen.Status.Machine), now)
	case seen.Said.State == RunStateLost:
		s.vanished(seen, fault.ReasonOutcomeUnknown, fmt.Sprintf("machine %s was cut off in the middle of the run", seen.Status.Machine), now)
	case seen.Said.State == RunStateWaiting:
		s.Outcome = fault.Waiting(fault.ReasonMachineBusy, time.Second, "waits until another run lets go of server %s", server)
	case seen.Said.State == RunStateRunning:
		s.started(seen.Said.StartedAt, now)
		s.Outcome = fault.Waiting(fault.ReasonInProgress, PollPause(now.Sub(s.Status.StartedAt.Time)), "runs on server %s", server)
	case s.Status.Verifying:
		s.verified(seen, now)
	default:
		s.Finish(seen.Spec, *seen.Said, now)
	}
}

// unknown decides about a command whose outcome cannot be known, as its spec says; it reports whether that leaves nothing but to
// end it. Nothing is repeated in silence: the status counts it.
func (s *RunStep) unknown(seen RunSeen, why string) (ends bool) {
	sameMachine := seen.State == HostReady && seen.Machine == seen.Status.Machine
	switch {
	case s.Status.Verifying: // it could not be asked either
		return true
	case seen.Spec.OnUnknown == v1alpha1.OnUnknownRetry:
		s.repeat(seen, why)
		return false
	case seen.Spec.OnUnknown == v1alpha1.OnUnknownVerify && sameMachine:
		s.Status.Verifying, s.Status.StartedAt = true, nil
		s.Status.ID, s.Do = s.id(seen, seen.Machine), OnceStart
		s.Outcome = fault.Waiting(fault.ReasonInProgress, PollPause(0), "%s: asks on server %s whether it took effect", why, seen.Spec.Target.ServerRef.Name)
		return false
	}
	return true
}

// repeat starts the command once more, under an id of its own.
func (s *RunStep) repeat(seen RunSeen, why string) {
	s.Status.Repeats++
	s.Status.Verifying, s.Status.Machine, s.Status.ID, s.Status.StartedAt = false, "", "", nil
	s.begin(seen)
	if s.Do == OnceStart {
		s.Outcome = fault.Waiting(fault.ReasonInProgress, PollPause(0), "%s: starts once more on server %s", why, seen.Spec.Target.ServerRef.Name)
	}
}

// verified takes over what the script verify found.
func (s *RunStep) verified(seen RunSeen, now time.Time) {
	switch code := seen.Said.Report.Code; {
	case seen.Said.Report.TimedOut || code != 0 && code != exitDiffers:
		s.vanished(seen, fault.ReasonOutcomeUnknown, fmt.Sprintf("verify ended with code %d%s", code, lastWords(seen.Said.Report.Text)), now)
	case code == exitDiffers:
		s.repeat(seen, "verify found no effect")
	default:
		s.Status.Verifying, s.Status.Phase, s.Status.Tail = false, v1alpha1.RunSucceeded, seen.Said.Tail
		s.started(seen.Said.StartedAt, now)
		s.end(nil, now)
	}
}

// vanished ends a command whose outcome cannot be known. A probe has no outcome to lose: it is asked anew.
func (s *RunStep) vanished(seen RunSeen, reason fault.Reason, why string, now time.Time) {
	switch {
	case seen.Spec.Action != v1alpha1.RunCommand && seen.Said == nil:
		s.Status.Machine, s.Status.ID, s.Status.StartedAt = "", "", nil
		s.begin(seen)
		return
	case seen.Spec.Action != v1alpha1.RunCommand: // this id is spent: the next one is that of another attempt
		s.Status.Phase = v1alpha1.RunFailed
		s.end(nil, now)
		s.Outcome = fault.New(fault.Terminal, fault.ReasonExpectationFailed, "%s: %s", subject(seen.Spec), why)
		return
	}
	if !s.unknown(seen, why) {
		return
	}
	s.Status.Phase, s.Status.Verifying = v1alpha1.RunUnknown, false
	s.end(nil, now)
	s.Outcome = fault.New(fault.Terminal, reason, "%s: whether the script ran to its end cannot be known; look at the server, then raise the annotation %s to run it again",
		why, v1alpha1.AnnotationAttempt)
}

// Finish takes the result over, judged by what was expected.
func (s *RunStep) Finish(spec v1alpha1.RunSpec, said OnceSaid, now time.Time) {
	s.started(said.StartedAt, now)
	s.Outcome = Judge(spec, said.Report)
	s.Status.Phase = v1alpha1.RunSucceeded
	if s.Outcome != nil {
		s.Status.Phase = v1alpha1.RunFailed
	}
	if said.Report.Failure == "" && spec.Action != v1alpha1.RunTCP {
		code := int32(said.Report.Code)
		s.Status.ExitCode = &code
	}
	s.Status.Tail, s.Status.Outputs = said.Tail, said.Outputs
	var at *time.Time
	if !said.EndedAt.IsZero() {
		at = &said.EndedAt
	}
	s.end(at, now)
}

func (s *RunStep) started(at, now time.Time) {
	if s.Status.StartedAt != nil {
		return
	}
	if at.IsZero() {
		at = now
	}
	t := metav1.NewTime(at)
	s.Status.StartedAt = &t
}

// end dates the end by the clock that dated the start where it can.
func (s *RunStep) end(at *time.Time, now time.Time) {
	t := metav1.NewTime(now)
	if at != nil {
		t = metav1.NewTime(*at)
	}
	s.Status.FinishedAt = &t
	if s.Status.StartedAt != nil {
		s.Status.Duration = max(t.Sub(s.Status.StartedAt.Time), 0).Round(time.Millisecond).String()
	}
}

// leave lets go of a Run: what it started on a machine is ended there, unless the machine goes as well.
func (s *RunStep) leave(seen RunSeen) {
	switch {
	case seen.Status.ID == "" || seen.Spec.Target == nil:
		s.Done = true
	case seen.State == HostGone || seen.State == HostLeaving || seen.Machine != "" && seen.Machine != seen.Status.Machine:
		s.Done = true
		if !Ended(seen.Status.Phase) {
			s.Note = fmt.Sprintf("the run on server %s is not ended: its machine goes", seen.Spec.Target.ServerRef.Name)
		}
	case seen.State == HostReady:
		s.Do = OnceEnd
	case Ended(seen.Status.Phase):
		s.Done = true // a directory of a few files stays behind on a machine that does not answer
	default:
		s.Outcome = fault.Waiting(fault.ReasonDeletionBlocked, 0, "its run cannot be ended: %s", seen.Why)
	}
}

const (
	shortestPoll = 250 * time.Millisecond
	longestPoll  = 2 * time.Second
)

// PollPause is how long to wait before a run is looked at again that began, or made progress, so long ago.
func PollPause(since time.Duration) time.Duration {
	return min(max(since/8, shortestPoll), longestPoll)
}
