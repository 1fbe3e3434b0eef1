package mem_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
)

// each runs a test against the cloud itself and against the same cloud behind HTTP: faults must cross the wire.
func each(t *testing.T, test func(t *testing.T, c *clock, cloud *mem.Cloud, p provider.Provider)) {
	t.Helper()
	t.Run("direct", func(t *testing.T) {
		c := newClock()
		cloud := mem.New(slow(c))
		test(t, c, cloud, cloud)
	})
	t.Run("http", func(t *testing.T) {
		c := newClock()
		cloud := mem.New(slow(c))
		test(t, c, cloud, served(t, cloud))
	})
}

func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		reason string
		what   mem.What
		class  fault.Class
		cause  fault.Reason
	}{
		"rate limit":  {"a pause is asked for", mem.RateLimited, fault.Retry, fault.ReasonRateLimited},
		"no capacity": {"comes back later", mem.ResourcesDepleted, fault.Retry, fault.ReasonResourcesDepleted},
		"quota":       {"a person must act", mem.QuotaExceeded, fault.Terminal, fault.ReasonQuotaExceeded},
		"permission":  {"a person must act", mem.Unauthorized, fault.Terminal, fault.ReasonUnauthorized},
		"bad gateway": {"passes", mem.Transient, fault.Retry, fault.ReasonTransient},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, _ *clock, cloud *mem.Cloud, p provider.Provider) {
				ctx := context.Background()
				cloud.Inject(mem.Order{Verb: mem.Create, What: tc.what, Count: 2, For: 7 * time.Second})
				if _, err := p.List(ctx, provider.Owner{Installation: "i"}); err != nil {
					t.Fatalf("the order was for creates: %v", err)
				}
				for range 2 {
					_, err := p.Create(ctx, machine("a", "1"))
					if err == nil || fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.cause || fault.AfterOf(err) != 7*time.Second {
						t.Fatalf("%s: got %v %v after %v", tc.reason, fault.ClassOf(err), err, fault.AfterOf(err))
					}
				}
				mustCreate(t, p, machine("a", "1"))
				got := cloud.Report()
				if got.Made != 1 || got.Mutating != 3 || len(got.Calls) != 3 || !got.Calls[2].Effect || got.Calls[0].Effect ||
					got.Calls[0].Fault != fmt.Sprintf("%s/%s", tc.class, tc.cause) || got.Calls[2].Fault != "" {
					t.Errorf("what was refused made something, or the log is wrong: %+v", got)
				}
			})
		})
	}
}

func TestReplyLost(t *testing.T) {
	each(t, func(t *testing.T, c *clock, cloud *mem.Cloud, p provider.Provider) {
		ctx := context.Background()
		cloud.Inject(mem.Order{What: mem.ReplyLost})
		if _, err := p.Create(ctx, machine("a", "1")); fault.ClassOf(err) != fault.Unknown {
			t.Fatalf("creating: %v", err)
		}
		if cloud.Report().Live != 1 {
			t.Fatal("a lost reply means that it happened")
		}
		made := mustCreate(t, p, machine("a", "1"))
		cloud.Inject(mem.Order{Verb: mem.Delete, What: mem.ReplyLost})
		if err := p.Delete(ctx, made.ID); fault.ClassOf(err) != fault.Unknown {
			t.Fatalf("deleting: %v", err)
		}
		if got := cloud.Report(); got.Made != 1 || got.Live != 0 || got.Ending != 1 || len(got.Violations) != 0 {
			t.Errorf("got %+v", got)
		}
		c.Move(time.Minute)
		if err := p.Delete(ctx, made.ID); !fault.IsGone(err) {
			t.Errorf("deleting what has ended: %v", err)
		}
	})
}

func TestFreshInstances(t *testing.T) {
	each(t, func(t *testing.T, c *clock, cloud *mem.Cloud, p provider.Provider) {
		ctx := context.Background()
		cloud.Inject(mem.Order{What: mem.Hidden, For: 5 * time.Second}, mem.Order{What: mem.Denied, For: 5 * time.Second},
			mem.Order{What: mem.BootFails}, mem.Order{What: mem.Dies, For: 40 * time.Second})
		hidden, denied := mustCreate(t, p, machine("a", "1")), mustCreate(t, p, machine("b", "2"))
		spoilt, dying := mustCreate(t, p, machine("c", "3")), mustCreate(t, p, machine("d", "4"))
		see := func() (listed string, got bool) {
			list, err := p.List(ctx, provider.Owner{Installation: "i"})
			if err != nil {
				t.Fatal(err)
			}
			for _, instance := range list {
				listed += instance.Owner.Name
			}
			_, err = p.Get(ctx, denied.ID)
			return listed, !fault.IsGone(err)
		}
		if listed, got := see(); listed != "bcd" || got {
			t.Errorf("fresh: listed %q, got %v", listed, got)
		}
		if again := mustCreate(t, p, machine("a", "1")); again.ID != hidden.ID {
			t.Error("a key finds what List does not show")
		}
		c.Move(6 * time.Second)
		if listed, got := see(); listed != "abcd" || !got {
			t.Errorf("later: listed %q, got %v", listed, got)
		}
		c.Move(25 * time.Second)
		if got, err := p.Get(ctx, spoilt.ID); err != nil || got.State != provider.Failed || got.Message == "" || got.Access.Target != "" {
			t.Errorf("a machine that failed to boot says why: %+v %v", got, err)
		}
		if got, err := p.Get(ctx, dying.ID); err != nil || got.State != provider.Running {
			t.Errorf("not dead yet: %+v %v", got, err)
		}
		c.Move(10 * time.Second)
		if got, err := p.Get(ctx, dying.ID); err != nil || got.State != provider.Terminating {
			t.Errorf("ended by another hand: %+v %v", got, err)
		}
		if !cloud.Vanish(hidden.ID) || cloud.Vanish(hidden.ID) || cloud.Vanish("mem-999999") {
			t.Error("Vanish says whether it ended something")
		}
		c.Move(20 * time.Second)
		if listed, _ := see(); listed != "bc" {
			t.Errorf("in the end: listed %q", listed)
		}
	})
}

func TestStuckAndPanic(t *testing.T) {
	each(t, func(t *testing.T, _ *clock, cloud *mem.Cloud, p provider.Provider) {
		for _, verb := range []mem.Verb{mem.Create, mem.List} {
			cloud.Inject(mem.Order{Verb: verb, What: mem.Stuck})
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			var err error
			want := fault.Retry
			if verb == mem.Create {
				_, err = p.Create(ctx, machine("a", "1"))
				want = fault.Unknown
			} else {
				_, err = p.List(ctx, provider.Owner{Installation: "i"})
			}
			cancel()
			if err == nil || fault.ClassOf(err) != want {
				t.Errorf("stuck %s: %v %v", verb, fault.ClassOf(err), err)
			}
		}
		cloud.Inject(mem.Order{Verb: mem.Create, What: mem.Panic})
		_, err := provider.Recovering(p).Create(context.Background(), machine("a", "1"))
		if _, direct := p.(*mem.Cloud); direct && fault.ReasonOf(err) != fault.ReasonPanic || !direct && fault.ClassOf(err) != fault.Unknown {
			t.Errorf("a panic: %v %v", fault.ClassOf(err), err)
		}
		mustCreate(t, p, machine("a", "1"))
	})
}

func TestWitness(t *testing.T) {
	tests := map[string]struct {
		reason string
		second provider.Machine
		end    bool
		want   int
	}{
		"another object":     {"two objects, two machines", machine("b", "2"), false, 0},
		"same object":        {"I1: one machine an object", provider.Machine{Key: "other", Owner: machine("c", "1").Owner}, false, 1},
		"same name":          {"A17: a second fleet", machine("a", "2"), false, 1},
		"same name, one end": {"the first is on its way out", machine("a", "2"), true, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cloud := mem.New(slow(newClock()))
			made := mustCreate(t, cloud, machine("a", "1"))
			if tc.end {
				_ = cloud.Delete(context.Background(), made.ID)
			}
			mustCreate(t, cloud, tc.second)
			if got := cloud.Report().Violations; len(got) != tc.want {
				t.Errorf("%s: %q", tc.reason, got)
			}
		})
	}
}

func TestHighWaterAndBoundedLog(t *testing.T) {
	c := newClock()
	options := slow(c)
	options.LogLimit = 5
	cloud := mem.New(options)
	for wave := range 10 {
		for i := range 3 {
			mustCreate(t, cloud, machine(fmt.Sprint(wave, i), fmt.Sprint(wave, i)))
		}
		c.Move(30 * time.Second)
	}
	got := cloud.Report()
	if got.MostMaking != 3 || got.Made != 30 || got.Mutating != 30 {
		t.Errorf("three were made at a time: %+v", got)
	}
	if len(got.Calls) != 5 || got.Calls[4].Seq != 30 || got.Calls[0].Seq != 26 {
		t.Errorf("the log keeps the newest five: %+v", got.Calls)
	}
}

func TestDial(t *testing.T) {
	for endpoint, want := range map[string]fault.Reason{
		"": fault.ReasonInvalid, "%": fault.ReasonInvalid, "127.0.0.1:80": fault.ReasonInvalid, "http://u:p@127.0.0.1": fault.ReasonInvalid,
		"https://127.0.0.1": fault.ReasonNotAllowed, "http://192.0.2.1:80": fault.ReasonNotAllowed, "http://localhost.example": fault.ReasonNotAllowed,
		"http://" + strings.Repeat("x", 9000): fault.ReasonNotAllowed,
	} {
		if _, err := mem.Dial(endpoint); !fault.IsTerminal(err) || fault.ReasonOf(err) != want || len(err.Error()) > provider.MessageLimit {
			t.Errorf("%.80q: got %v, want Terminal/%s", endpoint, err, want)
		}
	}
	for _, endpoint := range []string{"http://127.9.8.7:1", "http://[::1]:1/", "http://localhost:1"} {
		if _, err := mem.Dial(endpoint); err != nil {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	cloud := mem.New(mem.Options{})
	server := httptest.NewServer(mem.Handler(cloud))
	client, err := mem.Dial(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cloud.Inject(mem.Order{What: mem.Panic, Count: 4}) // the connection breaks after the request was sent
	expect := func(state string, write fault.Class) {
		ctx := context.Background()
		_, createErr := client.Create(ctx, machine("a", "1"))
		_, getErr := client.Get(ctx, "x")
		_, listErr := client.List(ctx, provider.Owner{Installation: "i"})
		deleteErr := client.Delete(ctx, "x")
		for verb, err := range map[string]error{"create": createErr, "delete": deleteErr} {
			if err == nil || fault.ClassOf(err) != write {
				t.Errorf("%s, %s: got %v %v, want %v", state, verb, fault.ClassOf(err), err, write)
			}
		}
		for verb, err := range map[string]error{"get": getErr, "list": listErr} {
			if err == nil || fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnreachable {
				t.Errorf("%s, %s: got %v %v", state, verb, fault.ClassOf(err), err)
			}
		}
	}
	expect("broken under way: it may have happened", fault.Unknown)
	server.Close()
	expect("never connected: it cannot have happened", fault.Retry)
}
