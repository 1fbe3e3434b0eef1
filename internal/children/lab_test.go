package children_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/children"
)

func TestMain(m *testing.M) { lab.Main(m) }

// home is a workflow in a namespace of its own, and the hand that makes its children.
type home struct {
	*lab.Lab
	t        *testing.T
	hand     children.Children
	workflow *v1alpha1.BatchWorkflow
}

// newHome has no cache: what List reads is tested with a manager.
func newHome(t *testing.T) *home {
	t.Helper()
	l := lab.Shared(t)
	h := &home{Lab: l, t: t, hand: children.Children{Client: l.Client, Live: l.Client, Owner: "test"}}
	h.workflow = h.newWorkflow(l.Namespace(t), "shop")
	return h
}

func (h *home) newWorkflow(namespace, name string) *v1alpha1.BatchWorkflow {
	h.t.Helper()
	w := &v1alpha1.BatchWorkflow{}
	w.Namespace, w.Name = namespace, name
	count := int32(1)
	batch := &v1alpha1.ServerBatch{Count: &count}
	batch.Template.Spec.ProviderRef.Name = "local"
	w.Spec.Operations = []v1alpha1.Operation{{Name: "servers", Type: v1alpha1.OperationServerBatch, ServerBatch: batch}}
	if err := h.Client.Create(h.t.Context(), w); err != nil {
		h.t.Fatal(err)
	}
	return w
}

// server is a child as the plan makes it.
func (h *home) server(key string) *v1alpha1.Server {
	s := &v1alpha1.Server{}
	s.Namespace, s.Name = h.workflow.Namespace, v1alpha1.ChildName(h.workflow.Name, "servers", key)
	s.Labels = map[string]string{v1alpha1.LabelWorkflow: h.workflow.Name, v1alpha1.LabelOperation: "servers", v1alpha1.LabelKey: key}
	s.Annotations = map[string]string{v1alpha1.AnnotationRun: "1", v1alpha1.AnnotationAttempt: "1"}
	s.Spec.ProviderRef.Name = "local"
	return s
}

// child makes the child of a key and returns it as it is then.
func (h *home) child(key string) *v1alpha1.Server {
	h.t.Helper()
	if err := h.hand.Ensure(h.t.Context(), h.workflow, "7", h.server(key)); err != nil {
		h.t.Fatal(err)
	}
	return h.get(h.server(key).Name)
}

func (h *home) get(name string) *v1alpha1.Server {
	h.t.Helper()
	s := &v1alpha1.Server{}
	if err := h.Client.Get(h.t.Context(), types.NamespacedName{Namespace: h.workflow.Namespace, Name: name}, s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// release takes the finalizer, as a Server's controller does in the end.
func (h *home) release(s *v1alpha1.Server) {
	h.t.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := h.Client.Patch(context.Background(), s, patch); client.IgnoreNotFound(err) != nil {
		h.t.Fatal(err)
	}
}

// manager runs a cache with the index and returns a hand that reads from it.
func (h *home) manager() children.Children {
	h.t.Helper()
	m := h.Manager(h.t, h.workflow.Namespace, func(m ctrl.Manager) error {
		if err := children.Index(h.t.Context(), m.GetFieldIndexer()); err != nil {
			return err
		}
		return m.Add(nothing{})
	})
	if !m.GetCache().WaitForCacheSync(h.t.Context()) {
		h.t.Fatal("no cache")
	}
	return children.Children{Client: m.GetClient(), Live: m.GetAPIReader(), Owner: "test"}
}

type nothing struct{}

func (nothing) Start(ctx context.Context) error { <-ctx.Done(); return nil }
