package upcloud_test

import (
	"context"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
	fake "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

func lasting(d time.Duration) faults.Duration { return faults.Duration(d) }

// What a create call meets: the class that it answers with, and what the next ones make of it. There is one server in the end.
func TestFaultsOfCreate(t *testing.T) {
	const op = "CreateServer"
	tests := map[string]struct {
		reason string
		orders []faults.Order
		class  fault.Class
		cause  fault.Reason
		words  []string
		posts  int // create calls until there is a server
	}{
		"reply lost":     {"it is found by its label", []faults.Order{{Name: fake.ReplyLost, Call: op}}, fault.Unknown, fault.ReasonOutcomeUnknown, nil, 1},
		"reply cut":      {"half an answer is none", []faults.Order{{Name: fake.ReplyCut, Call: op}}, fault.Unknown, fault.ReasonOutcomeUnknown, nil, 1},
		"502 after":      {"a gateway's error says nothing of what it hides", []faults.Order{{Name: fake.BadGatewayAfter, Call: op}}, fault.Unknown, fault.ReasonOutcomeUnknown, []string{"502"}, 1},
		"request lost":   {"another is sent when the first one would show", []faults.Order{{Name: fake.RequestLost, Call: op}}, fault.Unknown, fault.ReasonOutcomeUnknown, nil, 2},
		"503":            {"it may have had effect", []faults.Order{{Name: fake.ServerError, Call: op, Amount: 503}}, fault.Unknown, fault.ReasonOutcomeUnknown, []string{"SERVICE_ERROR", "HTTP 503"}, 2},
		"lost and late":  {"a list that lags is waited for", []faults.Order{{Name: fake.ReplyLost, Call: op}, {Name: fake.Hidden, For: lasting(20 * time.Second)}}, fault.Unknown, fault.ReasonOutcomeUnknown, nil, 1},
		"no credits":     {"a person must pay", []faults.Order{{Name: fake.NoCredits, Call: op}}, fault.Terminal, fault.ReasonQuotaExceeded, []string{"INSUFFICIENT_CREDITS", "request "}, 2},
		"limit":          {"a person must ask for more", []faults.Order{{Name: fake.LimitReached, Call: op}}, fault.Terminal, fault.ReasonQuotaExceeded, []string{"SERVER_CORE_LIMIT_REACHED"}, 2},
		"creating limit": {"it passes by itself", []faults.Order{{Name: fake.CreatingLimit}}, fault.Retry, fault.ReasonRateLimited, nil, 2},
		"no capacity":    {"it may pass", []faults.Order{{Name: fake.NoCapacity, Call: op}}, fault.Retry, fault.ReasonResourcesDepleted, []string{"SERVER_RESOURCES_UNAVAILABLE"}, 2},
		"forbidden":      {"a permission is missing", []faults.Order{{Name: fake.Forbidden, Call: op}}, fault.Terminal, fault.ReasonUnauthorized, []string{"ACTION_FORBIDDEN"}, 2},
		"unauthorized":   {"credentials are wrong", []faults.Order{{Name: fake.Unauthorized}}, fault.Terminal, fault.ReasonUnauthenticated, []string{"AUTHENTICATION_FAILED"}, 1},
		"too many":       {"it slows down", []faults.Order{{Name: fake.TooManyRequests, Call: op}}, fault.Retry, fault.ReasonRateLimited, nil, 2},
		"busy":           {"it passes", []faults.Order{{Name: fake.Busy, Call: op}}, fault.Wait, fault.ReasonInProgress, nil, 2},
		"the other form": {"application/problem+json has a correlation id", []faults.Order{{Name: fake.Problem, Call: op, Amount: 400}}, fault.Terminal, fault.ReasonInvalid,
			[]string{"SERVICE_ERROR", "The request failed.", "it was ordered so", "request "}, 2},
		"no list": {"without a look nothing is created", []faults.Order{{Name: fake.BadGateway, Call: "ListServers"}}, fault.Retry, fault.ReasonTransient, nil, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			u := r.open()
			r.arm(tc.orders...)
			want := machine("web-1", "1")
			_, err := u.Create(context.Background(), want)
			mentions(t, err, tc.class, tc.cause, tc.words...)
			made := r.insist(u, want)
			r.until(u, made.ID, provider.Running)
			if posts, servers := r.calls(op), r.cloud.Inventory().Made; posts != tc.posts || servers != 1 {
				t.Errorf("%s: %d create calls and %d servers, want %d and 1", tc.reason, posts, servers, tc.posts)
			}
			r.end(u, made.ID)
			r.bare()
		})
	}
}

// insist repeats Create as a caller does whom a person has helped.
func (r *rig) insist(u provider.Provider, want provider.Machine) provider.Instance {
	r.t.Helper()
	var err error
	for range 100 {
		var got provider.Instance
		if got, err = u.Create(context.Background(), want); err == nil {
			return got
		}
		r.pass(time.Second)
	}
	r.t.Fatalf("it never was created: %v", err)
	return provider.Instance{}
}

// Two processes that do not see each other's server make two. Whoever looks next keeps the lower UUID and says so.
func TestTwins(t *testing.T) {
	r := newRig(t)
	want := machine("web-1", "1")
	r.arm(faults.Order{Name: fake.Hidden, For: lasting(time.Minute)})
	a := r.create(r.open(), want)
	b := r.create(r.open(), want)
	if a.ID == b.ID {
		t.Fatal("the order to hide a server had no effect")
	}
	r.pass(time.Minute)
	u := r.open()
	kept, removed := min(a.ID, b.ID), max(a.ID, b.ID)
	got := r.create(u, want)
	if got.ID != kept {
		t.Fatalf("%s is kept, want %s", got.ID, kept)
	}
	for _, word := range []string{kept, removed, "twice"} {
		if !contains(got.Message, word) {
			t.Errorf("the message %q does not mention %q", got.Message, word)
		}
	}
	for range 60 { // the tick of the inventory, by a process that knows nothing of it
		if _, err := r.open().List(context.Background(), provider.Owner{Installation: ours}); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Second)
	}
	left := r.cloud.Inventory()
	if len(left.Servers) != 1 || left.Servers[0].ID != kept || len(left.Storages) != 1 {
		t.Errorf("left: %+v", left)
	}
	r.end(u, kept)
	r.bare()
}

// Of two servers of a key one of which is ending the other one counts, whichever UUID is lower.
func TestTwinOfAnEnding(t *testing.T) {
	r := newRig(t)
	want := machine("web-1", "1")
	r.arm(faults.Order{Name: fake.Hidden, For: lasting(time.Minute)})
	a, b := r.create(r.open(), want), r.create(r.open(), want)
	r.pass(2 * time.Minute)
	u := r.open()
	lower, higher := min(a.ID, b.ID), max(a.ID, b.ID)
	r.until(u, lower, provider.Running)
	if err := u.Delete(context.Background(), lower); err != nil {
		t.Fatal(err)
	}
	if got := r.create(u, want); got.ID != higher || got.State == provider.Terminating {
		t.Errorf("got %s, %s, want %s", got.ID, got.State, higher)
	}
	r.until(u, higher, provider.Running)
	r.end(u, lower)
	r.end(u, higher)
	r.bare()
}

// What deletion and observation meet.
func TestFaultsOfALife(t *testing.T) {
	tests := map[string]struct {
		reason string
		orders []faults.Order
	}{
		"403 once deleted":        {"Gone, because the list does not show it either", []faults.Order{{Name: fake.DeletedForbidden}}},
		"listed once deleted":     {"not Gone before the list says so, too", []faults.Order{{Name: fake.DeletedListed, For: lasting(20 * time.Second)}}},
		"storages left":           {"they are found by their labels", []faults.Order{{Name: fake.StoragesLeft}}},
		"all three":               {"in any combination", []faults.Order{{Name: fake.StoragesLeft}, {Name: fake.DeletedListed, For: lasting(9 * time.Second)}, {Name: fake.DeletedForbidden}}},
		"maintenance before stop": {"100 s are waited for", []faults.Order{{Name: fake.Maintenance, Call: "StopServer", For: lasting(100 * time.Second)}}},
		"maintenance before mark": {"nothing is taken away before the intent is durable", []faults.Order{{Name: fake.Maintenance, Call: "ModifyServer", Skip: 1, For: lasting(100 * time.Second)}}},
		"maintenance at the end":  {"the deletion is asked for again", []faults.Order{{Name: fake.Maintenance, Call: "DeleteServer", For: lasting(100 * time.Second)}}},
		"busy":                    {"409 is looked at again", []faults.Order{{Name: fake.Busy, Count: 7}}},
		"replies lost":            {"each step is repeated", []faults.Order{{Name: fake.ReplyLost, Call: "ModifyServer", Count: 2}, {Name: fake.ReplyLost, Call: "StopServer"}, {Name: fake.ReplyLost, Call: "DeleteServer"}}},
		"502 on reads":            {"they say nothing", []faults.Order{{Name: fake.BadGateway, Call: "GetServer", Count: 5}, {Name: fake.BadGateway, Call: "ListStorages", Count: 2}}},
		"error state":             {"it comes back by itself", []faults.Order{{Name: fake.BootError, For: lasting(50 * time.Second)}}},
		"a page is missing":       {"the list shows the server: it is there", []faults.Order{{Name: fake.ListedNotFound, Count: 5}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			u := r.open()
			for _, order := range tc.orders {
				if order.Name == fake.BootError {
					r.arm(order)
				}
			}
			want := machine("web-1", "1")
			want.Disks = []provider.Disk{{Name: "data", SizeGiB: 10, Tier: "standard"}}
			made := r.create(u, want)
			for _, order := range tc.orders {
				if order.Name != fake.BootError {
					r.arm(order)
				}
			}
			r.until(u, made.ID, provider.Running)
			r.end(u, made.ID)
			if _, err := u.Get(context.Background(), made.ID); !fault.IsGone(err) {
				t.Errorf("%s: getting what has ended: %v", tc.reason, err)
			}
			if got := r.cloud.Inventory().Made; got != 1 {
				t.Errorf("%s: %d servers", tc.reason, got)
			}
			r.bare()
		})
	}
}

// A page that is missing is never taken for an absence while the list shows the server.
func TestListedAndNotFound(t *testing.T) {
	r := newRig(t)
	u := r.open()
	made := r.create(u, machine("web-1", "1"))
	r.until(u, made.ID, provider.Running)
	r.arm(faults.Order{Name: fake.ListedNotFound, Count: faults.Always})
	_, err := u.Get(context.Background(), made.ID)
	mentions(t, err, fault.Retry, fault.ReasonTransient, made.ID, "list", "SERVER_NOT_FOUND")
	if err := u.Delete(context.Background(), made.ID); fault.ClassOf(err) != fault.Retry || err == nil {
		t.Errorf("deleting: %v", err)
	}
	listed, err := r.open().List(context.Background(), provider.Owner{Installation: ours})
	if err != nil || len(listed) != 1 || listed[0].ID != made.ID || listed[0].Owner != made.Owner {
		t.Errorf("it stays in the list: %+v, %v", listed, err)
	}
	again, err := u.Create(context.Background(), machine("web-1", "1"))
	if err != nil || again.ID != made.ID || r.cloud.Inventory().Made != 1 {
		t.Errorf("it is not made again: %+v, %v", again, err)
	}
}

func TestVanished(t *testing.T) {
	r := newRig(t)
	u := r.open()
	made := r.create(u, machine("web-1", "1"))
	r.until(u, made.ID, provider.Running)
	r.arm(faults.Order{Name: fake.Vanishes, Target: made.ID})
	_, err := u.Get(context.Background(), made.ID)
	mentions(t, err, fault.Retry, fault.ReasonTransient, "a moment ago")
	r.pass(settle)
	if _, err := u.Get(context.Background(), made.ID); !fault.IsGone(err) {
		t.Errorf("got %v", err)
	}
	if listed, err := u.List(context.Background(), provider.Owner{Installation: ours}); err != nil || len(listed) != 0 {
		t.Errorf("%+v, %v", listed, err)
	}
	again := r.insist(u, machine("web-1", "1"))
	if again.ID == made.ID {
		t.Error("the id came back")
	}
}

func TestTooManyRequests(t *testing.T) {
	r := newRig(t)
	u := r.open()
	r.arm(faults.Order{Name: fake.TooManyRequests})
	_, err := u.List(context.Background(), provider.Owner{Installation: ours})
	mentions(t, err, fault.Retry, fault.ReasonRateLimited, "429")
	if fault.AfterOf(err) < time.Second {
		t.Errorf("the cloud asked for a pause, and the error says %s", fault.AfterOf(err))
	}
	before := r.calls("ListServers")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = u.List(ctx, provider.Owner{Installation: ours})
	mentions(t, err, fault.Retry, fault.ReasonRateLimited, "nothing was sent")
	if after := r.calls("ListServers"); after != before {
		t.Error("the pause was not kept")
	}
}

// A create call that cannot be sent in time is certainly not sent: no doubt stays behind.
func TestNoTurnIsNoDoubt(t *testing.T) {
	r := newRig(t)
	u := r.open()
	want := machine("web-1", "1")
	r.arm(faults.Order{Name: fake.TooManyRequests, Call: "CreateServer"})
	_, err := u.Create(context.Background(), want)
	mentions(t, err, fault.Retry, fault.ReasonRateLimited)
	if got, err := u.Create(context.Background(), want); err != nil || got.ID == "" {
		t.Errorf("%+v, %v", got, err)
	}
}
