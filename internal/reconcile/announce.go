package reconcile

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// seen is what an event is due for when it changes. The message is not part of it: it may count progress.
type seen struct{ ready, reason string }

func see(obj v1alpha1.Object) seen {
	c := Condition(obj, v1alpha1.ReadyCondition)
	if c == nil {
		return seen{}
	}
	return seen{ready: string(c.Status), reason: c.Reason}
}

// announce emits one event when the walk changed what people see, after that change is durable.
func (k Kit) announce(obj Object, before seen) {
	ready := Condition(obj, v1alpha1.ReadyCondition)
	if ready == nil || see(obj) == before {
		return
	}
	kind := corev1.EventTypeNormal
	if Condition(obj, v1alpha1.StalledCondition) != nil {
		kind = corev1.EventTypeWarning
	}
	k.Events.Eventf(obj, nil, kind, ready.Reason, "Reconcile", "%s", ready.Message)
}
