package children_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
)

// want checks class, reason and words of an error; an empty reason wants none.
func want(t *testing.T, err error, class fault.Class, reason fault.Reason, words ...string) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Fatalf("error: %v", err)
		}
		return
	}
	if err == nil || fault.ClassOf(err) != class || fault.ReasonOf(err) != reason {
		t.Fatalf("error = %v (%s %s), want %s %s", err, fault.ClassOf(err), fault.ReasonOf(err), class, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// eventually polls: the control plane's own controllers take their time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestEnsureMakesAWholeChildOnce(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	yes := true
	if diff := cmp.Diff([]metav1.OwnerReference{{
		APIVersion: "keelway.dev/v1alpha1", Kind: "BatchWorkflow", Name: "shop", UID: h.workflow.UID,
		Controller: &yes, BlockOwnerDeletion: &yes,
	}}, s.OwnerReferences); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{v1alpha1.Finalizer}, s.Finalizers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{
		v1alpha1.AnnotationRun: "1", v1alpha1.AnnotationAttempt: "1", v1alpha1.AnnotationOrderedBy: "7",
	}, s.Annotations); diff != "" {
		t.Error(diff)
	}
	if s.Generation != 1 {
		t.Errorf("generation = %d", s.Generation)
	}
	if again := h.child("0"); again.UID != s.UID || again.ResourceVersion != s.ResourceVersion {
		t.Errorf("the second Ensure touched it: %s/%s, %s/%s", s.UID, s.ResourceVersion, again.UID, again.ResourceVersion)
	}
}

func TestEnsureDoesNotTakeWhatIsNotOurs(t *testing.T) {
	const rename = "delete it, or give this workflow another name"
	for name, tc := range map[string]struct {
		reason  string
		foreign func(h *home, s *v1alpha1.Server)
		words   []string
	}{
		"ByHand": {
			reason:  "somebody made a Server of that name",
			foreign: func(_ *home, s *v1alpha1.Server) { s.OwnerReferences, s.Labels = nil, nil },
			words:   []string{"Server ", "/" + v1alpha1.ChildName("shop", "servers", "0"), "belongs to no other object", rename},
		},
		"OfAnotherWorkflow": {
			reason: "the child of another workflow",
			foreign: func(h *home, s *v1alpha1.Server) {
				w := h.newWorkflow(h.workflow.Namespace, "other")
				s.OwnerReferences[0].Name, s.OwnerReferences[0].UID = w.Name, w.UID
			},
			words: []string{"belongs to BatchWorkflow other", rename},
		},
		"OfAnotherInstance": {
			reason:  "two operations whose names meet in spite of the hash",
			foreign: func(_ *home, s *v1alpha1.Server) { s.Labels[v1alpha1.LabelKey] = "1" },
			words:   []string{"belongs to operation servers, key 1, of this workflow", "rename one of them"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			s := h.server("0")
			yes := true
			s.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: "keelway.dev/v1alpha1", Kind: "BatchWorkflow", Name: "shop", UID: h.workflow.UID, Controller: &yes,
			}}
			tc.foreign(h, s)
			if err := h.Client.Create(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			err := h.hand.Ensure(t.Context(), h.workflow, "7", h.server("0"))
			want(t, err, fault.Terminal, fault.ReasonNameTaken, tc.words...)
			if got := h.get(s.Name); got.ResourceVersion != s.ResourceVersion {
				t.Errorf("%s: it was touched", tc.reason)
			}
		})
	}
}

// TestEnsureMeetsAnEarlierWorkflow: the name alone does not make a child ours. Its owner is gone, so that the collector is about
// to take it: a workflow that was deleted and applied again must not stall for that.
func TestEnsureMeetsAnEarlierWorkflow(t *testing.T) {
	h := newHome(t)
	h.child("0")
	h.hand.Live = interceptor.NewClient(h.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, o ...client.GetOption) error {
			err := c.Get(ctx, key, obj, o...)
			obj.SetOwnerReferences([]metav1.OwnerReference{{Kind: "BatchWorkflow", Name: "shop", UID: "earlier", Controller: new(true)}})
			return err
		},
	})
	err := h.hand.Ensure(t.Context(), h.workflow, "7", h.server("0"))
	want(t, err, fault.Wait, fault.ReasonInProgress, "belongs to an earlier BatchWorkflow of this name")
}

func TestEnsureWaitsForOneThatGoes(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	want(t, h.hand.Delete(t.Context(), s), 0, "")
	want(t, h.hand.Ensure(t.Context(), h.workflow, "7", h.server("0")), fault.Wait, fault.ReasonInProgress, "is being deleted")
	h.release(s)
	if again := h.child("0"); again.UID == s.UID {
		t.Error("it is not a new one")
	}
}

func TestEnsureReportsWhatTheServerRefuses(t *testing.T) {
	h := newHome(t)
	s := h.server("0")
	s.Spec.Size = strings.Repeat("x", 64)
	want(t, h.hand.Ensure(t.Context(), h.workflow, "7", s), fault.Terminal, fault.ReasonInvalid, "creating Server "+s.Name, "spec.size")
}

func TestEnsureInANamespaceThatGoes(t *testing.T) {
	h := newHome(t)
	s := h.child("held") // keeps the namespace from going
	t.Cleanup(func() { h.release(s) })
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: h.workflow.Namespace}}
	if err := h.Client.Delete(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	err := h.hand.Ensure(t.Context(), h.workflow, "7", h.server("0"))
	want(t, err, fault.Wait, fault.ReasonInProgress, "namespace "+h.workflow.Namespace+" is being deleted")
}

func TestEnsureInANamespaceThatIsGone(t *testing.T) {
	h := newHome(t)
	s := h.server("0")
	s.Namespace = "never-was"
	want(t, h.hand.Ensure(t.Context(), h.workflow, "7", s), fault.Wait, fault.ReasonInProgress, "namespace never-was")
}

func TestRaiseOnlyRises(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	for _, tc := range []struct{ ask, get int32 }{{3, 3}, {2, 3}, {3, 3}, {4, 4}} {
		// s is as old as a cache can be.
		want(t, h.hand.Raise(t.Context(), s, tc.ask), 0, "")
		if got := children.Attempt(h.get(s.Name)); got != tc.get {
			t.Errorf("after Raise(%d) the attempt is %d, want %d", tc.ask, got, tc.get)
		}
	}
	before := h.get(s.Name).ResourceVersion
	want(t, h.hand.Raise(t.Context(), children.Ref("Server", s.Namespace, s.Name, s.UID), 4), 0, "")
	if after := h.get(s.Name).ResourceVersion; after != before {
		t.Error("a Raise that changes nothing wrote")
	}
	want(t, h.hand.Raise(t.Context(), children.Ref("Server", s.Namespace, s.Name, "another"), 5), fault.Gone, fault.ReasonNotFound)
	want(t, h.hand.Raise(t.Context(), children.Ref("Server", s.Namespace, "none", s.UID), 5), fault.Gone, fault.ReasonNotFound)
}

// TestRaiseLosesARace: between the look and the write somebody else has raised it further.
func TestRaiseLosesARace(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	racing := h.hand
	racing.Live = interceptor.NewClient(h.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, o ...client.GetOption) error {
			if err := c.Get(ctx, key, obj, o...); err != nil {
				return err
			}
			return h.hand.Raise(ctx, s, 9)
		},
	})
	if err := racing.Raise(t.Context(), s, 2); !apierrors.IsConflict(err) {
		t.Errorf("Raise = %v, want a conflict: the frame looks again", err)
	}
	if got := children.Attempt(h.get(s.Name)); got != 9 {
		t.Errorf("the attempt fell to %d", got)
	}
}

func TestDeleteOnlyWhatWasSeen(t *testing.T) {
	h := newHome(t)
	first := h.child("0")
	want(t, h.hand.Delete(t.Context(), first), 0, "")
	want(t, h.hand.Delete(t.Context(), first), 0, "") // still on its way
	h.release(first)
	want(t, h.hand.Delete(t.Context(), first), 0, "") // gone
	second := h.child("0")
	want(t, h.hand.Delete(t.Context(), first), 0, "") // another of its name
	if got := h.get(second.Name); !got.DeletionTimestamp.IsZero() {
		t.Error("the successor was deleted in its place")
	}
	want(t, h.hand.Delete(t.Context(), children.Ref("Server", second.Namespace, second.Name, "")), fault.Retry, fault.ReasonInternal, "without its uid")
	want(t, h.hand.Delete(t.Context(), children.Ref("Server", second.Namespace, second.Name, second.UID)), 0, "")
	if got := h.get(second.Name); got.DeletionTimestamp.IsZero() {
		t.Error("Ref is not enough to delete by")
	}
}

func TestGetLiveConfirmsAbsence(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	live := func(name string) *metav1.PartialObjectMetadata {
		t.Helper()
		got, err := h.hand.GetLive(t.Context(), h.workflow, "Server", name)
		want(t, err, 0, "")
		return got
	}
	if got := live(s.Name); got == nil || got.UID != s.UID {
		t.Errorf("a child that is there: %v", got)
	}
	want(t, h.hand.Delete(t.Context(), s), 0, "")
	if live(s.Name) == nil {
		t.Error("a child that is on its way out is not gone yet")
	}
	h.release(s)
	if live(s.Name) != nil {
		t.Error("a child that is gone")
	}
	foreign := h.server("0")
	if err := h.Client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if live(foreign.Name) != nil {
		t.Error("an object that is not ours")
	}
}

func TestListsShowTheFamilyAndNobodyElse(t *testing.T) {
	h := newHome(t)
	hand := h.manager()
	first, second := h.child("0"), h.child("1")
	service := &v1alpha1.TaskService{ObjectMeta: h.server("service").ObjectMeta}
	service.Spec.Recipe, service.Spec.Servers.Names = "etcd", []string{first.Name}
	job := &v1alpha1.Run{ObjectMeta: h.server("run").ObjectMeta}
	job.Spec.Action, job.Spec.TCP = v1alpha1.RunTCP, &v1alpha1.TCPProbe{Address: "127.0.0.1:1"}
	job.Spec.Timeout.Duration = time.Minute
	for _, child := range []client.Object{service, job} {
		want(t, hand.Ensure(t.Context(), h.workflow, "7", child), 0, "")
	}
	stranger := h.server("labelled") // has our label and no owner
	if err := h.Client.Create(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	namesake := &home{Lab: h.Lab, t: t, hand: h.hand, workflow: h.newWorkflow(h.workflow.Namespace, "other")}
	namesake.child("0")

	names := map[string]string{first.Name: "Server", second.Name: "Server", service.Name: "TaskService", job.Name: "Run"}
	live, err := hand.ListLive(t.Context(), h.workflow)
	want(t, err, 0, "")
	got := map[string]string{}
	for _, child := range live {
		got[child.Name] = child.Kind
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("ListLive: %s", diff)
	}
	var family children.Family
	eventually(t, "the cache shows the children", func() bool {
		family, err = hand.List(t.Context(), h.workflow)
		want(t, err, 0, "")
		return len(family.Servers) == 2 && len(family.TaskServices) == 1 && len(family.Runs) == 1
	})
	if family.Servers[first.Name].UID != first.UID || family.TaskServices[service.Name] == nil || family.Runs[job.Name] == nil {
		t.Errorf("List = %+v", family)
	}
	want(t, hand.Delete(t.Context(), live[0]), 0, "") // what ListLive gives is enough to delete by
}

func TestListLiveReadsEveryPage(t *testing.T) {
	h := newHome(t)
	for _, key := range []string{"0", "1", "2"} {
		h.child(key)
	}
	paging := h.hand
	paging.Live = interceptor.NewClient(h.Client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			return c.List(ctx, list, append(o, client.Limit(2))...)
		},
	})
	live, err := paging.ListLive(t.Context(), h.workflow)
	want(t, err, 0, "")
	if len(live) != 3 {
		t.Errorf("ListLive shows %d of 3", len(live))
	}
}

// TestGarbageCollection: the collector sees whose the children are, and the finalizer holds them until their leaf is done.
func TestGarbageCollection(t *testing.T) {
	h := newHome(t)
	s := h.child("0")
	if err := h.Client.Delete(t.Context(), h.workflow, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is being deleted", func() bool { return !h.get(s.Name).DeletionTimestamp.IsZero() })
	h.release(s)
	eventually(t, "the child is gone", func() bool {
		live, err := h.hand.GetLive(t.Context(), h.workflow, "Server", s.Name)
		want(t, err, 0, "")
		return live == nil
	})
}
