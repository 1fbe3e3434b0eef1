package reach

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
)

func hostKey(seed string) string {
	public := ed25519.NewKeyFromSeed([]byte(strings.Repeat(seed, 32))).Public().(ed25519.PublicKey)
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(public)
}

// machine is an SSH server as a dialer sees it: it shows keys, and lets in whoever knows one of them.
type machine struct {
	client.Client
	t      *testing.T
	shows  []string
	refuse error
	logins int
	scans  int
}

func (m *machine) HostKeys(context.Context, transport.Access, transport.Credentials) ([]string, error) {
	m.scans++
	return slices.Clone(m.shows), nil
}

// Dial is a login. Whatever it is done with has to be on record by then.
func (m *machine) Dial(ctx context.Context, access transport.Access, with transport.Credentials) (transport.Transport, error) {
	m.logins++
	recorded := &v1alpha1.Server{}
	if err := m.Get(ctx, client.ObjectKey{Namespace: "team", Name: "a"}, recorded); err != nil {
		m.t.Fatal(err)
	}
	if !cmp.Equal(recorded.Status.HostKeys, with.HostKeys) || len(with.HostKeys) == 0 {
		m.t.Errorf("a login with host keys %v, on record are %v", with.HostKeys, recorded.Status.HostKeys)
	}
	if string(with.PrivateKey) != "the key" {
		m.t.Errorf("a login with another key than the Secret's")
	}
	if m.refuse != nil {
		return nil, m.refuse
	}
	if !slices.ContainsFunc(m.shows, func(k string) bool { return slices.Contains(with.HostKeys, k) }) {
		return nil, fault.New(fault.Terminal, fault.ReasonHostKeyChanged, "shows another key")
	}
	return script.New(script.Rules(script.Rule{Argv: "keelway-facts", Result: transport.Result{Stdout: []byte(said("4194304"))}})), nil
}

func bySSH(s *v1alpha1.Server) {
	s.Status.Access = &v1alpha1.ServerAccess{Transport: "SSH", Address: "10.0.0.4", Port: 2222, User: "admin", SecretRef: &v1alpha1.LocalRef{Name: "key"}}
}

func TestHostKeys(t *testing.T) {
	first, second, third := hostKey("1"), hostKey("2"), hostKey("3")
	pinned := func(keys ...string) func(*v1alpha1.Server) {
		return func(s *v1alpha1.Server) { s.Status.HostKeys = keys }
	}
	trust := func(value string) func(*v1alpha1.Server) {
		return func(s *v1alpha1.Server) { s.Annotations = map[string]string{v1alpha1.AnnotationTrust: value} }
	}
	knows := func(keys ...string) func(*v1alpha1.Server) {
		return func(s *v1alpha1.Server) { s.Status.Access.HostKeys = keys }
	}
	refused := fault.New(fault.Terminal, fault.ReasonUnauthenticated, "10.0.0.4 refuses the key")
	tests := map[string]struct {
		reason  string
		server  *v1alpha1.Server
		shows   []string
		refuse  error
		keys    []string
		because string
		says    string
		scans   int
	}{
		"first contact":       {reason: "all algorithms are pinned, before the login", server: server(bySSH), shows: []string{second, first}, keys: []string{first, second}, because: "Reachable", scans: 1},
		"known before":        {reason: "nothing is taken from the machine", server: server(bySSH, knows(first)), shows: []string{first}, keys: []string{first}, because: "Reachable"},
		"an impostor":         {reason: "the first contact is not his", server: server(bySSH, knows(first)), shows: []string{second}, keys: []string{first}, because: "HostKeyChanged", says: plan.Fingerprint(second), scans: 1},
		"every time":          {reason: "what is pinned is not asked for again", server: server(bySSH, pinned(first), answered), shows: []string{first}, keys: []string{first}, because: "Reachable"},
		"another key":         {reason: "at once, although it answered before", server: server(bySSH, pinned(first), answered), shows: []string{second}, keys: []string{first}, because: "HostKeyChanged", says: "keelway.dev/trust", scans: 1},
		"a second key":        {reason: "another algorithm beside the known one is no change", server: server(bySSH, pinned(first), answered), shows: []string{first, second}, keys: []string{first}, because: "Reachable"},
		"trusted":             {reason: "a person decided", server: server(bySSH, pinned(first), trust(plan.Fingerprint(third))), shows: []string{second, third}, keys: sorted(second, third), because: "Reachable", scans: 1},
		"trust in another":    {reason: "a person decided on something else", server: server(bySSH, pinned(first), trust(plan.Fingerprint(first))), shows: []string{second}, keys: []string{first}, because: "HostKeyChanged", says: "none of them", scans: 1},
		"written at the pool": {reason: "a person wrote the new key into the Provider", server: server(bySSH, pinned(first), knows(second)), shows: []string{second}, keys: []string{second}, because: "Reachable", scans: 1},
		"refused while young": {reason: "the authorized keys may still come", server: server(bySSH, pinned(first)), shows: []string{first}, refuse: refused, keys: []string{first}, because: "Unreachable", says: "dialling admin@10.0.0.4:2222 by SSH: 10.0.0.4 refuses the key; it may still be booting"},
		"refused when old": {reason: "a person has to authorize it", server: server(bySSH, pinned(first), func(s *v1alpha1.Server) {
			s.Status.Conditions[0].LastTransitionTime = metav1.NewTime(noon.Add(-time.Hour))
		}), shows: []string{first}, refuse: refused, keys: []string{first}, because: "Unauthenticated", says: "admin@10.0.0.4:2222"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
				if err := add(scheme); err != nil {
					t.Fatal(err)
				}
			}
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "key"}, Data: map[string][]byte{"ssh-privatekey": []byte("the key")}}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tc.server, secret).WithStatusSubresource(tc.server).Build()
			m := &machine{Client: c, t: t, shows: tc.shows, refuse: tc.refuse}
			now := func() time.Time { return noon }
			r := New(reconcile.Kit{Client: c, Live: c, Events: events.NewFakeRecorder(9), Now: now}, connect.Connector{Dialer: m, Keys: &connect.Keys{Live: c, Now: now}}, Options{})
			_, _ = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(tc.server)})
			after := &v1alpha1.Server{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(tc.server), after); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.keys, after.Status.HostKeys); diff != "" {
				t.Errorf("%s: host keys (-want +got):\n%s", tc.reason, diff)
			}
			reach := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ReachableCondition)
			if reach == nil || reach.Reason != tc.because || !strings.Contains(reach.Message, tc.says) || m.scans != tc.scans {
				t.Errorf("%s: %+v after %d scans", tc.reason, reach, m.scans)
			}
			for _, problem := range reconcile.Check(after) {
				t.Error(problem)
			}
		})
	}
}

func sorted(keys ...string) []string {
	slices.Sort(keys)
	return keys
}
