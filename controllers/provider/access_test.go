package provider

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/plan"
	cloud "github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/turnstile"
)

// rack shows host keys by port. Nobody logs in here.
type rack map[int32][]string

func (r rack) HostKeys(_ context.Context, a transport.Access, _ transport.Credentials) ([]string, error) {
	if keys := r[a.Port]; len(keys) > 0 {
		return slices.Clone(keys), nil
	}
	return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "no route to host")
}

func (r rack) Dial(context.Context, transport.Access, transport.Credentials) (transport.Transport, error) {
	return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "no route to host")
}

func hostLine(t *testing.T) string {
	t.Helper()
	_, public, err := connect.NewKey("host")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(public)[:2], " ")
}

// TestAccess: a key is made once and never written again, hosts are pinned on first contact and stay so until a person decides.
func TestAccess(t *testing.T) {
	first, second, third := hostLine(t), hostLine(t), hostLine(t)
	shows := rack{1: {first}, 2: {second}}
	p := object(func(p *v1alpha1.Provider) {
		p.Spec.Local = &v1alpha1.LocalProvider{Driver: v1alpha1.DriverHost, Hosts: []v1alpha1.Host{{Address: "h", Port: 1}, {Address: "h", Port: 2}, {Address: "h", Port: 3}, {Address: "h", Port: 4, HostKeys: []string{third}}}}
	})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(p).WithStatusSubresource(&v1alpha1.Provider{}).Build()
	kit := reconcile.Kit{Client: live, Live: live, Events: events.NewFakeRecorder(99), Owner: "keelway", Now: time.Now}
	turns := turnstile.New(nil)
	inv := inventory.New(inventory.Options{Installation: "test", Seen: func(s inventory.Snapshot, _ []inventory.Change) { turns.Seed(s.Account, nil) }})
	open := openerFunc(func() (cloud.Provider, cloud.Account, error) {
		return mem.New(mem.Options{}), cloud.Account{ID: "local/host/test"}, nil
	})
	keys := &connect.Keys{Live: live, Now: time.Now}
	r := New(kit, open, inv, turns, connect.Connector{Dialer: shows, Keys: keys}, Options{})
	look := func() *v1alpha1.Provider {
		t.Helper()
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)})
		if err != nil {
			t.Fatal(err)
		}
		got := &v1alpha1.Provider{}
		if err := live.Get(t.Context(), client.ObjectKeyFromObject(p), got); err != nil {
			t.Fatal(err)
		}
		if result.RequeueAfter > soonPause && len(got.Status.Hosts) < 3 && reconcile.Condition(got, v1alpha1.StalledCondition) == nil {
			t.Errorf("a host has not shown its keys, and the next look is in %s", result.RequeueAfter)
		}
		for _, problem := range reconcile.Check(got) {
			t.Error(problem)
		}
		return got
	}
	known := func(p *v1alpha1.Provider, port int32) []string {
		return connect.KnownHost(p, v1alpha1.Host{Address: "h", Port: port})
	}

	got := look()
	secret := &corev1.Secret{}
	if err := live.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "mem-ssh"}, secret); err != nil {
		t.Fatal(err)
	}
	made := string(secret.Data["ssh-privatekey"])
	if secret.Type != corev1.SecretTypeSSHAuth || !strings.HasPrefix(got.Status.PublicKey, "ssh-ed25519 ") || string(secret.Data["ssh-publickey"]) != got.Status.PublicKey+"\n" {
		t.Errorf("%s, %q", secret.Type, got.Status.PublicKey)
	}
	if !slices.Equal(known(got, 1), []string{first}) || !slices.Equal(known(got, 2), []string{second}) || known(got, 3) != nil || len(got.Status.Hosts) != 2 {
		t.Errorf("pinned: %+v", got.Status.Hosts)
	}

	shows[2], shows[3] = []string{third}, []string{third}
	got = look()
	if !slices.Equal(known(got, 2), []string{second}) || !slices.Equal(known(got, 3), []string{third}) {
		t.Errorf("a stranger was taken in, or a late host not pinned: %+v", got.Status.Hosts)
	}
	got.Annotations = map[string]string{v1alpha1.AnnotationTrust: plan.Fingerprint(third)}
	if err := live.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if got = look(); !slices.Equal(known(got, 2), []string{third}) || !slices.Equal(known(got, 1), []string{first}) {
		t.Errorf("a person's decision: %+v", got.Status.Hosts)
	}
	if err := live.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || string(secret.Data["ssh-privatekey"]) != made {
		t.Errorf("the key was written again: %v", err)
	}

	secret.Data["ssh-privatekey"] = []byte("nonsense")
	if err := live.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	keys.Forget("team", "mem-ssh")
	got = look()
	c := reconcile.Condition(got, v1alpha1.StalledCondition)
	if c == nil || c.Status != metav1.ConditionTrue || c.Reason != "Unauthenticated" || !strings.Contains(c.Message, "Secret mem-ssh") || strings.Contains(c.Message, "nonsense") {
		t.Errorf("%+v", c)
	}
}
