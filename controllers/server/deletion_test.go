package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

func contains(s *v1alpha1.Server, text string) bool {
	if s == nil {
		return false
	}
	ready := reconcile.Condition(s, v1alpha1.ReadyCondition)
	return ready != nil && strings.Contains(ready.Message, text)
}

func mustOpen(rg *rig) provider.Provider {
	p, _, _ := rg.opener(nil)
	return p
}

func (rg *rig) create(obj client.Object) {
	rg.t.Helper()
	if err := rg.client.Create(context.Background(), obj); err != nil {
		rg.t.Fatal(err)
	}
}

func service(name string, targets v1alpha1.ServerTargets, change ...func(*v1alpha1.TaskService)) *v1alpha1.TaskService {
	t := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Namespace: testSpace, Name: name, Generation: 1}, Spec: v1alpha1.TaskServiceSpec{Recipe: "etcd", Servers: targets}}
	for _, c := range change {
		c(t)
	}
	return t
}

func run(change ...func(*v1alpha1.Run)) *v1alpha1.Run {
	r := &v1alpha1.Run{ObjectMeta: metav1.ObjectMeta{Namespace: testSpace, Name: "check", Generation: 1},
		Spec: v1alpha1.RunSpec{Action: v1alpha1.RunCommand, Target: &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: "a"}}}}
	for _, c := range change {
		c(r)
	}
	return r
}

func TestDeletionWaitsForUsers(t *testing.T) {
	finished := func(r *v1alpha1.Run) { r.Status.FinishedAt = &metav1.Time{Time: time.Now()} }
	other := &metav1.LabelSelector{MatchLabels: map[string]string{"role": "web"}}
	db := &metav1.LabelSelector{MatchLabels: map[string]string{"role": "db"}}
	tests := map[string]struct {
		reason string
		user   client.Object
		blocks string
	}{
		"by name":         {reason: "it is to be removed from the machine", user: service("etcd", v1alpha1.ServerTargets{Names: []string{"b", "a"}}), blocks: "TaskService etcd"},
		"by label":        {reason: "it is to be removed from the machine", user: service("etcd", v1alpha1.ServerTargets{Selector: db}), blocks: "TaskService etcd"},
		"by status":       {reason: "it was put there once", user: service("etcd", v1alpha1.ServerTargets{Selector: other}, func(t *v1alpha1.TaskService) { t.Status.Servers = []v1alpha1.ServiceOnServer{{Name: "a"}} }), blocks: "TaskService etcd"},
		"running":         {reason: "a script is at work", user: run(), blocks: "Run check"},
		"leaving":         {reason: "it tidies up on the machine", user: run(finished, func(r *v1alpha1.Run) { r.Finalizers = []string{"test/held"} }), blocks: "Run check"},
		"elsewhere":       {reason: "it is nobody's user", user: service("etcd", v1alpha1.ServerTargets{Names: []string{"b"}, Selector: nil})},
		"other label":     {reason: "it is nobody's user", user: service("etcd", v1alpha1.ServerTargets{Selector: other})},
		"finished":        {reason: "its outcome is known", user: run(finished)},
		"without machine": {reason: "it goes out from the operator", user: run(func(r *v1alpha1.Run) { r.Spec.Target = nil })},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) { s.Labels = map[string]string{"role": "db"} }), tc.user)
			r := rg.boot(rg.client)
			rg.up(r, "a")
			if name == "leaving" {
				if err := rg.client.Delete(context.Background(), tc.user); err != nil {
					t.Fatal(err)
				}
			}
			if tc.blocks == "" {
				rg.down(r, "a")
				rg.sound(0)
				return
			}
			rg.remove("a")
			s := rg.drive(r, "a", "held", because(fault.ReasonDeletionBlocked))
			if !contains(s, tc.blocks) || s.Status.Phase != v1alpha1.ServerDeleting {
				t.Errorf("%s: %s", tc.reason, told(s))
			}
			rg.sound(1)
			tc.user.SetFinalizers(nil)
			if err := rg.client.Delete(context.Background(), tc.user); err != nil && name != "leaving" {
				t.Fatal(err)
			}
			if name == "leaving" {
				rg.unhold(tc.user)
			}
			rg.drive(r, "a", "gone", func(s *v1alpha1.Server) bool { return s == nil })
			rg.sound(0)
		})
	}
}

func (rg *rig) unhold(obj client.Object) {
	rg.t.Helper()
	if err := rg.client.Patch(context.Background(), obj, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))); err != nil {
		rg.t.Fatal(err)
	}
}

func TestOrphan(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a", func(s *v1alpha1.Server) { s.Spec.DeletionPolicy = v1alpha1.DeletionOrphan }))
	r := rg.boot(rg.client)
	id := rg.up(r, "a").Status.ID
	rg.down(r, "a")
	rg.sound(1)

	// The same name again, at once: the machine that was let go must not get a twin.
	rg.create(newServer("a", func(s *v1alpha1.Server) { s.UID = "uid-again" }))
	s := rg.drive(r, "a", "in conflict", stalled(fault.ReasonIdentityConflict))
	if !contains(s, id) {
		t.Errorf("the message does not name %s: %s", id, told(s))
	}
	rg.sound(1)
}

// TestProviderMissing says who may go when nobody can reach the account.
func TestProviderMissing(t *testing.T) {
	recorded := func(s *v1alpha1.Server) { s.Status.ID, s.Status.Account = "mem-000001", testAccount }
	unopened := readyProvider()
	unopened.Status = v1alpha1.ProviderStatus{ObservedGeneration: -1}
	tests := map[string]struct {
		reason   string
		server   *v1alpha1.Server
		provider *v1alpha1.Provider // nil: none
		refused  error              // by the opener
		goes     bool
		says     string
	}{
		"never there":      {reason: "a mistyped name must not hang for ever", server: newServer("a"), goes: true},
		"never opened":     {reason: "a driver that was never admitted made nothing", server: newServer("a"), provider: unopened, refused: fault.New(fault.Terminal, fault.ReasonDriverNotAllowed, "not admitted"), goes: true},
		"gone":             {reason: "A20: only the provider can end the machine", server: newServer("a", recorded), says: "machine mem-000001"},
		"no more admitted": {reason: "what was made with it is still there", server: newServer("a"), provider: readyProvider(), refused: fault.New(fault.Terminal, fault.ReasonDriverNotAllowed, "not admitted"), says: "not admitted"},
		"another account":  {reason: "nothing is known of the machine there", server: newServer("a", recorded, func(s *v1alpha1.Server) { s.Status.Account = "elsewhere" }), provider: readyProvider(), says: "elsewhere"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{tc.server}
			if tc.provider != nil {
				objects = append(objects, tc.provider)
			}
			rg := newRig(t, mem.Options{}, objects...)
			open := rg.opener
			rg.opener = func(p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
				if tc.refused != nil {
					return nil, provider.Account{}, tc.refused
				}
				return open(p)
			}
			r := rg.boot(rg.client)
			if tc.goes {
				rg.reconcile(r, "a")
				rg.down(r, "a")
				return
			}
			rg.remove("a")
			if s := rg.drive(r, "a", "blocked", because(fault.ReasonDeletionBlocked)); !contains(s, tc.says) {
				t.Errorf("%s: %s", tc.reason, told(s))
			}
		})
	}
}

// TestReleaseIsRepeatedAtOnce: the write that lets the object go is refused. What is known of the machine's end stays known, so
// that the next walk does not wait as if the operator had just begun.
func TestReleaseIsRepeatedAtOnce(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	refused := false
	r := rg.boot(interceptor.NewClient(rg.client, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if len(obj.GetFinalizers()) == 0 && !refused {
				refused = true
				return apierrors.NewConflict(schema.GroupResource{Resource: "servers"}, obj.GetName(), errors.New("ordered"))
			}
			return c.Patch(ctx, obj, patch, opts...)
		},
	}))
	r.options.Settle = time.Hour
	rg.up(r, "a")
	rg.down(r, "a")
	if !refused {
		t.Error("no release was refused: nothing is proved")
	}
	if r.memory.tried(named("a")) {
		t.Error("the operator remembers a Server that is gone")
	}
	rg.sound(0)
}

// TestWaitsForProvider follows a Server whose Provider comes later.
func TestWaitsForProvider(t *testing.T) {
	rg := newRig(t, mem.Options{}, newServer("a"))
	r := rg.boot(rg.client)
	rg.drive(r, "a", "without provider", because(fault.ReasonProviderNotFound))
	late := readyProvider()
	late.Status.Conditions = nil
	rg.create(late)
	rg.drive(r, "a", "waiting", because(fault.ReasonDependency))
	if made := rg.cloud.Report().Made; made != 0 {
		t.Errorf("%d machines were made without a Provider that is ready", made)
	}
	ready := readyProvider()
	ready.ResourceVersion = late.ResourceVersion
	if err := rg.client.Status().Update(context.Background(), ready); err != nil {
		t.Fatal(err)
	}
	rg.up(r, "a")
	rg.sound(1)
}

// TestQuietWhenTheAccountIsSilent: a machine that ran is not called down because a List failed.
func TestQuietWhenTheAccountIsSilent(t *testing.T) {
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a"))
	rg.up(rg.boot(rg.client), "a")
	before := rg.get("a")
	rg.cloud.Inject(mem.Order{Verb: mem.List, What: mem.Transient, Count: 50})
	r := rg.boot(rg.client) // a new process knows nothing and has to look
	for range 5 {
		rg.reconcile(r, "a")
	}
	if after := rg.get("a"); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("it was written: %s", told(after))
	}
}
