package provider

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/plan"
	cloud "github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/turnstile"
)

type openerFunc func() (cloud.Provider, cloud.Account, error)

func (f openerFunc) Open(context.Context, *v1alpha1.Provider) (cloud.Provider, cloud.Account, error) {
	return f()
}

// rig is a reconciler over a fake API server and a cloud in memory.
type rig struct {
	*Reconciler
	t     *testing.T
	live  client.WithWatch
	cloud *mem.Cloud
}

func newRig(t *testing.T, objects ...client.Object) *rig {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Provider{}).Build()
	rg := &rig{t: t, live: live, cloud: mem.New(mem.Options{})}
	kit := reconcile.Kit{Client: live, Live: live, Events: events.NewFakeRecorder(99), Owner: "keelway", Now: time.Now}
	open := openerFunc(func() (cloud.Provider, cloud.Account, error) {
		return rg.cloud, cloud.Account{ID: "local/memory/test", Location: "memory"}, nil
	})
	turns := turnstile.New(nil)
	inv := inventory.New(inventory.Options{Installation: "test", Seen: func(s inventory.Snapshot, _ []inventory.Change) { turns.Seed(s.Account, nil) }})
	rg.Reconciler = New(kit, open, inv, turns, connect.Connector{}, Options{})
	return rg
}

func object(change ...func(*v1alpha1.Provider)) *v1alpha1.Provider {
	p := &v1alpha1.Provider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "mem", UID: "uid-mem", Generation: 1},
		Spec:       v1alpha1.ProviderSpec{Type: v1alpha1.ProviderLocal, Local: &v1alpha1.LocalProvider{Driver: v1alpha1.DriverMemory}},
		Status:     v1alpha1.ProviderStatus{ObservedGeneration: -1},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func servers(n int, of string) (list []client.Object) {
	for i := range n {
		list = append(list, &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprintf("%s-%d", of, i)},
			Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: of}}}})
	}
	return list
}

// walk reconciles once and returns what the API server has then: nil when the object is gone.
func (rg *rig) walk() (*v1alpha1.Provider, ctrl.Result, error) {
	rg.t.Helper()
	key := client.ObjectKeyFromObject(object())
	result, rerr := rg.Reconcile(rg.t.Context(), ctrl.Request{NamespacedName: key})
	p := &v1alpha1.Provider{}
	if err := rg.live.Get(rg.t.Context(), key, p); apierrors.IsNotFound(err) {
		return nil, result, rerr
	} else if err != nil {
		rg.t.Fatal(err)
	}
	for _, problem := range reconcile.Check(p) {
		rg.t.Error(problem)
	}
	return p, result, rerr
}

func TestReconcile(t *testing.T) {
	moved := func(p *v1alpha1.Provider) { p.Status.Account = "local/memory/former" }
	tests := map[string]struct {
		reason  string
		object  *v1alpha1.Provider
		servers int
		refuse  error
		faults  []mem.Order
		status  metav1.ConditionStatus
		because string
		says    string
		stalled bool
		account string
	}{
		"answers":         {reason: "the account is open", object: object(), servers: 3, status: metav1.ConditionTrue, because: "Ready", account: "local/memory/test"},
		"not admitted":    {reason: "only who runs the operator can admit it", object: object(), refuse: fault.New(fault.Terminal, fault.ReasonDriverNotAllowed, "start the operator with --local-drivers=Memory"), status: metav1.ConditionFalse, because: "DriverNotAllowed", says: "--local-drivers", stalled: true},
		"silent":          {reason: "it may answer later", object: object(), faults: []mem.Order{{Verb: mem.List, What: mem.Transient}}, status: metav1.ConditionFalse, because: "Transient", says: "502"},
		"refuses":         {reason: "credentials are for people to mend", object: object(), faults: []mem.Order{{Verb: mem.List, What: mem.Unauthorized}}, status: metav1.ConditionFalse, because: "Unauthorized", stalled: true},
		"moved, in use":   {reason: "its Servers' machines are at the former account", object: object(moved), servers: 2, status: metav1.ConditionFalse, because: "Invalid", says: "2 Servers", stalled: true, account: "local/memory/former"},
		"moved, not used": {reason: "nobody is left behind", object: object(moved), status: metav1.ConditionTrue, because: "Ready", account: "local/memory/test"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rg := newRig(t, append(servers(tc.servers, "mem"), append(servers(1, "other"), tc.object)...)...)
			rg.cloud.Inject(tc.faults...)
			if tc.refuse != nil {
				rg.Opener = openerFunc(func() (cloud.Provider, cloud.Account, error) { return nil, cloud.Account{}, tc.refuse })
			}
			p, result, err := rg.walk()
			ready := reconcile.Condition(p, v1alpha1.ReadyCondition)
			if ready.Status != tc.status || ready.Reason != tc.because || !strings.Contains(ready.Message, tc.says) {
				t.Errorf("%s: %+v", tc.reason, ready)
			}
			if stalled := reconcile.Condition(p, v1alpha1.StalledCondition) != nil; stalled != tc.stalled {
				t.Errorf("%s: Stalled is %v", tc.reason, stalled)
			}
			if p.Status.Servers != int32(tc.servers) || p.Status.Account != tc.account {
				t.Errorf("%d servers, account %q", p.Status.Servers, p.Status.Account)
			}
			if err == nil && result.RequeueAfter == 0 {
				t.Error("it must be looked at again")
			}
			before := p.ResourceVersion
			if p, _, _ = rg.walk(); tc.status == metav1.ConditionTrue && p.ResourceVersion != before {
				t.Error("I14: it was written at rest")
			}
		})
	}
}

// TestLimit puts the limit into force: without one the account's gate stays shut.
func TestLimit(t *testing.T) {
	rg := newRig(t, object(func(p *v1alpha1.Provider) { p.Spec.Limits.MaxInFlight = 1 }))
	ask := func(key string) bool {
		return rg.Turnstile.Ask("local/memory/test", plan.Ask{Key: plan.Key(key), Holder: "h"})
	}
	if ask("a") {
		t.Error("nobody may start before the account was looked at")
	}
	rg.walk()
	if !ask("a") || ask("b") {
		t.Error("exactly one may start")
	}
}

func TestDeletionWaitsForServers(t *testing.T) {
	gone := func(p *v1alpha1.Provider) {
		p.Finalizers, p.DeletionTimestamp = []string{v1alpha1.Finalizer}, &metav1.Time{Time: time.Now()}
		p.Status.Account = "local/memory/test"
	}
	tests := map[string]struct {
		reason  string
		servers int
		lagging bool // the cache does not show them yet
		says    string
	}{
		"none":         {reason: "nobody needs it"},
		"one":          {reason: "only the Provider can end its machine", servers: 1, says: "in use by Server mem-0:"},
		"many":         {reason: "a message names a few", servers: 8, says: "Servers mem-0, mem-1, mem-2, mem-3, mem-4 and 3 more"},
		"one, unknown": {reason: "the cache lags, the API server does not", servers: 1, lagging: true, says: "Server mem-0:"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rg := newRig(t, append(servers(tc.servers, "mem"), append(servers(1, "other"), object(gone))...)...)
			if tc.lagging {
				rg.Kit.Client = interceptor.NewClient(rg.live, interceptor.Funcs{
					List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
						if _, ok := list.(*v1alpha1.ServerList); ok {
							return nil
						}
						return c.List(ctx, list, opts...)
					},
				})
			}
			rg.Turnstile.SetLimit("local/memory/test", "uid-mem", 1)
			rg.Inventory.Track("local/memory/test", rg.cloud)
			p, _, err := rg.walk()
			if err != nil || (p == nil) != (tc.servers == 0) {
				t.Fatalf("%s: gone %v, %v", tc.reason, p == nil, err)
			}
			if p == nil {
				if _, open := rg.Turnstile.Ahead("local/memory/test"); open {
					t.Error("the account is not forgotten")
				}
				return
			}
			if c := reconcile.Condition(p, v1alpha1.ReadyCondition); c.Reason != string(fault.ReasonDeletionBlocked) || !strings.Contains(c.Message, tc.says) {
				t.Errorf("%s: %+v", tc.reason, c)
			}
		})
	}
}
