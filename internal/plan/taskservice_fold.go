package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// work is one server on its way through a decision: first what was said is folded into its status, then the next step is chosen.
type work struct {
	seen   ServiceSeen
	host   Host
	now    time.Time
	status v1alpha1.ServiceOnServer

	action  RunAction // gathered by decide
	forget  []string
	wake    time.Duration
	moving  bool // something happens here without anybody's help
	dropped bool
	note    string
}

// RunID names a run by all that tells it from others: whose it is, on which machine, what it does with which input, and its
// turn. The same intent always has the same id, which is how a run is found again after a crash.
func RunID(uid, machine string, do RunVerb, digest string, turn int32) string {
	h := sha256.New()
	for _, part := range []string{uid, machine, string(do), digest, fmt.Sprint(turn)} {
		fmt.Fprintf(h, "%d:%s", len(part), part) // lengths keep the parts apart
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// id is the run of this round. Removing depends on no input, and looks are never recorded, so they have one id a digest.
func (w *work) id(do RunVerb) string {
	digest, turn := w.host.Digest, w.status.Round
	switch do {
	case RunRemove:
		digest = ""
	case RunHealth, RunDrift:
		digest, turn = w.status.Digest, 0
	}
	return RunID(w.seen.UID, w.status.Machine, do, digest, turn)
}

// Asks is the run that the shell asks the machine about before it calls TaskService; "" when there is none.
func (h Host) Asks(uid string) string {
	if h.State != HostReady || h.Recorded.Machine == "" || h.Recorded.Machine != h.Machine {
		return ""
	}
	if underWay(h.Recorded) {
		return h.Recorded.Run
	}
	if h.Look.Under {
		return (&work{seen: ServiceSeen{UID: uid}, host: h, status: h.Recorded}).lookID()
	}
	return ""
}

// lookID is the run of the look that is under way.
func (w *work) lookID() string {
	if w.host.Look.Drift {
		return w.id(RunDrift)
	}
	return w.id(RunHealth)
}

// underWay reports whether a recorded run may be under way.
func underWay(s v1alpha1.ServiceOnServer) bool {
	return s.Run != "" && s.NextTry == nil && verbs[s.Phase] != ""
}

var verbs = map[v1alpha1.ServicePhase]RunVerb{
	v1alpha1.ServiceChecking: RunCheck, v1alpha1.ServiceApplying: RunApply, v1alpha1.ServiceVerifying: RunVerify, v1alpha1.ServiceRemoving: RunRemove,
}

// fold brings the status up to date with what is wanted, which machine is there and what the runner said.
func (w *work) fold() {
	s, h := &w.status, &w.host
	if !w.seen.Deleting && h.Machine != "" && s.Machine != h.Machine {
		*s = v1alpha1.ServiceOnServer{Name: h.Name, Machine: h.Machine, Phase: v1alpha1.ServicePending}
	}
	if w.settled() && h.Wanted && !w.seen.Deleting && !w.current() {
		restart(s) // it failed with an input that is no longer wanted
	}
	if h.Said == nil {
		return
	}
	if underWay(*s) {
		if w.current() {
			w.foldRun(verbs[s.Phase])
		}
		return
	}
	switch {
	case h.Look.Under && h.Said.State == RunStateExited && h.Look.Drift:
		w.foldDrift()
	case h.Look.Under && h.Said.State == RunStateExited:
		w.foldHealth()
	case h.Look.Under && h.Said.State == RunStateLost:
		h.Look.Under = false
		w.forget = append(w.forget, w.lookID())
	}
}

// settled reports whether a run ended badly and its id is kept to tell its input by.
func (w *work) settled() bool {
	return w.status.Phase == v1alpha1.ServiceFailed || w.status.NextTry != nil
}

// current reports whether the recorded run is one of this round and of the input that is wanted now.
func (w *work) current() bool {
	if w.seen.Deleting {
		return w.status.Run == w.id(RunRemove)
	}
	looked := w.status.Digest == w.host.Digest && w.status.Run == w.id(RunHealth)
	return looked || slices.Contains([]string{w.id(RunCheck), w.id(RunApply), w.id(RunVerify)}, w.status.Run)
}

// Retried lets every server that failed, that waits for its next try or that a repair did not mend begin anew with a check, at
// once. It answers a raised annotation keelway.dev/attempt, and is a no-op for the other servers.
func Retried(servers []v1alpha1.ServiceOnServer) {
	for i := range servers {
		if s := &servers[i]; s.Phase == v1alpha1.ServiceFailed || s.Phase == v1alpha1.ServiceUnhealthy || s.NextTry != nil {
			restart(s)
		}
	}
}

// restart keeps the id of the run that failed, for begin to forget.
func restart(s *v1alpha1.ServiceOnServer) {
	s.Phase, s.Try, s.NextTry, s.Reason, s.Message = v1alpha1.ServicePending, 0, nil, "", ""
}

// foldRun takes over how a recorded run stands.
func (w *work) foldRun(do RunVerb) {
	s, said := &w.status, w.host.Said
	switch said.State {
	case RunStateWaiting:
		w.say(fault.ReasonMachineBusy, "waits until another run lets go of the machine")
		return
	case RunStateLost:
		w.setBack(do, fault.New(fault.Retry, fault.ReasonTransient, "%s was cut off and left no outcome", action(do)))
		return
	case RunStateExited:
	default:
		if !w.repairs() {
			w.say("", "")
		}
		return
	}
	if err := Exit(do, *said); err != nil {
		w.setBack(do, err)
		return
	}
	switch {
	case do == RunCheck && said.Code == exitDiffers:
		s.Phase, s.Run = v1alpha1.ServiceApplying, w.id(RunApply)
	case do == RunApply:
		s.Phase, s.Run = v1alpha1.ServiceVerifying, w.id(RunVerify)
	case do == RunRemove:
		s.Run = "" // recorded before the machine forgets it
	default:
		w.verified()
	}
}

// verified: the machine is as wanted. Whether the service does its work, a look at its health will tell. A service that was as
// wanted before went through a repair: it stays Unhealthy, and what its health says is no failure of a change.
func (w *work) verified() {
	s := &w.status
	s.Phase = v1alpha1.ServiceVerifying
	if s.Digest == w.host.Digest {
		s.Phase = v1alpha1.ServiceUnhealthy
	}
	s.Digest, s.Version, s.Run, s.Try, s.NextTry, s.Drift = w.host.Digest, w.seen.Version, "", 0, nil, ""
	w.host.Look = HealthLook{}
	if s.Reason != string(fault.ReasonUnhealthy) {
		w.say("", "")
	}
}

// foldHealth takes over a look at the service's health.
func (w *work) foldHealth() {
	s := &w.status
	err := Exit(RunHealth, *w.host.Said)
	w.forget = append(w.forget, w.lookID())
	w.host.Look = HealthLook{Last: w.now}
	if err == nil {
		w.host.Look.Drift = s.Phase == v1alpha1.ServiceReady // health and drift take turns
		s.Phase, s.Try = v1alpha1.ServiceReady, 0
		w.say("", "")
		return
	}
	switch {
	case s.Phase == v1alpha1.ServiceReady && !w.corrects():
		s.Phase, w.host.Look.Drift = v1alpha1.ServiceUnhealthy, true // what differs may be why
		w.say(fault.ReasonUnhealthy, err.Error())
	case s.Phase == v1alpha1.ServiceReady, s.Phase == v1alpha1.ServiceUnhealthy && s.Drift != "" && w.corrects(): // it was only told before
		s.Phase = v1alpha1.ServicePending // one round of repair
		w.say(fault.ReasonUnhealthy, err.Error())
	case s.Phase == v1alpha1.ServiceVerifying && fault.IsTerminal(err):
		s.Phase, s.Run = v1alpha1.ServiceFailed, w.id(RunHealth)
		w.say(fault.ReasonOf(err), err.Error())
	case s.Reason != string(fault.ReasonUnhealthy) || s.Message == "": // later words of the same trouble are not worth a write
		w.say(fault.ReasonUnhealthy, err.Error())
	}
}

// corrects reports whether what another hand changed is put back.
func (w *work) corrects() bool {
	return w.seen.Drift == "" || w.seen.Drift == v1alpha1.DriftCorrect
}

// foldDrift takes over a look at whether somebody else changed the machine. Any other answer than "it differs" is no drift: whether
// the service does its work is for its health to say.
func (w *work) foldDrift() {
	s, said := &w.status, *w.host.Said
	w.forget = append(w.forget, w.lookID())
	w.host.Look = HealthLook{Last: w.now}
	switch {
	case said.TimedOut || said.Code != 0 && said.Code != exitDiffers:
	case said.Code == 0:
		s.Drift = ""
	default:
		s.Drift = clip("changed by another hand"+lastWords(said.Tail), maxDrift)
		if w.corrects() {
			s.Phase = v1alpha1.ServicePending // one round that puts it back
			w.say(fault.ReasonDrifted, s.Drift)
		}
	}
}

// setBack keeps a failure: for good, or with the time of the next try.
func (w *work) setBack(do RunVerb, err error) {
	s := &w.status
	w.forget = append(w.forget, w.id(RunCheck), w.id(RunApply), w.id(RunVerify))
	if do == RunRemove {
		w.forget = []string{w.id(RunRemove)}
	}
	w.say(fault.ReasonOf(err), err.Error())
	if fault.IsTerminal(err) {
		s.Phase = v1alpha1.ServiceFailed
		return
	}
	s.Try++
	next := metav1.NewTime(w.now.Add(backoff(fault.ReasonOf(err), s.Try)).Truncate(time.Second).Add(time.Second))
	s.NextTry = &next
	if do == RunCheck || do == RunApply {
		s.Phase = v1alpha1.ServicePending
	}
}

func (w *work) say(reason fault.Reason, message string) {
	w.status.Reason, w.status.Message = string(reason), clip(message, maxServerMessage)
}

const (
	maxDrift         = 512
	maxServerMessage = 900 // the condition names the server before it, within 1 KiB
	firstBackoff     = time.Second
	downloadBackoff  = 5 * time.Second
	longestBackoff   = 5 * time.Minute
)

// backoff doubles from a second, or from five where a mirror is asked, up to five minutes.
func backoff(reason fault.Reason, try int32) time.Duration {
	pause := firstBackoff
	if reason == fault.ReasonDownloadFailed {
		pause = downloadBackoff
	}
	for range min(try-1, 16) {
		pause = min(2*pause, longestBackoff)
	}
	return pause
}
