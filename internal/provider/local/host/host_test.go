package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/local/host"
	"github.com/keelway/keelway/internal/provider/providertest"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/process"
)

// rack is a number of hosts, each a directory of this machine, of which some may be dead.
type rack struct {
	t    *testing.T
	root string
	mu   sync.Mutex
	dead map[string]bool
	lose bool // the next claim is made, and its host dies before the answer
}

// losing is a way to a host that may lose the answer to a claim.
type losing struct {
	transport.Transport
	r  *rack
	at string
}

func (l losing) Exec(ctx context.Context, c transport.Command) (transport.Result, error) {
	got, err := l.Transport.Exec(ctx, c)
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.r.lose && c.Stdin != nil {
		l.r.lose, l.r.dead[l.at] = false, true
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the connection broke")
	}
	return got, err
}

func newRack(t *testing.T, hosts int) *rack {
	r := &rack{t: t, root: t.TempDir(), dead: map[string]bool{}}
	for i := range hosts {
		if err := os.MkdirAll(filepath.Join(r.root, address(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func address(i int) string { return fmt.Sprintf("10.0.0.%d", i+1) }

func (r *rack) kill(i int, dead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead[address(i)] = dead
}

func (r *rack) Dial(_ context.Context, a transport.Access, with transport.Credentials) (transport.Transport, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Transport != transport.SSH || len(with.HostKeys) == 0 || string(with.PrivateKey) != "key" {
		r.t.Errorf("a dial of %+v", a)
	}
	if r.dead[a.Host] {
		return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "connecting to %s: no route to host", a.Host)
	}
	way, err := process.New(transport.Access{Target: filepath.Join(r.root, a.Host), Address: a.Host})
	return losing{way, r, a.Host}, err
}

func (r *rack) HostKeys(context.Context, transport.Access, transport.Credentials) ([]string, error) {
	return nil, nil
}

func (r *rack) pool(installation string, hosts int) *host.Pool {
	r.t.Helper()
	o := host.Options{Name: "team/rack", Installation: installation, Dialer: r, PrivateKey: []byte("key"), Memory: &host.Memory{}}
	for i := range hosts {
		o.Machines = append(o.Machines, host.Machine{Address: address(i), User: "root", Zone: []string{"a", "b"}[i%2], HostKeys: []string{"ssh-ed25519 AAAA"}})
	}
	p, err := host.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		r := newRack(t, 45)
		return providertest.Subject{
			Open:    func(_ *testing.T, installation string) provider.Provider { return r.pool(installation, 45) },
			Pass:    func() {},
			Refused: map[string]provider.Machine{"size": {Size: "large"}, "zone": {Zone: "nowhere"}, "image": {Image: "debian-12"}},
		}
	})
}

func machine(name string) provider.Machine {
	return provider.Machine{Key: "key-" + name, Owner: provider.Owner{Installation: "one", Namespace: "team", Name: name, UID: "uid-" + name}}
}

// A claim whose answer was lost is looked for before another host is claimed, however long its host does not answer.
func TestLostAnswer(t *testing.T) {
	const hosts = 4
	r := newRack(t, hosts)
	p := r.pool("one", hosts)
	r.lose = true
	if _, err := p.Create(t.Context(), machine("m")); err == nil {
		t.Fatal("the answer was to be lost")
	}
	for range 3 {
		_, err := p.Create(t.Context(), machine("m"))
		if fault.ReasonOf(err) != fault.ReasonUnreachable || !strings.Contains(err.Error(), "may carry a claim of this Server") {
			t.Fatalf("%v", err)
		}
	}
	if _, err := p.Create(t.Context(), machine("other")); err != nil {
		t.Errorf("it holds up no other Server: %v", err)
	}
	for i := range hosts {
		r.kill(i, false)
	}
	for range 2 {
		if _, err := p.Create(t.Context(), machine("m")); err != nil {
			t.Fatal(err)
		}
	}
	all, err := p.List(t.Context(), provider.Owner{Installation: "one"})
	if err != nil || len(all) != 2 {
		t.Errorf("%d machines for two Servers: %+v, %v", len(all), all, err)
	}
}

// TestTwoInstallations: a host belongs to whoever was first, whichever of many was first.
func TestTwoInstallations(t *testing.T) {
	const hosts = 12
	r := newRack(t, hosts)
	pools := []*host.Pool{r.pool("one", hosts), r.pool("two", hosts)}
	var all sync.WaitGroup
	var mu sync.Mutex
	owner := map[string]string{}
	full := 0
	for i := range 2 * hosts {
		p := pools[i%2]
		all.Go(func() {
			want := machine(fmt.Sprintf("m%d", i))
			want.Owner.Installation = p.Installation
			got, err := p.Create(t.Context(), want)
			mu.Lock()
			defer mu.Unlock()
			if fault.ReasonOf(err) == fault.ReasonResourcesDepleted {
				full++
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			if other, taken := owner[got.Access.Host]; taken {
				t.Errorf("%s belongs to %s and %s", got.Access.Host, other, want.Key)
			}
			owner[got.Access.Host] = want.Key
		})
	}
	all.Wait()
	if len(owner) != hosts || full != hosts {
		t.Errorf("%d hosts are taken, %d were refused", len(owner), full)
	}
}

// TestDeadHosts: one that does not answer holds nobody up, keeps its machine, and is never taken for gone.
func TestDeadHosts(t *testing.T) {
	const hosts = 3
	r := newRack(t, hosts)
	p := r.pool("one", hosts)
	first, err := p.Create(t.Context(), machine("a"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range hosts {
		if address(i) == first.Access.Host {
			r.kill(i, true)
		}
	}
	for _, name := range []string{"b", "c"} {
		if _, err := p.Create(t.Context(), machine(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Create(t.Context(), machine("a")); fault.ReasonOf(err) != fault.ReasonUnreachable {
		t.Errorf("the claim of a dead host was repeated elsewhere: %v", err)
	}
	if _, err := p.Create(t.Context(), machine("d")); fault.ReasonOf(err) != fault.ReasonResourcesDepleted || !strings.Contains(err.Error(), "2 are taken and 1 cannot be used") {
		t.Errorf("%v", err)
	}
	all, err := p.List(t.Context(), provider.Owner{Installation: "one"})
	if err != nil || len(all) != 3 {
		t.Errorf("what was seen last is still shown: %d, %v", len(all), err)
	}
	fresh := r.pool("one", hosts) // an operator that was started again
	for verb, err := range map[string]error{"get": second(fresh.Get(t.Context(), first.ID)), "delete": fresh.Delete(t.Context(), first.ID)} {
		if err == nil || fault.IsGone(err) || fault.ReasonOf(err) != fault.ReasonUnreachable {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if words := fresh.Describe(t.Context()); !strings.Contains(words, "3 hosts, 0 free, 1 cannot be used") || !strings.Contains(words, "no route to host") {
		t.Errorf("%q", words)
	}
	for i := range hosts {
		r.kill(i, true)
	}
	if _, err := fresh.List(t.Context(), provider.Owner{Installation: "one"}); fault.ReasonOf(err) != fault.ReasonUnreachable {
		t.Errorf("nobody answers: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestHostTakenOut: a host that left the pool is not gone.
func TestHostTakenOut(t *testing.T) {
	r := newRack(t, 2)
	p := r.pool("one", 2)
	var far provider.Instance
	for _, name := range []string{"a", "b"} {
		got, err := p.Create(t.Context(), machine(name))
		if err != nil {
			t.Fatal(err)
		}
		if got.Access.Host == address(1) {
			far = got
		}
	}
	_, err := r.pool("one", 1).Get(t.Context(), far.ID)
	if err == nil || fault.IsGone(err) || !strings.Contains(err.Error(), "put it back") {
		t.Errorf("%v", err)
	}
}

// TestNoTrace: a host that was given back is as it was, and another's claim is not ours to release.
func TestNoTrace(t *testing.T) {
	r := newRack(t, 1)
	p := r.pool("one", 1)
	got, err := p.Create(t.Context(), machine("a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.pool("two", 1).Delete(t.Context(), got.ID); !fault.IsGone(err) {
		t.Errorf("another installation: %v", err)
	}
	if err := p.Delete(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(r.root, address(0), "var/lib/keelway")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestForeignClaim: what nobody here can read keeps a host taken.
func TestForeignClaim(t *testing.T) {
	r := newRack(t, 1)
	dir := filepath.Join(r.root, address(0), "var/lib/keelway/claim")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "owner"), []byte("hands off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := r.pool("one", 1).Create(t.Context(), machine("a"))
	if fault.ReasonOf(err) != fault.ReasonResourcesDepleted {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "owner")); string(text) != "hands off\n" {
		t.Errorf("it holds %q now", text)
	}
}
