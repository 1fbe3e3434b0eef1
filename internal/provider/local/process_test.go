//go:build linux

package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/local"
	"github.com/keelway/keelway/internal/provider/providertest"
)

// open returns the driver on a state directory, as an installation reaches it on a machine without a mounted token.
func open(t *testing.T, dir, installation string, clock func() time.Time) *local.Process {
	t.Helper()
	p, err := local.NewProcess(local.Options{StateDir: dir, Installation: installation, Clock: clock, TokenPath: filepath.Join(dir, "no-token")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		dir := t.TempDir()
		return providertest.Subject{
			Open:    func(t *testing.T, installation string) provider.Provider { return open(t, dir, installation, nil) },
			Pass:    providertest.Sleep,
			Refused: map[string]provider.Machine{"size": {Size: "small"}, "zone": {Zone: "z"}, "image": {Image: "debian-12"}},
		}
	})
}

func machine(name, uid string) provider.Machine {
	return provider.Machine{Key: "key-" + uid, Owner: provider.Owner{Installation: "i", Namespace: "n", Name: name, UID: uid}}
}

func mustCreate(t *testing.T, p provider.Provider, want provider.Machine) provider.Instance {
	t.Helper()
	got, err := p.Create(context.Background(), want)
	if err != nil {
		t.Fatalf("creating %s: %v", want.Key, err)
	}
	return got
}

func mustEnd(t *testing.T, p provider.Provider, id string) {
	t.Helper()
	if err := p.Delete(context.Background(), id); !fault.IsGone(err) {
		t.Fatalf("deleting %s: got %v, want Gone", id, err)
	}
}

func TestAccess(t *testing.T) {
	p := open(t, t.TempDir(), "i", nil)
	got := mustCreate(t, p, machine("a", "1"))
	info, err := os.Stat(got.Access.Target)
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is private: %v %v", info, err)
	}
	if got.Access.Transport != "Process" || got.Access.Address != got.Addresses[0].Address || got.Addresses[0].Type != provider.LoopbackIP {
		t.Errorf("got %+v", got)
	}
	if !strings.HasPrefix(got.Access.Address, "127.") || strings.HasPrefix(got.Access.Address, "127.0.") {
		t.Errorf("address %s is the machine's own", got.Access.Address)
	}
}

// The next operator finds everything, and the account keeps its id whoever opens it.
func TestAnotherOperator(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir, "i", nil), open(t, dir, "j", nil)
	made := mustCreate(t, first, machine("a", "1"))
	a, err := first.Account()
	b, err2 := second.Account()
	if err != nil || err2 != nil || a != b || !strings.HasPrefix(a.ID, "local/process/") {
		t.Errorf("accounts %+v (%v) and %+v (%v)", a, err, b, err2)
	}
	if got := mustCreate(t, open(t, dir, "i", nil), machine("a", "1")); got.ID != made.ID {
		t.Errorf("a new operator made %s beside %s", got.ID, made.ID)
	}
	if err := second.Delete(context.Background(), made.ID); !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonNotAllowed {
		t.Errorf("another installation's server was deleted: %v", err)
	}
	if _, err := second.Create(context.Background(), machine("b", "2")); fault.ReasonOf(err) != fault.ReasonInvalid {
		t.Errorf("made for another installation: %v", err)
	}
	mustEnd(t, first, made.ID)
	again := mustCreate(t, first, machine("a", "1"))
	if again.Access.Address != made.Access.Address {
		t.Errorf("the address was not given back: %s, then %s", made.Access.Address, again.Access.Address)
	}
}

func TestNewProcessRefuses(t *testing.T) {
	tests := map[string]struct {
		reason string
		spoil  func(t *testing.T, o *local.Options)
		want   fault.Reason
	}{
		"token": {"it would run people's commands as the operator", func(t *testing.T, o *local.Options) {
			o.TokenPath = filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(o.TokenPath, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, fault.ReasonNotAllowed},
		"token elsewhere": {"kubelet mounts a symbolic link", func(t *testing.T, o *local.Options) {
			o.TokenPath = filepath.Join(t.TempDir(), "token")
			if err := os.Symlink("..data/token", o.TokenPath); err != nil {
				t.Fatal(err)
			}
		}, fault.ReasonNotAllowed},
		"open to others": {"anybody could plant a server", func(t *testing.T, o *local.Options) {
			if err := os.Chmod(o.StateDir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, fault.ReasonNotAllowed},
		"nowhere":         {"there is no default place", func(_ *testing.T, o *local.Options) { o.StateDir = "" }, fault.ReasonInvalid},
		"no installation": {"nothing would be ours", func(_ *testing.T, o *local.Options) { o.Installation = "" }, fault.ReasonInvalid},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			options := local.Options{StateDir: t.TempDir(), Installation: "i", TokenPath: "/nonexistent/token"}
			tc.spoil(t, &options)
			if _, err := local.NewProcess(options); !fault.IsTerminal(err) || fault.ReasonOf(err) != tc.want {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
