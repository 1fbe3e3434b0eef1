package all_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var everything = []string{all.DriverProcess, all.DriverMemory}

func machine(uid string) provider.Machine {
	return provider.Machine{Key: "key-" + uid, Owner: provider.Owner{Installation: "i", Namespace: "n", Name: "a", UID: uid}}
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		reason  string
		spec    all.Spec
		want    fault.Reason
		mention string
	}{
		"type":            {"a type that is not built in", all.Spec{Type: "Moon", Installation: "i"}, fault.ReasonInvalid, "Local"},
		"driver":          {"a driver that is not built in", all.Spec{Type: "Local", Driver: "Cloud", Installation: "i"}, fault.ReasonInvalid, "Process, Memory"},
		"long":            {"a message stays short", all.Spec{Type: strings.Repeat("x", 9999), Installation: "i"}, fault.ReasonInvalid, "xxx"},
		"no installation": {"nothing would be ours", all.Spec{Type: "Local", Driver: "Memory", Admitted: everything}, fault.ReasonInvalid, "id"},
		"Process":         {"not admitted by default", all.Spec{Type: "Local", Driver: "Process", Installation: "i"}, fault.ReasonDriverNotAllowed, "--local-drivers=Process"},
		"Memory": {"admitting one does not admit the other", all.Spec{Type: "Local", Driver: "Memory", Installation: "i", Admitted: []string{"Process"}},
			fault.ReasonDriverNotAllowed, "--local-drivers=Memory"},
		"endpoint": {"only this machine", all.Spec{Type: "Local", Driver: "Memory", Installation: "i", Admitted: everything, Endpoint: "http://192.0.2.1:80"},
			fault.ReasonNotAllowed, "loopback"},
		"stray endpoint": {"no field is ignored", all.Spec{Type: "Local", Driver: "Process", Installation: "i", Admitted: everything, Endpoint: "http://127.0.0.1:80"},
			fault.ReasonInvalid, "endpoint"},
		"no state directory": {"there is no default place", all.Spec{Type: "Local", Driver: "Process", Installation: "i", Admitted: everything}, fault.ReasonInvalid, "state"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := all.NewOpener(mem.Options{})
			defer o.Close()
			p, _, err := o.Open(context.Background(), tc.spec)
			if p != nil || !fault.IsTerminal(err) || fault.ReasonOf(err) != tc.want {
				t.Fatalf("%s: got %v", tc.reason, err)
			}
			if !strings.Contains(err.Error(), tc.mention) || len(err.Error()) > provider.MessageLimit {
				t.Errorf("%s: the message %.200q does not mention %q, or is too long", tc.reason, err, tc.mention)
			}
		})
	}
}

// Two Provider objects that reach the same account get the same id and see the same machines.
func TestSharedAccounts(t *testing.T) {
	server := httptest.NewServer(mem.Handler(mem.New(mem.Options{})))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "state")
	o := all.NewOpener(mem.Options{})
	defer o.Close()
	tests := map[string]all.Spec{
		"process":         {Driver: all.DriverProcess, StateDir: dir},
		"memory":          {Driver: all.DriverMemory},
		"memory far away": {Driver: all.DriverMemory, Endpoint: server.URL},
	}
	seen := map[string]string{}
	for name, spec := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat("/var/run/secrets/kubernetes.io/serviceaccount/token"); err == nil && spec.Driver == all.DriverProcess {
				t.Skip("SKIPPED: a service account token is mounted here, so the Process driver rightly refuses")
			}
			ctx := context.Background()
			spec.Type, spec.Installation, spec.Admitted = all.TypeLocal, "i", everything
			first, account, err := o.Open(ctx, spec)
			if err != nil {
				t.Fatal(err)
			}
			second, again, err := o.Open(ctx, spec)
			if err != nil || account != again || account.ID == "" || account.Location == "" {
				t.Fatalf("accounts %+v and %+v: %v", account, again, err)
			}
			if other, taken := seen[account.ID]; taken {
				t.Errorf("%s and %s are one account", name, other)
			}
			seen[account.ID] = name
			made, err := first.Create(ctx, machine("1"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := second.Get(ctx, made.ID); err != nil || got.ID != made.ID {
				t.Errorf("the second does not see what the first made: %v", err)
			}
		})
	}
	if got := o.Cloud("i").Report(); got.Made != 1 {
		t.Errorf("the cloud of this process made %d machines", got.Made)
	}
	if got := o.Cloud("j").Report(); got.Made != 0 {
		t.Error("another installation has another cloud")
	}
}

// A bug in a vendor's client stays inside the call.
func TestGuarded(t *testing.T) {
	o := all.NewOpener(mem.Options{})
	p, _, err := o.Open(context.Background(), all.Spec{Type: "Local", Driver: "Memory", Installation: "i", Admitted: everything})
	if err != nil {
		t.Fatal(err)
	}
	o.Cloud("i").Inject(mem.Order{What: mem.Panic})
	if _, err := p.Create(context.Background(), machine("1")); fault.ReasonOf(err) != fault.ReasonPanic {
		t.Errorf("got %v", err)
	}
}

// Credentials that were refused are not tried again by every Server of a fleet, and are when they may have been mended.
func TestRefusedCredentials(t *testing.T) {
	asked, now := 0, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer cloud.Close()
	o := all.NewOpener(mem.Options{Clock: func() time.Time { return now }})
	defer o.Close()
	spec := all.Spec{Name: "n/up", Type: all.TypeUpCloud, Installation: "i", EndpointAllow: []string{"127.0.0.0/8"},
		UpCloud: upcloud.Options{Endpoint: cloud.URL, Token: "ucat_first"}}
	open := func(calls int, why string) {
		t.Helper()
		if _, _, err := o.Open(context.Background(), spec); fault.ReasonOf(err) != fault.ReasonUnauthenticated || asked != calls {
			t.Errorf("%s: %d calls, want %d: %v", why, asked, calls, err)
		}
	}
	open(1, "the first asks")
	open(1, "the second is told what the first was")
	now = now.Add(2 * time.Minute)
	open(2, "later they may be good")
	spec.UpCloud.Token = "ucat_second"
	open(3, "others are asked for at once")
}
