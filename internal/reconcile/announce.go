package reconcile

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// seen is what an event is due for when it changes. The message is not part of it: it may count progress.
type seen struct {
	ready, reason string
	stalled       bool
}

func see(obj v1alpha1.Object) seen {
	c := Condition(obj, v1alpha1.ReadyCondition)
	if c == nil {
		return seen{}
	}
	return seen{ready: string(c.Status), reason: c.Reason, stalled: Condition(obj, v1alpha1.StalledCondition) != nil}
}

// onItsWay are the reasons with which nothing is amiss and nobody is waited for.
var onItsWay = []string{string(fault.ReasonInProgress), string(fault.ReasonQueued), v1alpha1.ReasonProgressing, v1alpha1.ReasonDeleting}

// smooth reports whether nothing is amiss: nobody has looked yet, it is ready, or on its way to be or to go.
func (s seen) smooth() bool {
	return s.ready == "" || !s.stalled && (s.ready == string(metav1.ConditionTrue) || slices.Contains(onItsWay, s.reason))
}

// news says whether a change of what people see is worth an event, and of which type. An event costs as much as any other write, and a
// thousand Servers would tell the same a thousand times: that the first look found an object on its way is no news, and of an object that
// was ordered, by a workflow, nothing is that goes as it should: who ordered it tells how far it is.
func news(before, now seen, ordered bool) (kind string, due bool) {
	switch {
	case now == before || now.ready == "":
		return "", false
	case now.stalled:
		return corev1.EventTypeWarning, true
	case before.ready == "" && now.ready != string(metav1.ConditionTrue) && now.smooth(),
		ordered && before.smooth() && now.smooth():
		return "", false
	}
	return corev1.EventTypeNormal, true
}

// announce emits the event that a walk is worth, after the change is durable.
func (k Kit) announce(obj Object, before seen) {
	kind, due := news(before, see(obj), metav1.GetControllerOfNoCopy(obj) != nil)
	if !due {
		return
	}
	ready := Condition(obj, v1alpha1.ReadyCondition)
	k.Events.Eventf(obj, nil, kind, ready.Reason, "Reconcile", "%s", ready.Message)
}
