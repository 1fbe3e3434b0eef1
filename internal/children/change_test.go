package children_test

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
)

// TestRewriteChangesOnce: a child is changed together with what says so, once an attempt, and never another object of its name.
func TestRewriteChangesOnce(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	ref := func(uid *v1alpha1.Server) client.Object {
		return children.Ref("Server", s.Namespace, s.Name, uid.UID)
	}
	rewrites := 0
	protect := func(o client.Object) error {
		rewrites++
		o.(*v1alpha1.Server).Spec.DeletionProtection = v1alpha1.SwitchEnabled
		o.GetAnnotations()[v1alpha1.AnnotationAttempt] = "2"
		return nil
	}
	for range 2 {
		want(t, h.hand.Rewrite(t.Context(), h.workflow, "9", ref(s), 2, protect), 0, "")
	}
	got := h.get(s.Name)
	if rewrites != 1 || got.Spec.DeletionProtection != v1alpha1.SwitchEnabled || got.Annotations[v1alpha1.AnnotationOrderedBy] != "9" {
		t.Errorf("after %d changes it is %+v", rewrites, got)
	}
	other := s.DeepCopy()
	other.UID = "another"
	want(t, h.hand.Rewrite(t.Context(), h.workflow, "9", ref(other), 3, protect), fault.Gone, fault.ReasonNotFound)
	want(t, h.hand.Rewrite(t.Context(), h.workflow, "9", ref(s), 3, func(o client.Object) error {
		o.(*v1alpha1.Server).Spec.Zone = "elsewhere"
		return nil
	}), fault.Terminal, fault.ReasonInvalid, "zone cannot be changed")
}

// TestRewriteLosesNoWrite: what somebody wrote between the look and the write is not overwritten.
func TestRewriteLosesNoWrite(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	err := h.hand.Rewrite(t.Context(), h.workflow, "9", children.Ref("Server", s.Namespace, s.Name, s.UID), 2, func(o client.Object) error {
		between := h.get(s.Name)
		between.Labels["between"] = "yes"
		if err := h.Client.Update(t.Context(), between); err != nil {
			t.Fatal(err)
		}
		o.(*v1alpha1.Server).Spec.Size = "large"
		return nil
	})
	if !apierrors.IsConflict(err) || h.get(s.Name).Spec.Size != "" {
		t.Errorf("error %v, size %q", err, h.get(s.Name).Spec.Size)
	}
}

// TestAdoptTakesWhatIsLoose: an object that lost its owner is taken over; one that has another owner, or other labels, is not.
func TestAdoptTakesWhatIsLoose(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	s.OwnerReferences = nil
	if err := h.Client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	want(t, h.hand.Ensure(t.Context(), h.workflow, "8", h.server("0")), fault.Gone, fault.ReasonOrphaned)
	adopt := func(o client.Object) error { o.GetAnnotations()[v1alpha1.AnnotationEffect] = "Adopted"; return nil }
	want(t, h.hand.Adopt(t.Context(), h.workflow, "8", h.server("0"), adopt), 0, "")
	got := h.get(s.Name)
	if owner := metav1.GetControllerOf(got); owner == nil || owner.UID != h.workflow.UID || got.Annotations[v1alpha1.AnnotationEffect] != "Adopted" {
		t.Errorf("adopted: %+v", got.ObjectMeta)
	}
	want(t, h.hand.Adopt(t.Context(), h.newWorkflow(h.workflow.Namespace, "other"), "8", h.server("0"), adopt), fault.Terminal, fault.ReasonNameTaken)

	foreign := h.child("1")
	foreign.OwnerReferences, foreign.Labels = nil, nil
	if err := h.Client.Update(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	want(t, h.hand.Ensure(t.Context(), h.workflow, "8", h.server("1")), fault.Terminal, fault.ReasonNameTaken)
}
