package plan

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Standing says whether scripts can be run on the Server of that name, and why not, for people. The server is nil when there is
// none.
func Standing(name string, server *v1alpha1.Server) (HostState, string) {
	if server == nil {
		return HostGone, fmt.Sprintf("there is no Server %s", name)
	}
	ready := meta.FindStatusCondition(server.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case !server.DeletionTimestamp.IsZero():
		return HostLeaving, fmt.Sprintf("Server %s is being deleted", name)
	case ready == nil:
		return HostWaiting, fmt.Sprintf("Server %s is not ready yet", name)
	case ready.Status != metav1.ConditionTrue:
		return HostWaiting, fmt.Sprintf("Server %s is not ready: %s", name, ready.Reason)
	case ready.Reason == v1alpha1.ReasonStopped:
		return HostWaiting, fmt.Sprintf("Server %s is powered off: spec.power is %s", name, v1alpha1.PowerStopped)
	case server.Status.ID == "" || server.Status.Access == nil || server.Status.Facts == nil:
		return HostWaiting, fmt.Sprintf("Server %s has no machine yet", name)
	}
	return HostReady, ""
}

// Stirs reports whether a change of a Server can matter to what is done on it, unlike most words of its conditions.
func Stirs(before, after *v1alpha1.Server) bool {
	was, _ := Standing("", before)
	is, _ := Standing("", after)
	return was != is || before.Status.ID != after.Status.ID ||
		!equality.Semantic.DeepEqual(before.Labels, after.Labels) ||
		!equality.Semantic.DeepEqual(before.Status.Access, after.Status.Access) ||
		!equality.Semantic.DeepEqual(before.Status.Facts, after.Status.Facts)
}
