package plan

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// ServerSummary is what a Server's parts add up to.
type ServerSummary struct {
	Phase   v1alpha1.ServerPhase
	Ready   bool
	Stalled bool // nobody goes on before something changes; else, when not Ready, somebody is at work
	Reason  string
	Message string
}

// SumServer derives a Server's summary from its parts, the conditions Provisioned and Reachable. Both of its controllers use
// it, so that whichever of them writes last writes Ready in the same patch.
func SumServer(s *v1alpha1.Server) ServerSummary {
	provisioned := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ProvisionedCondition)
	reachable := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ReachableCondition)
	switch {
	case !s.DeletionTimestamp.IsZero():
		return serverSummary(v1alpha1.ServerDeleting, v1alpha1.ReasonDeleting, "the server is being deleted", provisioned)
	case provisioned == nil:
		return serverSummary(v1alpha1.ServerPending, v1alpha1.ReasonProgressing, "nothing was asked of the provider yet", nil)
	case provisioned.Status != metav1.ConditionTrue && provisioned.Reason == v1alpha1.ReasonStopped:
		return ServerSummary{Phase: v1alpha1.ServerStopped, Ready: true, Reason: v1alpha1.ReasonStopped, Message: provisioned.Message}
	case provisioned.Status != metav1.ConditionTrue && s.Status.ID == "":
		return serverSummary(v1alpha1.ServerPending, v1alpha1.ReasonProgressing, "nothing was asked of the provider yet", provisioned)
	case provisioned.Status != metav1.ConditionTrue && s.Status.Applied != nil:
		return serverSummary(v1alpha1.ServerUpdating, v1alpha1.ReasonProgressing, "the machine is changed", provisioned)
	case provisioned.Status != metav1.ConditionTrue:
		return serverSummary(v1alpha1.ServerCreating, v1alpha1.ReasonProgressing, "the provider makes the machine", provisioned)
	case reachable == nil || reachable.Status != metav1.ConditionTrue:
		return serverSummary(v1alpha1.ServerBooting, v1alpha1.ReasonProgressing, "the machine runs and has not answered yet", reachable)
	}
	return ServerSummary{Phase: v1alpha1.ServerReady, Ready: true, Reason: v1alpha1.ReasonReady, Message: "the machine runs and answers"}
}

// serverSummary takes reason and message from the part that holds the Server up, where it says so. A reason that stops makes
// any phase but Deleting Failed.
func serverSummary(phase v1alpha1.ServerPhase, reason, message string, part *metav1.Condition) ServerSummary {
	sum := ServerSummary{Phase: phase, Reason: reason, Message: message}
	if part == nil || part.Status != metav1.ConditionFalse {
		return sum
	}
	sum.Reason, sum.Message, sum.Stalled = part.Reason, part.Message, fault.Reason(part.Reason).Stops()
	if sum.Stalled && phase != v1alpha1.ServerDeleting {
		sum.Phase = v1alpha1.ServerFailed
	}
	return sum
}

// SummariseServer writes the summary into the Server's status: phase, Ready, Reconciling and Stalled. A machine that does not
// run is not dialled, which is said here to spare the reach side a write of its own.
func SummariseServer(s *v1alpha1.Server, now time.Time) {
	provisioned := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ProvisionedCondition)
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message,
			ObservedGeneration: s.Status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
		})
	}
	flag := func(kind string, on bool, reason, message string) {
		if on {
			set(kind, metav1.ConditionTrue, reason, message)
			return
		}
		meta.RemoveStatusCondition(&s.Status.Conditions, kind)
	}
	if provisioned != nil { // the generation that counts is the one that the provider's side has dealt with
		s.Status.ObservedGeneration = provisioned.ObservedGeneration
	}
	running := provisioned != nil && provisioned.Status == metav1.ConditionTrue
	if !running && s.DeletionTimestamp.IsZero() { // a Server that is being deleted may still serve those who hold it
		set(v1alpha1.ReachableCondition, metav1.ConditionUnknown, v1alpha1.ReasonNotDialled, "the machine does not run yet")
	}
	sum := SumServer(s)
	ready := metav1.ConditionFalse
	if sum.Ready {
		ready = metav1.ConditionTrue
	}
	s.Status.Phase = sum.Phase
	set(v1alpha1.ReadyCondition, ready, sum.Reason, sum.Message)
	flag(v1alpha1.ReconcilingCondition, !sum.Ready && !sum.Stalled, sum.Reason, sum.Message)
	flag(v1alpha1.StalledCondition, sum.Stalled, sum.Reason, sum.Message)
}
