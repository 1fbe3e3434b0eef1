package reach

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/keelway/keelway/api/v1alpha1"
)

// worthDialling lets through what the provider's side publishes, and a person's wish to try again. Our own writes and its
// other words change nothing about the machine: the two halves of a Server must not wake each other for ever.
func worthDialling() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.Server)
			after, ok2 := e.ObjectNew.(*v1alpha1.Server)
			if !ok1 || !ok2 || !dialable(after) {
				return false
			}
			return !dialable(before) || before.Status.ID != after.Status.ID ||
				!equality.Semantic.DeepEqual(before.Status.Access, after.Status.Access) ||
				before.Annotations[v1alpha1.AnnotationTrust] != after.Annotations[v1alpha1.AnnotationTrust] ||
				before.Annotations[v1alpha1.AnnotationAttempt] != after.Annotations[v1alpha1.AnnotationAttempt]
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
