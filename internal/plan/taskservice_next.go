package plan

import (
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

const (
	unreachablePause = 5 * time.Second // until a machine that did not answer is asked again
	formingPause     = time.Second     // between looks at a fresh service whose quorum may still form
	unhealthyPause   = 5 * time.Second // between looks at a service that was repaired and is not well
)

// decide chooses the next step of this server. turn says which servers may begin a change.
func (w *work) decide(turn turns) {
	w.action = RunAction{Server: w.host.Name, Do: RunNone}
	switch {
	case w.seen.Deleting:
		w.remove()
	case !w.host.Wanted:
		w.unassign()
	case w.host.State != HostReady:
		w.unready()
	case w.silent():
	case underWay(w.status):
		w.follow()
	default:
		w.keep(turn)
	}
	w.action.Forget, w.action.Look = w.forget, w.host.Look
	w.action.Look.Under = w.action.Look.Under || w.action.Do == RunHealth || w.action.Do == RunDrift
}

// unready waits for the Server. What is under way on its machine stays recorded, and is asked about when it is back.
func (w *work) unready() {
	s, reason, why := &w.status, fault.ReasonDependency, w.host.Why
	if w.host.State == HostGone {
		reason, why = fault.ReasonServerNotFound, why+": create it, or take it out of spec.servers"
	}
	if s.Phase == v1alpha1.ServiceReady || s.Phase == "" || s.Phase == v1alpha1.ServiceUnassigned {
		s.Phase = v1alpha1.ServicePending // a check when it is back
	}
	if s.Phase != v1alpha1.ServiceFailed {
		w.say(reason, why)
	}
}

// silent reports whether the machine did not answer, and when to ask again. A service that was well is not called unwell for
// that: whether a machine is reachable, its Server tells.
func (w *work) silent() bool {
	if w.host.Err == nil {
		return false
	}
	if w.status.Phase != v1alpha1.ServiceReady && w.status.Phase != v1alpha1.ServiceFailed {
		w.say(fault.ReasonOf(w.host.Err), w.host.Err.Error())
	}
	if !fault.IsTerminal(w.host.Err) {
		w.wakeIn(max(unreachablePause, fault.AfterOf(w.host.Err)))
	}
	return true
}

// follow goes on with a recorded run: starts it when it is not begun, waits while it is under way, ends it when its input is
// no longer wanted. A second run of the service on this machine never begins while the first may be alive.
func (w *work) follow() {
	s := &w.status
	w.moving = true
	switch said := w.host.Said; {
	case !w.current():
		then := *s
		then.Phase, then.Run, then.Try, then.Reason, then.Message = v1alpha1.ServicePending, "", 0, "", ""
		w.action.Do, w.action.ID, w.action.Then = RunStop, s.Run, &then
		w.wakeIn(w.seen.Pause)
	case s.Run != w.host.Recorded.Run || said == nil || said.State == RunStateMissing:
		w.start(verbs[s.Phase])
	default:
		w.action.Do = RunWait
		w.wakeIn(w.seen.Pause)
	}
}

func (w *work) start(do RunVerb) {
	w.moving = true
	w.action.Do, w.action.ID = do, w.id(do)
	w.wakeIn(w.seen.Pause)
}

// keep decides for a server on which nothing of the service is under way.
func (w *work) keep(turn turns) {
	s := &w.status
	if s.NextTry != nil && w.now.Before(s.NextTry.Time) {
		w.action.Do = RunWait
		w.wakeIn(s.NextTry.Sub(w.now))
		return
	}
	switch {
	case s.Phase == v1alpha1.ServiceFailed:
	case s.Phase == v1alpha1.ServiceVerifying && s.NextTry != nil:
		w.forget = append(w.forget, s.Run)
		s.Round++
		s.NextTry, s.Run = nil, w.id(RunVerify)
		w.start(RunVerify)
	case s.Digest == w.host.Digest && (s.Phase == v1alpha1.ServiceReady || s.Phase == v1alpha1.ServiceUnhealthy || s.Phase == v1alpha1.ServiceVerifying):
		w.look()
	default:
		w.begin(turn)
	}
}

// begin starts a round with a check, when it is this server's turn.
func (w *work) begin(turn turns) {
	s := &w.status
	if w.changes() && !turn.may[w.host.Name] {
		s.Phase = v1alpha1.ServicePending
		if s.Digest != w.host.Digest {
			w.say(fault.ReasonQueued, turn.why)
		}
		return
	}
	if s.Run != "" {
		w.forget = append(w.forget, s.Run)
	}
	if w.host.Look.Under {
		w.action.Halt, w.host.Look = []string{w.lookID()}, HealthLook{}
	}
	if !w.repairs() { // a repair says what it repairs until it is done
		w.say("", "")
	}
	s.Round++
	s.Phase, s.NextTry = v1alpha1.ServiceChecking, nil
	s.Run = w.id(RunCheck)
	w.start(RunCheck)
}

// comparable reports whether what somebody else changed is of interest: on a ready service, and on one that is found unhealthy and is
// not repaired.
func (w *work) comparable() bool {
	reported := w.status.Phase == v1alpha1.ServiceUnhealthy && w.seen.Drift == v1alpha1.DriftReport
	return reported || w.status.Phase == v1alpha1.ServiceReady && w.seen.Drift != v1alpha1.DriftIgnore
}

// look asks after the service when it is time to.
func (w *work) look() {
	s, l := &w.status, &w.host.Look
	if !l.Under && !w.comparable() {
		l.Drift = false
	}
	do := RunHealth
	if l.Drift {
		do = RunDrift
	}
	if l.Under {
		w.moving = s.Phase != v1alpha1.ServiceReady && s.Reason == ""
		w.action.Do, w.action.ID = RunWait, w.id(do)
		if w.host.Said == nil || w.host.Said.State == RunStateMissing {
			w.action.Do = do
		}
		w.wakeIn(w.seen.Pause)
		return
	}
	if left := l.Last.Add(w.pause()).Sub(w.now); !l.Last.IsZero() && left > 0 {
		w.wakeIn(left)
		return
	}
	if l.Last.IsZero() && s.Phase != v1alpha1.ServiceReady { // its round is over and recorded as such
		w.forget = append(w.forget, w.id(RunCheck), w.id(RunApply), w.id(RunVerify))
	}
	w.moving = s.Phase != v1alpha1.ServiceReady && s.Reason == ""
	w.action.Do, w.action.ID = do, w.id(do)
	w.wakeIn(w.seen.Pause)
}

func (w *work) pause() time.Duration {
	switch w.status.Phase {
	case v1alpha1.ServiceVerifying:
		return formingPause
	case v1alpha1.ServiceUnhealthy:
		return min(unhealthyPause, w.seen.Interval)
	}
	return w.seen.Interval
}

func (w *work) wakeIn(d time.Duration) {
	if d = max(d, time.Millisecond); w.wake == 0 || d < w.wake {
		w.wake = d
	}
}
