package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// stage plays one workflow by hand.
type stage struct {
	testing.TB
	w      *Workflow
	l      *saga.Ledger
	sights Sights
	asked  Requests
	now    time.Time
	begun  time.Time
	wake   time.Time
}

func newStage(t testing.TB, spec string) *stage {
	t.Helper()
	w, err := Compile(flow(t, spec), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{TB: t, w: w, sights: Sights{}, begun: time.Unix(1_800_000_000, 0)}
	if s.l, err = w.Start(s.begun.Unix()); err != nil {
		t.Fatal(err)
	}
	return s.at(0)
}

// at looks at the workflow that long after its start.
func (s *stage) at(after time.Duration) *stage {
	s.Helper()
	s.now = s.begun.Add(after)
	var err error
	if s.l, s.wake, err = Advance(s.w, s.l, s.sights, s.asked, s.now); err != nil {
		s.Fatal(err)
	}
	return s
}

// edit changes the spec under the run, as what may change at once does.
func (s *stage) edit(change func(*v1alpha1.BatchWorkflowSpec)) {
	broken := *s.w
	broken.spec = s.w.spec.DeepCopy()
	change(broken.spec)
	s.w = &broken
}

// see shows an instance's child from now on.
func (s *stage) see(instance string, sight Sight) *stage {
	s.Helper()
	i := s.instance(instance)
	if sight.UID == "" {
		sight.UID = "u"
	}
	sight.Exists = !sight.Gone
	s.sights[i] = sight
	return s
}

func (s *stage) instance(name string) int {
	s.Helper()
	for i := range s.l.N() {
		if s.l.Ops[s.l.OpOf(i)].Name+"/"+s.l.Key(i) == name {
			return i
		}
	}
	s.Fatalf("there is no instance %q", name)
	return -1
}

// want compares the run's phase and those of all instances: "Running: a/0 Succeeded, a/1 Running".
func (s *stage) want(want string) *stage {
	s.Helper()
	if got := s.phases(); got != want {
		s.Fatalf("after %s the ledger says\n%s\nwant\n%s", s.now.Sub(s.begun), got, want)
	}
	return s
}

func (s *stage) phases() string {
	var parts []string
	for i, phase := range s.l.Phases {
		parts = append(parts, fmt.Sprintf("%s/%s %s", s.l.Ops[s.l.OpOf(i)].Name, s.l.Key(i), phase))
	}
	return s.l.Phase.String() + ": " + strings.Join(parts, ", ")
}

// wakes wants the next look that long after the start; below zero: never.
func (s *stage) wakes(after time.Duration) *stage {
	s.Helper()
	want := s.begun.Add(after)
	if after < 0 {
		want = time.Time{}
	}
	if !s.wake.Equal(want) {
		s.Fatalf("wakes at %s, want %s", s.wake.Sub(s.begun), after)
	}
	return s
}

var (
	ready = Sight{Ready: true, Asked: 1, Answered: 1}
	going = Sight{Asked: 1, Answered: 1, Reason: "InProgress", Message: "it is being made"}
)

func stalled(attempt int32) Sight {
	return Sight{Stalled: true, Asked: attempt, Answered: attempt, Reason: "QuotaExceeded", Message: "the quota of 20 machines is used up"}
}

func server(name, more string) string {
	return fmt.Sprintf(`{name: %s, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}%s}`, name, more)
}

func pauseOp(name, duration, more string) string {
	return fmt.Sprintf(`{name: %s, type: Wait, wait: {duration: %s}%s}`, name, duration, more)
}

func TestPause(t *testing.T) {
	seconds := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Second} }
	cases := map[string]struct {
		backoff v1alpha1.Backoff
		want    []time.Duration // after the first attempt, the second, …
	}{
		"defaults":           {v1alpha1.Backoff{}, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second}},
		"factor 1":           {v1alpha1.Backoff{Duration: seconds(3), Factor: 1}, []time.Duration{3 * time.Second, 3 * time.Second}},
		"bounded":            {v1alpha1.Backoff{Duration: seconds(4), Factor: 3, MaxDuration: seconds(30)}, []time.Duration{4 * time.Second, 12 * time.Second, 30 * time.Second, 30 * time.Second}},
		"none":               {v1alpha1.Backoff{Duration: seconds(0), Factor: 10}, []time.Duration{0, 0}},
		"never beyond 5m":    {v1alpha1.Backoff{Duration: seconds(100), Factor: 2}, []time.Duration{100 * time.Second, 200 * time.Second, 5 * time.Minute}},
		"a bound below it":   {v1alpha1.Backoff{Duration: seconds(100), MaxDuration: seconds(7)}, []time.Duration{7 * time.Second}},
		"as long as allowed": {v1alpha1.Backoff{Duration: seconds(3600), Factor: 10, MaxDuration: seconds(86400)}, []time.Duration{time.Hour, 10 * time.Hour, 24 * time.Hour}},
	}
	for name, c := range cases {
		for n, want := range c.want {
			if got := pause(c.backoff, int32(n+1)); got != want {
				t.Errorf("%s: after attempt %d %s, want %s", name, n+1, got, want)
			}
		}
		if got := pause(c.backoff, 101); got < 0 || got > 24*time.Hour {
			t.Errorf("%s: after attempt 101 %s", name, got)
		}
	}
}

// TestDueIsNeverEarly: the ledger keeps whole seconds, so a span begun late in a second must not end early in another.
func TestDueIsNeverEarly(t *testing.T) {
	for _, begun := range []time.Duration{0, time.Millisecond, 500 * time.Millisecond, 999 * time.Millisecond} {
		s := newStage(t, ops(pauseOp("w", "3s", "")))
		s.l, _ = s.w.Start(s.begun.Unix())
		s.at(begun).want("Running: w/0 Running")
		s.at(begun + 3*time.Second - time.Nanosecond).want("Running: w/0 Running")
		s.at(4 * time.Second).want("Succeeded: w/0 Succeeded")
	}
}

func TestWaits(t *testing.T) {
	s := newStage(t, "parallelLimit: 2\n"+ops(`{name: w, type: Wait, wait: {duration: 2s, count: 3}}`, pauseOp("then", "0s", ", dependsOn: [{operation: w}]")))
	s.want("Running: w/0 Running, w/1 Running, w/2 Pending, then/0 Pending").wakes(3 * time.Second)
	s.at(3 * time.Second).want("Running: w/0 Succeeded, w/1 Succeeded, w/2 Running, then/0 Pending").wakes(6 * time.Second)
	s.at(6 * time.Second).want("Succeeded: w/0 Succeeded, w/1 Succeeded, w/2 Succeeded, then/0 Succeeded").wakes(-1)

	short := newStage(t, ops(pauseOp("w", "200ms", "")))
	short.want("Running: w/0 Running").wakes(200 * time.Millisecond) // its start is durable before its end
	short.at(200 * time.Millisecond).want("Succeeded: w/0 Succeeded")

	late := newStage(t, ops(pauseOp("w", "200ms", "")))
	late.l, _ = late.w.Start(late.begun.Unix()) // begun late in a second of the ledger, it is over at the next look, not in this one
	late.at(700 * time.Millisecond).want("Running: w/0 Running").wakes(700 * time.Millisecond).at(700 * time.Millisecond).want("Succeeded: w/0 Succeeded")
}

func TestRetry(t *testing.T) {
	s := newStage(t, ops(server("a", ", retry: {limit: 2, backoff: {duration: 10s, factor: 3}}")))
	s.see("a/0", stalled(1)).at(time.Second).want("Running: a/0 Retrying").wakes(11 * time.Second)
	if s.l.Attempts[0] != 1 {
		t.Fatal("an attempt is counted when it is ordered")
	}
	s.at(11*time.Second - 1).want("Running: a/0 Retrying")
	s.at(11 * time.Second).want("Running: a/0 Running")
	if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Raise || actions[0].Attempt != 2 || actions[0].UID != "u" {
		t.Fatalf("the child is not asked for attempt 2: %+v", actions)
	}
	s.at(12 * time.Second).want("Running: a/0 Running") // what is Stalled is still the first attempt
	asked := stalled(1)
	asked.Asked = 2
	s.see("a/0", asked).at(13 * time.Second).want("Running: a/0 Running")
	if actions := Act(s.w, s.l, s.sights); len(actions) != 0 {
		t.Fatalf("it was asked already: %+v", actions)
	}
	s.see("a/0", stalled(2)).at(14500 * time.Millisecond).want("Running: a/0 Retrying").wakes(45 * time.Second) // 44.5 s, to the next whole second
	s.at(45*time.Second).see("a/0", stalled(3)).at(46 * time.Second).want("Failed: a/0 Failed").wakes(-1)
	if s.l.Reason(0) != "QuotaExceeded" || !strings.Contains(s.l.Ops[0].Message, "20 machines") {
		t.Errorf("it failed with %q: %q", s.l.Reason(0), s.l.Ops[0].Message)
	}
}

func TestRetrySucceeds(t *testing.T) {
	s := newStage(t, ops(server("a", ", retry: {limit: 1, backoff: {duration: 0s}}")))
	s.see("a/0", stalled(1)).at(time.Second).want("Running: a/0 Running") // no pause: at once
	s.see("a/0", Sight{Ready: true, Asked: 1, Answered: 1}).at(2 * time.Second).want("Succeeded: a/0 Succeeded")
	if s.l.Ops[0].Reason != "" {
		t.Error("what passed in the end has no story")
	}
}

func TestAttemptTimeout(t *testing.T) {
	timed := ops(server("a", ", timeout: 10s, retry: {limit: 1, backoff: {duration: 1s}}"))
	cases := map[string]struct {
		why  string
		play func(s *stage)
	}{
		"counts from the queue's end": {"a place at the provider may take hours to come free", func(s *stage) {
			s.see("a/0", Sight{Queued: true, Asked: 1}).at(time.Hour).want("Running: a/0 Running").wakes(-1)
			s.see("a/0", going).at(time.Hour + time.Second).want("Running: a/0 Running").wakes(time.Hour + 12*time.Second)
			s.at(time.Hour + 12*time.Second - 1).want("Running: a/0 Running")
			s.at(time.Hour + 12*time.Second).want("Running: a/0 Retrying")
		}},
		"not before it is there": {"a child that the API server does not take is not its leaf's fault", func(s *stage) {
			s.at(time.Hour).want("Running: a/0 Running").wakes(-1)
		}},
		"goes on when it vanishes": {"another hand's deletion that hangs must not hold the workflow for ever", func(s *stage) {
			s.see("a/0", going).at(time.Second)
			leaving := going
			leaving.Deleting = true
			s.see("a/0", leaving).at(12 * time.Second).want("Running: a/0 Retrying")
		}},
		"each attempt has its own": {"", func(s *stage) {
			s.see("a/0", going).at(0).at(11 * time.Second).want("Running: a/0 Retrying")
			s.at(12 * time.Second).want("Running: a/0 Running")
			again := going
			again.Asked, again.Answered = 2, 2
			s.see("a/0", going).at(12 * time.Second).wakes(-1) // it has not taken it up
			s.see("a/0", again).at(12 * time.Second).wakes(23 * time.Second).at(23 * time.Second).want("Failed: a/0 Failed")
			if s.l.Reason(0) != string(fault.ReasonTimedOut) || !strings.Contains(s.l.Ops[0].Message, "within 10s; last seen: it is being made") {
				s.Errorf("it reads %q", s.l.Ops[0].Message)
			}
		}},
		"an end in time wins": {"what is Ready is Ready", func(s *stage) {
			s.see("a/0", going).at(0).see("a/0", ready).at(time.Hour).want("Succeeded: a/0 Succeeded")
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			c.play(newStage(t, timed))
		})
	}
}

func TestEdges(t *testing.T) {
	two := func(edge, more string) string {
		return ops(server("a", ""), server("b", ", dependsOn: [{operation: a, type: "+edge+"}]"), server("c", ", dependsOn: [{operation: b}]")) + more
	}
	cases := map[string]struct {
		why  string
		spec string
		play func(s *stage)
	}{
		"hard": {"its success is recorded before its dependent is ordered", two("Hard", ""), func(s *stage) {
			s.want("Running: a/0 Running, b/0 Pending, c/0 Pending").see("a/0", going).at(time.Second).want("Running: a/0 Running, b/0 Pending, c/0 Pending")
			s.see("a/0", ready).at(2 * time.Second).want("Running: a/0 Succeeded, b/0 Running, c/0 Pending")
			s.see("b/0", ready).at(3 * time.Second).want("Running: a/0 Succeeded, b/0 Succeeded, c/0 Running")
			s.see("c/0", ready).at(4 * time.Second).want("Succeeded: a/0 Succeeded, b/0 Succeeded, c/0 Succeeded")
		}},
		"a service over all servers": {"one that is ready is not enough, and one that is late holds it", ops(machines, etcdOp), func(s *stage) {
			s.see("servers/b", ready).at(time.Second).want("Running: servers/a Running, servers/b Succeeded, etcd/etcd Pending")
			s.see("servers/a", ready).at(2 * time.Second).want("Running: servers/a Succeeded, servers/b Succeeded, etcd/etcd Running")
		}},
		"failed": {"nothing new starts after a failure, and what did not start is Omitted", two("Soft", ""), func(s *stage) {
			s.see("a/0", stalled(1)).at(time.Second).want("Failed: a/0 Failed, b/0 Omitted, c/0 Omitted")
		}},
		"unknown": {"not knowable is no success", two("Soft", ""), func(s *stage) {
			s.see("a/0", Sight{Stalled: true, Unknown: true, Asked: 1, Answered: 1, Reason: "OutcomeUnknown", Message: "who knows"}).at(time.Second).
				want("Failed: a/0 Unknown, b/0 Omitted, c/0 Omitted")
		}},
		"what runs may end": {"Fail starts nothing new and lets running ones end", "parallelLimit: 2\n" + ops(server("a", ""), server("b", ""), server("c", "")), func(s *stage) {
			s.want("Running: a/0 Running, b/0 Running, c/0 Pending")
			s.see("a/0", stalled(1)).see("b/0", going).at(time.Second).want("Running: a/0 Failed, b/0 Running, c/0 Omitted")
			s.see("b/0", ready).at(2 * time.Second).want("Failed: a/0 Failed, b/0 Succeeded, c/0 Omitted")
		}},
		"no retry after a failure": {"it could only delay the end", ops(server("a", ""), server("b", ", retry: {limit: 5}"), server("c", ", retry: {limit: 5}")), func(s *stage) {
			s.see("b/0", stalled(1)).see("a/0", going).see("c/0", going).at(time.Second).want("Running: a/0 Running, b/0 Retrying, c/0 Running")
			s.see("a/0", stalled(1)).at(2 * time.Second).want("Running: a/0 Failed, b/0 Failed, c/0 Running")
			s.see("c/0", stalled(1)).at(3 * time.Second).want("Failed: a/0 Failed, b/0 Failed, c/0 Failed")
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			c.play(newStage(t, c.spec))
		})
	}
}

func TestSuspend(t *testing.T) {
	suspend := func(on bool) func(*v1alpha1.BatchWorkflowSpec) {
		return func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = on }
	}
	s := newStage(t, "suspend: true\n"+ops(server("a", ", retry: {limit: 1, backoff: {duration: 1s}}"), server("b", ", dependsOn: [{operation: a}]")))
	s.want("Running: a/0 Pending, b/0 Pending").wakes(-1)
	s.edit(suspend(false))
	s.at(time.Second).want("Running: a/0 Running, b/0 Pending")
	s.edit(suspend(true))
	s.see("a/0", stalled(1)).at(2 * time.Second).want("Running: a/0 Retrying, b/0 Pending").at(time.Hour).want("Running: a/0 Retrying, b/0 Pending")
	s.edit(suspend(false))
	s.at(2 * time.Hour).want("Running: a/0 Running, b/0 Pending")
	s.edit(suspend(true))
	s.see("a/0", Sight{Ready: true, Asked: 2, Answered: 2}).at(3 * time.Hour).want("Running: a/0 Succeeded, b/0 Pending") // what runs goes on to its end
	s.edit(suspend(false))
	s.at(4*time.Hour).want("Running: a/0 Succeeded, b/0 Running").see("b/0", ready).at(5 * time.Hour).want("Succeeded: a/0 Succeeded, b/0 Succeeded")
}

func TestLimit(t *testing.T) {
	limit := func(n int32) func(*v1alpha1.BatchWorkflowSpec) {
		return func(spec *v1alpha1.BatchWorkflowSpec) { spec.ParallelLimit = n }
	}
	count := func(s *stage) int { c := s.l.Counts(); return int(c.Live()) }
	s := newStage(t, "parallelLimit: 3\n"+ops(`{name: a, type: ServerBatch, retry: {limit: 1, backoff: {duration: 1h}}, serverBatch: {count: 12, template: {spec: {providerRef: {name: p}}}}}`))
	if count(s) != 3 {
		t.Fatalf("%d are started, want 3", count(s))
	}
	s.see("a/0", stalled(1)).at(time.Second) // between two attempts it keeps its place
	if count(s) != 3 || s.l.Phases[0] != saga.Retrying {
		t.Fatalf("%d are started, want 3", count(s))
	}
	s.edit(limit(1)) // lowered: nothing is stopped, nothing is started
	if s.see("a/1", ready).at(2 * time.Second); count(s) != 2 {
		t.Fatalf("%d are started, want 2", count(s))
	}
	s.edit(limit(6))
	if s.at(3 * time.Second); count(s) != 6 {
		t.Fatalf("%d are started, want 6", count(s))
	}
	s.edit(limit(0)) // the schema's default, for a spec that no API server has filled in
	if s.at(4 * time.Second); count(s) != 10 {
		t.Fatalf("%d are started, want 10", count(s))
	}
}

// TestOrderOfStarts: longest remaining path first, then declaration, then key.
func TestOrderOfStarts(t *testing.T) {
	s := newStage(t, "parallelLimit: 1\n"+ops(
		server("short", ""),
		`{name: keys, type: ServerBatch, serverBatch: {forEach: [{key: z}, {key: a}, {key: "10"}, {key: "9"}], template: {spec: {providerRef: {name: p}}}}}`,
		server("long", ""), server("mid", ", dependsOn: [{operation: long}]"), server("end", ", dependsOn: [{operation: mid}]")))
	var order []string
	for n := 0; s.l.Phase == saga.RunRunning && n < 20; n++ {
		for i, phase := range s.l.Phases {
			if phase == saga.Running {
				name := s.l.Ops[s.l.OpOf(i)].Name + "/" + s.l.Key(i)
				order = append(order, name)
				s.see(name, ready)
			}
		}
		s.at(time.Duration(n) * time.Second)
	}
	if got, want := strings.Join(order, " "), "long/0 mid/0 short/0 keys/9 keys/10 keys/a keys/z end/0"; got != want {
		t.Errorf("started in the order %s, want %s", got, want)
	}
}
