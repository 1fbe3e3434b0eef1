package children_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
)

func TestSetAnchor(t *testing.T) {
	workflow := metav1.OwnerReference{APIVersion: "keelway.dev/v1alpha1", Kind: "BatchWorkflow", Name: "shop", UID: "w"}
	ground := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "ns", UID: "n"}
	earlier := metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: "ns", UID: "earlier"}
	namesake := metav1.OwnerReference{APIVersion: "example.dev/v1", Kind: "Namespace", Name: "ns", UID: "x"}
	for name, tc := range map[string]struct {
		reason string
		before []metav1.OwnerReference
		uid    types.UID
		want   []types.UID
	}{
		"wanted":              {"beside the controller, not in its place", []metav1.OwnerReference{workflow}, "n", []types.UID{"w", "n"}},
		"there already":       {"once", []metav1.OwnerReference{workflow, ground}, "n", []types.UID{"w", "n"}},
		"of an earlier one":   {"a reference to what is gone would hold nothing", []metav1.OwnerReference{earlier, workflow}, "n", []types.UID{"w", "n"}},
		"no longer":           {"the policy was changed back", []metav1.OwnerReference{ground, workflow}, "", []types.UID{"w"}},
		"never":               {"the usual case", []metav1.OwnerReference{workflow}, "", []types.UID{"w"}},
		"a kind of that name": {"somebody else's owner stays", []metav1.OwnerReference{namesake}, "", []types.UID{"x"}},
	} {
		s := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", OwnerReferences: tc.before}}
		children.SetAnchor(s, tc.uid)
		var got []types.UID
		for _, owner := range s.OwnerReferences {
			got = append(got, owner.UID)
		}
		if len(got) != len(tc.want) || got[0] != tc.want[0] || got[len(got)-1] != tc.want[len(got)-1] || !children.Anchored(s, tc.uid) {
			t.Errorf("%s: %v, want %v: %s", name, got, tc.want, tc.reason)
		}
	}
}

// ground is the UID of the workflow's Namespace.
func (h *home) ground() types.UID {
	h.t.Helper()
	ns := &corev1.Namespace{}
	if err := h.Client.Get(h.t.Context(), types.NamespacedName{Name: h.workflow.Namespace}, ns); err != nil {
		h.t.Fatal(err)
	}
	return ns.UID
}

// TestAnchorHoldsAgainstTheCollector: in a foreground deletion the real garbage collector deletes every child at once, but for those that
// have another owner that stays.
func TestAnchorHoldsAgainstTheCollector(t *testing.T) {
	h := newHome(t)
	anchored := h.server("anchored")
	children.SetAnchor(anchored, h.ground())
	want(t, h.hand.Ensure(t.Context(), h.workflow, "7", anchored), 0, "")
	late, bare := h.child("late"), h.child("bare")
	want(t, h.hand.Anchor(t.Context(), late, h.ground()), 0, "")
	if err := h.Client.Delete(t.Context(), h.workflow, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the collector deletes the child that has no other owner", func() bool { return !h.get(bare.Name).DeletionTimestamp.IsZero() })
	for _, name := range []string{anchored.Name, late.Name} {
		eventually(t, "the collector takes the reference to the workflow alone", func() bool { return metav1.GetControllerOf(h.get(name)) == nil })
	}
	h.release(bare)
	eventually(t, "the workflow goes", func() bool {
		return apierrors.IsNotFound(h.Client.Get(t.Context(), client.ObjectKeyFromObject(h.workflow), &v1alpha1.BatchWorkflow{}))
	})
	time.Sleep(time.Second) // what it would do, it would do at once
	for _, name := range []string{anchored.Name, late.Name} {
		if s := h.get(name); !s.DeletionTimestamp.IsZero() || !children.Anchored(s, h.ground()) {
			t.Errorf("%s: deleted at %v, its owners are %v", name, s.DeletionTimestamp, s.OwnerReferences)
		}
		h.release(h.get(name))
	}
}

// TestAnchorWritesOneListOfOwners: a cache that is behind never undoes what the collector, or anybody, wrote there meanwhile.
func TestAnchorWritesOneListOfOwners(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	want(t, h.hand.Anchor(t.Context(), s, h.ground()), 0, "")
	if err := h.hand.Release(t.Context(), h.workflow, s); !apierrors.IsConflict(err) {
		t.Errorf("by an object that was changed since: %v, want a conflict", err)
	}
	want(t, h.hand.Release(t.Context(), h.workflow, h.get(s.Name)), 0, "")
	got := h.get(s.Name)
	if metav1.GetControllerOf(got) != nil || !children.Anchored(got, h.ground()) || got.Generation != s.Generation || len(got.Finalizers) != 1 || got.Labels[v1alpha1.LabelWorkflow] == "" {
		t.Errorf("released, it is %+v", got.ObjectMeta)
	}
	h.release(got)
	if err := h.Client.Delete(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	want(t, h.hand.Anchor(t.Context(), got, ""), fault.Gone, fault.ReasonNotFound)
}

// TestAdoptAnchors: what an earlier workflow left is anchored as the one wants it that takes it.
func TestAdoptAnchors(t *testing.T) {
	for name, wanted := range map[string]bool{"kept": true, "taken away": false} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			s := h.server("0")
			children.SetAnchor(s, h.ground())
			if err := h.Client.Create(t.Context(), s.DeepCopy()); err != nil {
				t.Fatal(err)
			}
			child, uid := h.server("0"), types.UID("")
			if wanted {
				uid = h.ground()
			}
			children.SetAnchor(child, uid)
			want(t, h.hand.Adopt(t.Context(), h.workflow, "7", child, func(client.Object) error { return nil }), 0, "")
			got := h.get(s.Name)
			if !metav1.IsControlledBy(got, h.workflow) || !children.Anchored(got, uid) || len(got.OwnerReferences) > 2 {
				t.Errorf("its owners are %v", got.OwnerReferences)
			}
			h.release(got)
		})
	}
}

// TestRoleAdmitsItsNamespace: who has rights in one namespace alone can be given that of reading it, by a Role.
func TestRoleAdmitsItsNamespace(t *testing.T) {
	h := newHome(t)
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: h.workflow.Namespace, Name: "reader"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}}}}
	binding := &rbacv1.RoleBinding{ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "of " + h.workflow.Namespace}}}
	config := rest.CopyConfig(h.Config)
	config.Impersonate.UserName = binding.Subjects[0].Name
	narrow, err := client.New(config, client.Options{Scheme: h.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) error {
		return narrow.Get(t.Context(), types.NamespacedName{Name: name}, &corev1.Namespace{})
	}
	if err := read(h.workflow.Namespace); !apierrors.IsForbidden(err) {
		t.Fatalf("without a right: %v", err)
	}
	for _, object := range []client.Object{role, binding} {
		if err := h.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the right is known", func() bool { return read(h.workflow.Namespace) == nil })
	if err := read("default"); !apierrors.IsForbidden(err) {
		t.Errorf("another namespace: %v", err)
	}
}
