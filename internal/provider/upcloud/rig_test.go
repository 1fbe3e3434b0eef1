package upcloud_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
	"github.com/keelway/keelway/internal/transport"
)

const (
	ours   = "installation-a"
	settle = 30 * time.Second
)

// rig is an account of the fake cloud, whose clock moves only when it is told.
type rig struct {
	t     *testing.T
	cloud *fake.Cloud
	url   string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return served(t, fake.New(fake.Options{Bucket: 1e6, Refill: 1e6}))
}

func served(t *testing.T, cloud *fake.Cloud) *rig {
	t.Helper()
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	return &rig{t: t, cloud: cloud, url: server.URL}
}

func (r *rig) options() upcloud.Options {
	return upcloud.Options{
		Installation: ours, Zone: "fi-hel1", Endpoint: r.url, EndpointAllow: []string{"127.0.0.0/8"}, Token: "ucat_FAKE",
		Transport: transport.Script, RequestsPerSecond: 1e6, Settle: settle, Now: r.cloud.Clock.Now,
	}
}

// open returns the account as a new process sees it.
func (r *rig) open(change ...func(*upcloud.Options)) *upcloud.UpCloud {
	r.t.Helper()
	o := r.options()
	for _, c := range change {
		c(&o)
	}
	u, err := upcloud.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(u.Close)
	return u
}

func (r *rig) pass(by time.Duration) { r.cloud.Clock.Move(by) }

func (r *rig) arm(orders ...faults.Order) {
	r.t.Helper()
	if err := r.cloud.Board.Arm(orders...); err != nil {
		r.t.Fatal(err)
	}
}

// calls counts the requests of an operation so far.
func (r *rig) calls(op string) int { return r.cloud.Log.Report(0).Counts[op] }

func machine(name, uid string) provider.Machine {
	return provider.Machine{
		Key: "key-" + uid, Owner: provider.Owner{Installation: ours, Namespace: "team-a", Name: name, UID: uid}, Size: "2xCPU-4GB",
	}
}

func (r *rig) create(u *upcloud.UpCloud, want provider.Machine) provider.Instance {
	r.t.Helper()
	got, err := u.Create(context.Background(), want)
	if err != nil {
		r.t.Fatalf("creating %s: %v", want.Key, err)
	}
	return got
}

// until looks at a machine until it is in that state.
func (r *rig) until(u *upcloud.UpCloud, id string, state provider.State) provider.Instance {
	r.t.Helper()
	var last provider.Instance
	var err error
	for range 300 {
		if last, err = u.Get(context.Background(), id); err == nil && last.State == state {
			return last
		}
		if err != nil && fault.ClassOf(err) != fault.Retry {
			r.t.Fatalf("getting %s: %v", id, err)
		}
		r.pass(time.Second)
	}
	r.t.Fatalf("%s never was %s: %+v, %v", id, state, last, err)
	return last
}

// end deletes until Gone.
func (r *rig) end(u *upcloud.UpCloud, id string) {
	r.t.Helper()
	var err error
	for range 300 {
		if err = u.Delete(context.Background(), id); fault.IsGone(err) {
			return
		}
		if err != nil && fault.IsTerminal(err) {
			r.t.Fatalf("deleting %s: %v", id, err)
		}
		r.pass(time.Second)
	}
	r.t.Fatalf("%s never ended: %v", id, err)
}

// bare asserts that the cloud has nothing left that would be billed.
func (r *rig) bare() {
	r.t.Helper()
	if left := r.cloud.Inventory(); !left.Bare() {
		r.t.Errorf("left behind: %+v", left)
	}
}

func contains(text, word string) bool { return strings.Contains(text, word) }

// mentions asserts class, reason and words of an error.
func mentions(t *testing.T, err error, class fault.Class, reason fault.Reason, words ...string) {
	t.Helper()
	if err == nil || fault.ClassOf(err) != class || fault.ReasonOf(err) != reason {
		t.Errorf("got %v %v (%v), want %v %v", fault.ClassOf(err), fault.ReasonOf(err), err, class, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the message %q does not mention %q", err, word)
		}
	}
	if len(err.Error()) > provider.MessageLimit {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
}

// roundTripper is a function that carries requests.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
