package all_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	fakeup "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

var loopback = []string{"127.0.0.0/8"}

// accounts are simulated ones, and an opener whose time passes when a request waits.
type accounts struct {
	*testing.T
	*all.Opener
	now    time.Time
	waited []time.Duration
	amazon *ec2.Cloud
	up     *fakeup.Cloud
	urls   map[string]string
}

func newAccounts(t *testing.T) *accounts {
	a := &accounts{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), amazon: ec2.New(ec2.Options{Unthrottled: true}), up: fakeup.New(fakeup.Options{Bucket: 1e6, Refill: 1e6})}
	at, to := httptest.NewServer(a.amazon.Handler()), httptest.NewServer(a.up.Handler())
	t.Cleanup(at.Close)
	t.Cleanup(to.Close)
	a.urls = map[string]string{all.TypeAWS: at.URL, all.TypeUpCloud: to.URL}
	a.Opener = all.NewOpener(mem.Options{Clock: func() time.Time { return a.now }})
	t.Cleanup(a.Close)
	a.SetPause(func(_ context.Context, d time.Duration) error {
		a.waited = append(a.waited, d)
		a.pass(d)
		return nil
	})
	return a
}

func (a *accounts) pass(d time.Duration) {
	a.now = a.now.Add(d)
	a.amazon.Clock.Move(d)
	a.up.Clock.Move(d)
}

func (a *accounts) open(kind, name string, perSecond int) provider.Provider {
	a.Helper()
	door, _, err := a.Open(context.Background(), all.Spec{
		Name: name, Type: kind, Installation: "i", EndpointAllow: loopback, RequestsPerSecond: perSecond,
		AWS:     aws.Options{Region: ec2.Region, Endpoint: a.urls[all.TypeAWS], Credentials: aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: ec2.SecretAccessKey}},
		UpCloud: upcloud.Options{Zone: "fi-hel1", Endpoint: a.urls[all.TypeUpCloud], Token: "ucat_FAKE"},
	})
	if err != nil {
		a.Fatal(err)
	}
	return door
}

func (a *accounts) list(times int, doors ...provider.Provider) {
	a.Helper()
	for range times {
		for _, door := range doors {
			if _, err := door.List(context.Background(), provider.Owner{Installation: "i"}); err != nil {
				a.Fatal(err)
			}
		}
	}
}

// within fails when the cloud saw more than a rate in any stretch of time, but for what may be sent at once. It returns how many it saw.
func (a *accounts) within(log *faults.Log, after int, perSecond float64) int {
	a.Helper()
	calls := log.Report(after).Calls
	for i := range calls {
		for j := i + 1; j < len(calls); j++ {
			if most := perSecond * (1 + calls[j].At.Sub(calls[i].At).Seconds()); float64(j-i) > most {
				a.Fatalf("%d requests in %v, at most %.1f were to be sent", j-i+1, calls[j].At.Sub(calls[i].At), most)
			}
		}
	}
	return len(calls)
}

// The rate is the account's: the strictest of those who reach it holds for all of them, as the cloud's own log shows, and for nobody else.
func TestPaceOfAnAccount(t *testing.T) {
	a := newAccounts(t)
	for kind, log := range map[string]*faults.Log{all.TypeAWS: a.amazon.Log, all.TypeUpCloud: a.up.Log} {
		a.waited = nil
		strict, free := a.open(kind, "n/strict-"+kind, 40), a.open(kind, "m/free-"+kind, 500)
		begun := log.Report(0).Requests
		a.list(50, strict, free)
		if got := a.within(log, begun, 40); got < 100 || len(a.waited) < 50 {
			t.Errorf("%s: %d requests, %d of them waited: too few to show anything", kind, got, len(a.waited))
		}
		free = a.open(kind, "m/free-"+kind, 20) // a change of the Provider acts at once
		a.pass(time.Minute)
		begun = log.Report(0).Requests
		a.list(30, free)
		a.within(log, begun, 20)
	}
}

// The limit of a Provider that is gone does not stay.
func TestPaceAfterAProvider(t *testing.T) {
	a := newAccounts(t)
	a.open(all.TypeAWS, "n/strict", 1)
	for range 3 {
		a.pass(6 * time.Minute)
		a.list(1, a.open(all.TypeAWS, "n/free", 100))
	}
	a.waited = nil
	a.pass(time.Second)
	a.list(50, a.open(all.TypeAWS, "n/free", 100))
	if len(a.waited) > 0 {
		t.Errorf("it still waits: %v", a.waited)
	}
}

// What UpCloud asks of one who reaches an account holds for all who do: nobody goes on at full speed beside it.
func TestPaceIsLearnedForAll(t *testing.T) {
	a := newAccounts(t)
	first, second := a.open(all.TypeUpCloud, "n/first", 40), a.open(all.TypeUpCloud, "m/second", 40)
	if err := a.up.Board.Arm(faults.Order{Name: fakeup.TooManyRequests, Count: 6}); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if _, err := first.List(context.Background(), provider.Owner{Installation: "i"}); fault.ReasonOf(err) != fault.ReasonRateLimited {
			t.Fatalf("%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for sent := range 37 { // of a burst of 40, the first one has had six
		if _, err := second.List(ctx, provider.Owner{Installation: "i"}); err != nil {
			if fault.ReasonOf(err) != fault.ReasonRateLimited {
				t.Errorf("after %d requests: %v", sent, err)
			}
			return
		}
	}
	t.Error("the second goes on as if nothing had been said")
}

// What AWS throttles for one who reaches an account in a region is slower for all who do, as its own log shows.
func TestThrottlingIsLearnedForAll(t *testing.T) {
	a := newAccounts(t)
	first, second := a.open(all.TypeAWS, "n/first", 1000), a.open(all.TypeAWS, "m/second", 1000)
	a.list(20, second)
	if len(a.waited) > 0 {
		t.Fatalf("nobody was throttled, and it waits: %v", a.waited)
	}
	if err := a.amazon.Board.Arm(faults.Order{Name: ec2.RequestLimitExceeded, Call: "DescribeInstances", Count: 4}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := first.List(context.Background(), provider.Owner{Installation: "i"}); fault.ReasonOf(err) != fault.ReasonRateLimited {
			t.Fatalf("%v", err)
		}
		a.pass(10 * time.Second)
	}
	a.waited = nil
	a.list(20, second)
	if len(a.waited) == 0 {
		t.Error("the second goes on as if nothing had been said")
	}
}

// One account's slow pace keeps nobody waiting for long, and is no other account's.
func TestPaceIsFair(t *testing.T) {
	a := newAccounts(t)
	a.SetPause(func(context.Context, time.Duration) error { return nil }) // time stands still: the queue only grows
	slow, other := a.open(all.TypeAWS, "n/slow", 1), a.open(all.TypeUpCloud, "n/other", 0)
	before := a.amazon.Log.Report(0).Requests
	var err error
	for sent := 0; err == nil && sent < 100; sent++ {
		_, err = slow.List(context.Background(), provider.Owner{Installation: "i"})
	}
	if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonRateLimited || fault.AfterOf(err) <= 5*time.Second {
		t.Errorf("what would wait too long is not sent, and says when to come again: %v, %v", err, fault.AfterOf(err))
	}
	if got := a.amazon.Log.Report(0).Requests - before; got > 7 {
		t.Errorf("%d requests were sent although time stood still", got)
	}
	a.list(5, other)
}
