package plan

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

func TestParting(t *testing.T) {
	for name, tc := range map[string]struct {
		reason     string
		policy     v1alpha1.DeletionPolicy
		finalizers []string
		want       Parting
		outlives   bool
	}{
		"no policy":           {"as of a release that knew none", "", []string{v1alpha1.Finalizer}, PartDeleted, false},
		"Delete":              {"the default", v1alpha1.DeletionDelete, []string{v1alpha1.Finalizer}, PartDeleted, false},
		"Delete, foreground":  {"the collector deletes them as well", v1alpha1.DeletionDelete, []string{v1alpha1.Finalizer, metav1.FinalizerDeleteDependents}, PartDeleted, false},
		"Delete, for orphans": {"who deletes may keep more than the policy", v1alpha1.DeletionDelete, []string{metav1.FinalizerOrphanDependents, v1alpha1.Finalizer}, PartCutLoose, false},
		"Orphan":              {"the policy", v1alpha1.DeletionOrphan, []string{v1alpha1.Finalizer}, PartReleased, true},
		"Orphan, foreground":  {"who deletes may not keep less", v1alpha1.DeletionOrphan, []string{v1alpha1.Finalizer, metav1.FinalizerDeleteDependents}, PartReleased, true},
		"Orphan, for orphans": {"both want the same", v1alpha1.DeletionOrphan, []string{v1alpha1.Finalizer, metav1.FinalizerOrphanDependents}, PartCutLoose, true},
	} {
		w := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Finalizers: tc.finalizers}, Spec: v1alpha1.BatchWorkflowSpec{DeletionPolicy: tc.policy}}
		if got := PartingOf(w); got != tc.want {
			t.Errorf("%s: %s, want %s: %s", name, got, tc.want, tc.reason)
		}
		if Outlives(w) != tc.outlives {
			t.Errorf("%s: its children outlive it: %t", name, !tc.outlives)
		}
	}
}
