package plan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// remove takes the service off a server: what runs there is ended first, then the recipe's remove runs, then its runs are
// forgotten. A machine that goes, is gone or is another one now takes the service with it.
func (w *work) remove() {
	s, h := &w.status, w.host
	switch {
	case s.Round == 0 || s.Machine == "":
		w.dropped = true // nothing was ever begun there
	case h.State == HostGone:
		w.skip("is gone")
	case h.State == HostLeaving:
		w.skip("is being deleted")
	case h.Machine != "" && h.Machine != s.Machine:
		w.skip("has another machine now")
	case h.Abandoned:
		w.skip("was abandoned, and what the service left there stays")
	case h.State != HostReady:
		w.say(fault.ReasonDeletionBlocked, fmt.Sprintf("remove waits: %s; to leave behind what is on it, set the annotation %s=%s", h.Why, v1alpha1.AnnotationAbandon, h.Name))
	case w.silent():
	case underWay(*s):
		w.follow()
	case s.Phase == v1alpha1.ServiceRemoving && s.Run == "":
		w.moving = true
		w.action.Do = RunDrop
		w.forget = append(w.forget, w.id(RunRemove))
		w.wakeIn(w.seen.Pause)
	case s.Phase == v1alpha1.ServiceFailed && w.current():
	case s.Phase == v1alpha1.ServiceRemoving && s.NextTry != nil && w.now.Before(s.NextTry.Time):
		w.action.Do = RunWait
		w.wakeIn(s.NextTry.Sub(w.now))
	default:
		if s.Run != "" {
			w.forget = append(w.forget, s.Run)
		}
		w.action.Halt, w.host.Look = []string{w.id(RunHealth), w.id(RunDrift)}, HealthLook{}
		w.say("", "")
		s.Round++
		s.Phase, s.NextTry = v1alpha1.ServiceRemoving, nil
		s.Run = w.id(RunRemove)
		w.start(RunRemove)
	}
}

func (w *work) skip(why string) {
	w.dropped = true
	w.note = fmt.Sprintf("nothing is removed from server %s: it %s", w.host.Name, why)
}

// unassign reports a server that no longer matches. The service stays on it until the TaskService is deleted.
func (w *work) unassign() {
	s, h := &w.status, w.host
	switch {
	case s.Round == 0 || s.Machine == "" || h.State == HostGone:
		w.dropped = true
	case underWay(*s) && h.State != HostReady:
		w.say(fault.ReasonDependency, h.Why)
	case underWay(*s):
		w.follow()
	default:
		if s.Run != "" {
			w.forget = append(w.forget, s.Run)
		}
		s.Phase, s.Run, s.Try, s.NextTry = v1alpha1.ServiceUnassigned, "", 0, nil
		w.say("", "no longer matches spec.servers; the service is still on it")
	}
}

func (w *work) ready() bool { return w.status.Phase == v1alpha1.ServiceReady }

// failed reports whether nothing more happens here by itself.
func (w *work) failed() bool {
	return w.status.Phase == v1alpha1.ServiceFailed || w.host.Err != nil && fault.IsTerminal(w.host.Err)
}

// badness orders servers by how much a person needs to hear of them.
func (w *work) badness() int {
	queued := w.status.Reason == string(fault.ReasonQueued)
	switch {
	case w.failed():
		return 0
	case w.status.Phase == v1alpha1.ServiceUnhealthy:
		return 1
	case w.status.Reason != "" && !queued:
		return 2
	case !queued:
		return 3 + severity[w.status.Phase]
	}
	return 100
}

// reason is the word for what holds this server up.
func (w *work) reason() fault.Reason {
	switch reason := fault.Reason(w.status.Reason); {
	case w.host.Err != nil:
		return fault.ReasonOf(w.host.Err)
	case reason != "" && reason != fault.ReasonQueued:
		return reason
	}
	return fault.ReasonInProgress
}

// tell is the sentence that people read on the TaskService.
func (w *work) tell(seen ServiceSeen, s *ServiceStep) string {
	words := w.status.Message
	if w.host.Err != nil {
		words = w.host.Err.Error()
	}
	if words == "" {
		words = strings.ToLower(string(w.status.Phase))
	}
	if !strings.Contains(words, "Server "+w.host.Name) { // some words name it themselves
		words = fmt.Sprintf("server %s: %s", w.host.Name, words)
	}
	if seen.Deleting {
		return words
	}
	return fmt.Sprintf("%s (%d of %d ready)", words, s.Ready, s.Total)
}

// ServiceReady is what a TaskService says that is ready.
func ServiceReady(t *v1alpha1.TaskService) string {
	return fmt.Sprintf("version %s is healthy on %d of %d servers", t.Status.Version, t.Status.Ready, t.Status.Total)
}

// ServicePhase is the one word for a TaskService, from its conditions and servers alone.
func ServicePhase(t *v1alpha1.TaskService) v1alpha1.TaskServicePhase {
	switch {
	case !t.DeletionTimestamp.IsZero():
		return v1alpha1.TaskServiceRemoving
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ReadyCondition):
		return v1alpha1.TaskServiceReady
	case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.StalledCondition):
		return v1alpha1.TaskServiceFailed
	}
	begun, unwell := false, false
	for _, s := range t.Status.Servers {
		begun = begun || s.Round > 0
		unwell = unwell || s.Reason == string(fault.ReasonUnhealthy) || s.Reason == string(fault.ReasonDependency)
	}
	switch {
	case t.Status.Version == "" && begun:
		return v1alpha1.TaskServiceInstalling
	case t.Status.Version == "":
		return v1alpha1.TaskServicePending
	case unwell:
		return v1alpha1.TaskServiceDegraded
	}
	return v1alpha1.TaskServiceUpdating
}

// Attempt is the number in an object's annotation keelway.dev/attempt; 0 where there is none.
func Attempt(child metav1.Object) int32 { return attemptOf(child) }

// NotDone notes on a server why an action could not be done there. A run that can never be started is a failure; anything else
// is looked at again, and the action follows anew from what is found.
func NotDone(s *v1alpha1.ServiceOnServer, err error) {
	if fault.IsGone(err) {
		return // the machine is gone, which its Server will tell
	}
	reason := fault.ReasonOf(err)
	if fault.IsTerminal(err) && reason != fault.ReasonDriverNotAllowed && s.Run != "" {
		s.Phase = v1alpha1.ServiceFailed
	}
	if s.Phase != v1alpha1.ServiceReady {
		s.Reason, s.Message = string(reason), clip(err.Error(), maxServerMessage)
	}
}
