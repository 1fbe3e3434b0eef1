package plan

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Parting is what becomes of a workflow's children when it is deleted.
type Parting string

const (
	PartDeleted  Parting = "Deleted"  // we delete them, in the order that they keep, and wait until they are gone
	PartReleased Parting = "Released" // we take our owner reference from them
	PartCutLoose Parting = "CutLoose" // the garbage collector takes it from them: nothing is left to do
)

// PartingOf says what becomes of the children of a workflow that is being deleted. What was asked for with the deletion is stronger than
// the policy where it keeps more: --cascade=orphan. Where it would keep less, in a foreground deletion, the policy is stronger.
func PartingOf(w *v1alpha1.BatchWorkflow) Parting {
	switch {
	case slices.Contains(w.Finalizers, metav1.FinalizerOrphanDependents):
		return PartCutLoose
	case w.Spec.DeletionPolicy == v1alpha1.DeletionOrphan:
		return PartReleased
	}
	return PartDeleted
}

// Outlives reports whether a workflow's children are to outlive it, whoever deletes it and in whatever way.
func Outlives(w *v1alpha1.BatchWorkflow) bool {
	return w.Spec.DeletionPolicy == v1alpha1.DeletionOrphan
}
