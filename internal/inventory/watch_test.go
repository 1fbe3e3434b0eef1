package inventory_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/provider/mem"
)

func TestInterval(t *testing.T) {
	tests := map[string]struct {
		reason      string
		pace        inventory.Pace
		least, most time.Duration
	}{
		"busy":           {"something is under way", inventory.Pace{Busy: true}, time.Second, time.Second},
		"two pages":      {"two requests a second", inventory.Pace{Busy: true, Pages: 2}, time.Second, time.Second},
		"eleven pages":   {"no more than two requests a second", inventory.Pace{Busy: true, Pages: 11}, 5500 * time.Millisecond, 5500 * time.Millisecond},
		"a thousand":     {"no slower than at rest", inventory.Pace{Busy: true, Pages: 1000}, time.Minute, time.Minute},
		"pages, failing": {"a failure makes nothing quicker", inventory.Pace{Busy: true, Pages: 11, Failures: 1}, 5500 * time.Millisecond, 5500 * time.Millisecond},
		"rest, pages":    {"nothing moves", inventory.Pace{Pages: 11}, time.Minute, time.Minute},
		"rest":           {"nothing moves", inventory.Pace{}, time.Minute, time.Minute},
		"rest, jittered": {"accounts do not march in step", inventory.Pace{Jitter: 0.999}, 4*time.Minute + 50*time.Second, 5 * time.Minute},
		"one failure":    {"soon again", inventory.Pace{Failures: 1, Busy: true}, time.Second, time.Second},
		"some failures":  {"slower, busy or not", inventory.Pace{Failures: 5, Busy: true}, 16 * time.Second, 16 * time.Second},
		"many failures":  {"bounded", inventory.Pace{Failures: 1 << 40}, 5 * time.Minute, 5 * time.Minute},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := inventory.Interval(tc.pace); got < tc.least || got > tc.most {
				t.Errorf("%s: got %v, want %v to %v", tc.reason, got, tc.least, tc.most)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		p := inventory.Pace{Busy: rapid.Bool().Draw(t, "busy"), Pages: rapid.IntRange(0, 1<<40).Draw(t, "pages"), Failures: rapid.IntRange(0, 1000).Draw(t, "failures"), Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter")}
		if got := inventory.Interval(p); got < time.Second || got > 8*time.Minute {
			t.Fatalf("%+v: %v", p, got)
		}
		if got := inventory.Interval(p); p.Pages < 120 && float64(p.Pages)/got.Seconds() > 2 {
			t.Fatalf("%+v: more than two requests a second", p)
		}
	})
}

// watching runs Start for the time of a test, in virtual time.
func watching(t *testing.T, test func(t *testing.T, inv *inventory.Inventory, c *counting, s *seen)) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newCounting(), &seen{}
		inv := inventory.New(s.options())
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- inv.Start(ctx) }()
		test(t, inv, c, s)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
		if c.most.Load() > 1 {
			t.Errorf("%d Lists at once", c.most.Load())
		}
	})
}

// during counts the Lists of a stretch of time.
func during(c *counting, stretch time.Duration) int {
	before := c.lists.Load()
	time.Sleep(stretch)
	synctest.Wait()
	return int(c.lists.Load() - before)
}

func TestPaceFollowsTheAccount(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, s *seen) {
		inv.Track("acc", c)
		if got := during(c, 10*time.Minute); got < 3 || got > 12 {
			t.Errorf("at rest: %d Lists in ten minutes", got)
		}
		made := c.make(t, "1")
		inv.Deed("acc")
		if got := during(c, 10*time.Second); got < 4 || got > 6 { // a List takes one second, the pause another
			t.Errorf("after a deed: %d Lists in ten seconds", got)
		}
		if got := s.take(); !slices.Equal(got, []string{"key-1"}) {
			t.Errorf("it appeared: %q", got)
		}
		during(c, time.Minute)
		if got := s.take(); !slices.Equal(got, []string{"key-1"}) {
			t.Errorf("it came up, and that is told once: %q", got)
		}
		if got := during(c, 10*time.Minute); got < 2 || got > 12 {
			t.Errorf("settled: %d Lists in ten minutes", got)
		}
		c.Vanish(made.ID)
		during(c, 10*time.Minute)
		if got := s.take(); len(got) == 0 || got[0] != "key-1" {
			t.Errorf("its end by another hand is seen at rest too: %q", got)
		}
		inv.Forget("acc")
		during(c, time.Second) // the last one under way
		if got := during(c, time.Hour); got != 0 {
			t.Errorf("forgotten: %d Lists", got)
		}
	})
}

// paged is a cloud whose List takes a request a machine.
type paged struct{ *counting }

func (paged) PageSize() int { return 1 }

// Where a List takes many requests it is begun less often, however much is under way.
func TestPaceOfManyPages(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, _ *seen) {
		inv.Track("acc", paged{c})
		for n := range 11 {
			c.make(t, fmt.Sprint(n))
		}
		during(c, 10*time.Minute)
		inv.Deed("acc")
		during(c, 5*time.Second)
		if got := during(c, 26*time.Second); got < 3 || got > 5 { // a List takes one second, the pause six
			t.Errorf("%d Lists of twelve pages in 26 seconds", got)
		}
	})
}

// A cloud that does not show a new machine yet has not settled.
func TestPaceWhileHidden(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, s *seen) {
		inv.Track("acc", c)
		during(c, time.Minute)
		c.Inject(mem.Order{What: mem.Hidden, For: 20 * time.Second})
		c.make(t, "1")
		inv.Deed("acc")
		during(c, 25*time.Second)
		if got := s.take(); !slices.Equal(got, []string{"key-1"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestPaceOfFailures(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, s *seen) {
		broken := fault.New(fault.Retry, fault.ReasonTransient, "502")
		c.fail.Store(&broken)
		inv.Track("acc", c)
		if got := during(c, 10*time.Minute); got < 6 || got > 12 {
			t.Errorf("failing: %d Lists in ten minutes", got)
		}
		inv.Deed("acc")
		if got := during(c, 10*time.Second); got > 2 {
			t.Errorf("a deed does not hurry a cloud that fails: %d Lists", got)
		}
		c.fail.Store(nil)
		made := c.make(t, "1")
		during(c, 10*time.Minute)
		if got, ok := inv.Snapshot("acc"); !ok || len(s.take()) == 0 {
			t.Error("it recovers by itself")
		} else if _, has := got.ByID(made.ID); !has {
			t.Error("with what is there")
		}
	})
}

// The pause that a cloud asks for is kept, up to a bound.
func TestPaceHonoursThePauseAskedFor(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, _ *seen) {
		c.Inject(mem.Order{Verb: mem.List, What: mem.RateLimited, For: 3 * time.Minute})
		inv.Track("acc", c)
		first := during(c, time.Minute)
		inv.Deed("acc")
		if got := first + during(c, 2*time.Minute); got != 1 {
			t.Errorf("%d Lists in the pause, a deed in its middle", got)
		}
		if got := during(c, 2*time.Minute); got == 0 {
			t.Error("and then it goes on")
		}
	})
}

// An account that does not answer holds up no other.
func TestStuckAccount(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, s *seen) {
		other := newCounting()
		other.Inject(mem.Order{Verb: mem.List, What: mem.Stuck})
		inv.Track("stuck", other)
		during(other, time.Second)
		c.make(t, "1")
		inv.Track("acc", c)
		during(c, 5*time.Second)
		if got := s.take(); !slices.Equal(got, []string{"key-1"}) {
			t.Errorf("got %q", got)
		}
		if _, ok := inv.Snapshot("stuck"); ok {
			t.Error("it never answered")
		}
		before := runtime.NumGoroutine()
		during(c, 5*time.Minute)
		if got := runtime.NumGoroutine() - before; got > 10 {
			t.Errorf("%d more goroutines wait for it", got)
		}
	})
}
