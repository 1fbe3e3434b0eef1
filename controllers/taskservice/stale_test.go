package taskservice_test

import (
	"context"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/taskservice"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/reconcile"
)

// frozen is a cache that shows an old copy of one TaskService.
type frozen struct {
	client.Client
	old *v1alpha1.TaskService
}

func (f *frozen) Get(ctx context.Context, key client.ObjectKey, into client.Object, o ...client.GetOption) error {
	if t, ok := into.(*v1alpha1.TaskService); ok && f.old != nil && key.Name == f.old.Name {
		f.old.DeepCopyInto(t)
		return nil
	}
	return f.Client.Get(ctx, key, into, o...)
}

// TestStaleCache: an old copy that shows apply as ordered, after its result was recorded and its directory forgotten, does not
// apply again. Guard: the live read before a start that nothing was written for.
func TestStaleCache(t *testing.T) {
	r := newRig(t, "a")
	r.running.Stop()
	mgr, err := ctrl.NewManager(r.Config, ctrl.Options{Scheme: r.Scheme})
	r.must(err)
	recipes, err := catalog.Load(r.recipes)
	r.must(err)
	cache := &frozen{Client: r.Client}
	kit := reconcile.Kit{Client: cache, Live: r.Client, Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
	reconciler := taskservice.New(taskservice.Options{Kit: kit, Catalog: recipes, Connector: connect.Connector{Dialer: r.cut}})
	s := r.service("motd", "motd", "", "a")
	var old *v1alpha1.TaskService
	look := func() {
		_, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(s)})
		r.must(err)
		r.must(r.Client.Get(t.Context(), client.ObjectKeyFromObject(s), s))
		if len(s.Status.Servers) > 0 && s.Status.Servers[0].Phase == v1alpha1.ServiceApplying {
			old = s.DeepCopy()
		}
	}
	for deadline := time.Now().Add(time.Minute); s.Status.Phase != v1alpha1.TaskServiceReady; time.Sleep(100 * time.Millisecond) {
		if look(); time.Now().After(deadline) {
			t.Fatalf("it is not ready: %+v", s.Status)
		}
	}
	if old == nil {
		t.Fatal("apply was never seen under way")
	}
	cache.old = old
	look()
	time.Sleep(time.Second)
	if n := r.applied("a"); n != 1 {
		t.Errorf("applied %d times", n)
	}
}
