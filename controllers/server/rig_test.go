package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

const (
	testSpace   = "team"
	testAccount = "local/memory/test"
	testSettle  = 40 * time.Millisecond
)

// rig is a reconciler over a fake API server and a cloud in memory: for what must be arranged call by call. What a real API
// server and its queue do is tested in the suite.
type rig struct {
	t      *testing.T
	client client.WithWatch
	cloud  *mem.Cloud
	opener openerFunc
	events *events.FakeRecorder
	now    func() time.Time // of the processes
}

type openerFunc func(*v1alpha1.Provider) (provider.Provider, provider.Account, error)

func (f openerFunc) Open(_ context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
	return f(p)
}

func newRig(t *testing.T, cloud mem.Options, objects ...client.Object) *rig {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	rg := &rig{t: t, cloud: mem.New(cloud), events: events.NewFakeRecorder(1024), now: time.Now}
	rg.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.Server{}, &v1alpha1.Provider{}, &v1alpha1.Run{}, &v1alpha1.TaskService{}).Build()
	guarded := provider.Guarded(rg.cloud, 50*time.Millisecond)
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return guarded, provider.Account{ID: testAccount, Location: "memory"}, nil
	}
	return rg
}

// unhurried hides that machines end at once, so that their end is waited for, as at a cloud.
func (rg *rig) unhurried() *rig {
	guarded := provider.Guarded(struct{ provider.Provider }{rg.cloud}, 50*time.Millisecond)
	rg.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return guarded, provider.Account{ID: testAccount, Location: "memory"}, nil
	}
	return rg
}

// boot is a new operator process: nothing is remembered.
func (rg *rig) boot(writes client.Client) *Reconciler {
	kit := reconcile.Kit{Client: writes, Live: rg.client, Events: rg.events, Owner: "keelway", Now: rg.now}
	r := New(kit, rg.opener, Options{Installation: "test", Settle: testSettle})
	r.Turnstile.SetLimit(testAccount, "uid-mem", 2) // as the controller of Providers does
	return r
}

func readyProvider() *v1alpha1.Provider {
	return &v1alpha1.Provider{
		ObjectMeta: metav1.ObjectMeta{Namespace: testSpace, Name: "mem", UID: "uid-mem", Generation: 1, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.ProviderSpec{Type: v1alpha1.ProviderLocal, Local: &v1alpha1.LocalProvider{Driver: v1alpha1.DriverMemory}},
		Status: v1alpha1.ProviderStatus{ObservedGeneration: 1, Account: testAccount, Conditions: []metav1.Condition{
			{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: 1, LastTransitionTime: metav1.Now()}}},
	}
}

func newServer(name string, change ...func(*v1alpha1.Server)) *v1alpha1.Server {
	s := &v1alpha1.Server{
		ObjectMeta: metav1.ObjectMeta{Namespace: testSpace, Name: name, UID: types.UID("uid-" + name), Generation: 1, CreationTimestamp: metav1.Now(), Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "mem"}}, ServerPolicies: v1alpha1.ServerPolicies{DeletionPolicy: v1alpha1.DeletionDelete}},
		Status:     v1alpha1.ServerStatus{ObservedGeneration: -1},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: testSpace, Name: name}
}

// get returns the Server as the API server has it, nil when it is gone. Whatever is found is checked.
func (rg *rig) get(name string) *v1alpha1.Server {
	rg.t.Helper()
	s := &v1alpha1.Server{}
	err := rg.client.Get(context.Background(), named(name), s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		rg.t.Fatal(err)
	}
	for _, problem := range reconcile.Check(s) {
		rg.t.Errorf("%s: %s", name, problem)
	}
	return s
}

// raw is the Server in the middle of things.
func (rg *rig) raw(name string) *v1alpha1.Server {
	rg.t.Helper()
	s := &v1alpha1.Server{}
	if err := rg.client.Get(context.Background(), named(name), s); err != nil {
		rg.t.Fatal(err)
	}
	return s
}

// refresh is the inventory's own tick.
func (rg *rig) refresh(r *Reconciler) {
	rg.t.Helper()
	rg.cloud.Report() // lets time pass in the cloud
	if _, err := r.Inventory.Refresh(context.Background(), testAccount, mustOpen(rg), rg.now()); err != nil {
		rg.t.Fatal(err)
	}
}

// reconcile walks once. A crash of the process in it is reported and is no failure.
func (rg *rig) reconcile(r *Reconciler, name string) (crashed bool) {
	rg.t.Helper()
	_, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: named(name)})
	return errors.Is(err, errCrash)
}

// drive walks until the Server is as wanted (nil: gone), at most five seconds long.
func (rg *rig) drive(r *Reconciler, name, want string, is func(*v1alpha1.Server) bool) *v1alpha1.Server {
	rg.t.Helper()
	return rg.walk(name, want, is, func() *Reconciler {
		rg.reconcile(r, name)
		return r
	})
}

// walk takes steps, each of which tells which process there is now, until the Server is as wanted.
func (rg *rig) walk(name, want string, is func(*v1alpha1.Server) bool, step func() *Reconciler) *v1alpha1.Server {
	rg.t.Helper()
	p, _, _ := rg.opener(nil)
	for deadline, round := time.Now().Add(5*time.Second), 1; ; time.Sleep(2 * time.Millisecond) {
		r := step()
		if round++; round%5 == 0 && p != nil { // the inventory's own tick
			_, _ = r.Inventory.Refresh(context.Background(), testAccount, p, rg.now())
		}
		s := rg.get(name)
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			rg.t.Fatalf("%s is not %s: %s", name, want, told(s))
		}
	}
}

func (rg *rig) up(r *Reconciler, name string) *v1alpha1.Server {
	rg.t.Helper()
	return rg.drive(r, name, "provisioned", provisioned)
}

func (rg *rig) down(r *Reconciler, name string) {
	rg.t.Helper()
	rg.remove(name)
	rg.drive(r, name, "gone", func(s *v1alpha1.Server) bool { return s == nil })
}

func (rg *rig) remove(name string) {
	rg.t.Helper()
	if err := rg.client.Delete(context.Background(), newServer(name)); client.IgnoreNotFound(err) != nil {
		rg.t.Fatal(err)
	}
}

func provisioned(s *v1alpha1.Server) bool {
	return s != nil && reconcile.Condition(s, v1alpha1.ProvisionedCondition) != nil &&
		reconcile.Condition(s, v1alpha1.ProvisionedCondition).Status == metav1.ConditionTrue
}

func stalled(reason fault.Reason) func(*v1alpha1.Server) bool {
	return func(s *v1alpha1.Server) bool {
		return s != nil && reconcile.Condition(s, v1alpha1.StalledCondition) != nil && because(reason)(s)
	}
}

func because(reason fault.Reason) func(*v1alpha1.Server) bool {
	return func(s *v1alpha1.Server) bool {
		return s != nil && reconcile.Condition(s, v1alpha1.ReadyCondition) != nil && reconcile.Condition(s, v1alpha1.ReadyCondition).Reason == string(reason)
	}
}

func told(s *v1alpha1.Server) string {
	if s == nil {
		return "it is gone"
	}
	return fmt.Sprintf("phase %s, id %q, conditions %+v", s.Status.Phase, s.Status.ID, s.Status.Conditions)
}

// sound checks what the cloud can see of I1 and A17.
func (rg *rig) sound(live int) {
	rg.t.Helper()
	report := rg.cloud.Report()
	for _, v := range report.Violations {
		rg.t.Error(v)
	}
	if report.Live != live || report.Ending > 0 {
		rg.t.Errorf("%d machines live and %d are ending, want %d", report.Live, report.Ending, live)
	}
}

// errCrash is what a process that died in the middle of a write leaves its caller with.
var errCrash = errors.New("the process died")

// crashing returns a client that dies at the n-th write, before it is sent or after it was committed, and ever after. It counts
// on in writes when n is 0.
func (rg *rig) crashing(n int, committed bool, writes *int) client.Client {
	var mu sync.Mutex
	write := func(do func() error) error {
		mu.Lock()
		defer mu.Unlock()
		*writes++
		switch {
		case n == 0 || *writes < n:
			return do()
		case *writes == n && committed:
			_ = do()
		}
		return errCrash
	}
	return interceptor.NewClient(rg.client, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return write(func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			return write(func() error { return c.SubResource(sub).Patch(ctx, obj, patch, opts...) })
		},
	})
}
