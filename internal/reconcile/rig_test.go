package reconcile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

type (
	step = reconcile.Step[*v1alpha1.Provider]
	part = reconcile.Part[*v1alpha1.Provider]
)

var key = client.ObjectKey{Namespace: "default", Name: "p"}

// rig is a frame over the fake client, with a log of every write and a hand that can spoil each.
type rig struct {
	t      *testing.T
	store  client.WithWatch
	kit    reconcile.Kit
	writes []string
	// spoil is asked before each write; its error is the answer.
	spoil  func(write string) error
	events *events.FakeRecorder
}

func newRig(t *testing.T, change ...func(*v1alpha1.Provider)) *rig {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace, Generation: 1, UID: "uid"}}
	p.Spec.Type = v1alpha1.ProviderLocal
	p.Status.ObservedGeneration = -1
	for _, c := range change {
		c(p)
	}
	r := &rig{t: t, events: events.NewFakeRecorder(16)}
	r.store = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(p).WithObjects(p).WithInterceptorFuncs(interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, o ...client.PatchOption) error {
			return r.wrote(ctx, "metadata", func() error { return c.Patch(ctx, obj, patch, o...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, o ...client.SubResourcePatchOption) error {
			return r.wrote(ctx, sub, func() error { return c.SubResource(sub).Patch(ctx, obj, patch, o...) })
		},
	}).Build()
	r.kit = reconcile.Kit{
		Client: r.store, Live: r.store, Events: r.events, Owner: "test",
		Now: func() time.Time { return time.Unix(1_700_000_000, 0) },
	}
	return r
}

// wrote does a write as a real client would: not after its context ended.
func (r *rig) wrote(ctx context.Context, name string, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.spoil != nil {
		if err := r.spoil(name); err != nil {
			return err
		}
	}
	r.writes = append(r.writes, name)
	return do()
}

func (r *rig) get() *v1alpha1.Provider {
	r.t.Helper()
	p := &v1alpha1.Provider{}
	if err := r.store.Get(context.Background(), key, p); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// run reconciles the stored object once, and checks the conditions of what is then stored, when it is.
func (r *rig) run(ctx context.Context, finalize step, steps ...step) (ctrl.Result, error) {
	r.t.Helper()
	return r.runPart(ctx, part{}, finalize, steps...)
}

func (r *rig) runPart(ctx context.Context, p part, finalize step, steps ...step) (ctrl.Result, error) {
	r.t.Helper()
	result, err := reconcile.RunPart(ctx, r.kit, p, r.get(), finalize, steps...)
	stored := &v1alpha1.Provider{}
	if r.store.Get(context.Background(), key, stored) == nil && len(stored.Status.Conditions) > 0 {
		for _, problem := range reconcile.Check(stored) {
			r.t.Errorf("conditions: %s", problem)
		}
	}
	return result, err
}

// heard returns the events so far, and forgets them.
func (r *rig) heard() []string {
	var out []string
	for {
		select {
		case e := <-r.events.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func (r *rig) ready() string {
	r.t.Helper()
	c := reconcile.Condition(r.get(), v1alpha1.ReadyCondition)
	if c == nil {
		return "absent"
	}
	return fmt.Sprintf("%s/%s", c.Status, c.Reason)
}

func nothing(context.Context, *v1alpha1.Provider) error { return nil }
