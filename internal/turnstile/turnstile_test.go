package turnstile_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/turnstile"
)

func ask(holder, key string, since int) plan.Ask {
	return plan.Ask{Key: plan.Key(key), Holder: plan.Holder(holder), Since: time.Unix(int64(since), 0)}
}

// woken collects what a turnstile tells.
type woken struct {
	mu   sync.Mutex
	keys []plan.Key
}

func (w *woken) wake(_ string, keys []plan.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, keys...)
}

func (w *woken) take() []plan.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := w.keys
	w.keys = nil
	return keys
}

func expect[T any](t *testing.T, reason string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

func TestGateAndTurns(t *testing.T) {
	w := &woken{}
	ts := turnstile.New(w.wake)
	expect(t, "no limit, no List: the gate is shut", ts.Ask("acc", ask("a", "a1", 1)), false)
	ts.SetLimit("acc", "prov", 2)
	expect(t, "a limit alone does not open it: nobody knows what is pending there", ts.Ask("acc", ask("b", "b1", 2)), false)
	expect(t, "nothing yet", w.take(), nil)
	ts.Seed("acc", []plan.Key{"old", "b1"})
	expect(t, "what is pending there holds the slots", ts.Held("acc"), []plan.Key{"b1", "old"})
	expect(t, "its object is told that it holds one", w.take(), []plan.Key{"b1"})
	expect(t, "and does", ts.Ask("acc", ask("b", "b1", 2)), true)
	expect(t, "full", ts.Ask("acc", ask("a", "a1", 1)), false)
	expect(t, "another account is another gate", ts.Held("other"), nil)

	ts.Release("acc", "old")
	expect(t, "the one who waits is told", w.take(), []plan.Key{"a1"})
	expect(t, "and holds its slot already", ts.Ask("acc", ask("a", "a1", 1)), true)
	ts.Release("acc", "never heard of")
	expect(t, "nothing changed", ts.Held("acc"), []plan.Key{"a1", "b1"})

	ts.Ask("acc", ask("a", "a2", 1))
	ts.Ask("acc", ask("c", "c1", 9))
	ts.Release("acc", "b1")
	expect(t, "fewest held goes before oldest", w.take(), []plan.Key{"c1"})
	ts.Release("acc", "a2")
	ts.Release("acc", "c1")
	expect(t, "who left the queue is not woken", w.take(), nil)
	expect(t, "and holds nothing", ts.Held("acc"), []plan.Key{"a1"})
}

func TestSeedAgain(t *testing.T) {
	w := &woken{}
	ts := turnstile.New(w.wake)
	ts.SetLimit("acc", "prov", 2)
	ts.Seed("acc", []plan.Key{"orphan", "known"})
	ts.Ask("acc", ask("a", "known", 1))
	ts.Ask("acc", ask("a", "a2", 2))
	ts.Seed("acc", nil)
	expect(t, "an orphan's slot ends with the orphan; who asked releases for himself", ts.Held("acc"), []plan.Key{"a2", "known"})
	expect(t, "its slot goes on", w.take(), []plan.Key{"a2"})
	ts.Seed("acc", []plan.Key{"late"})
	expect(t, "a call of the old leader that lands late counts, even above the limit", ts.Held("acc"), []plan.Key{"a2", "known", "late"})
	ts.Release("acc", "known")
	expect(t, "and nothing starts meanwhile", ts.Ask("acc", ask("b", "b1", 3)), false)
}

func TestLimits(t *testing.T) {
	w := &woken{}
	ts := turnstile.New(w.wake)
	ts.Seed("acc", nil)
	for i := range 5 {
		expect(t, "without a limit the gate is shut", ts.Ask("acc", ask("a", fmt.Sprint("a", i), i)), false)
	}
	ts.SetLimit("acc", "one", 3)
	expect(t, "a limit acts at once", w.take(), []plan.Key{"a0", "a1", "a2"})
	ts.SetLimit("acc", "two", 1)
	ts.Release("acc", "a0")
	ts.Release("acc", "a1")
	expect(t, "of two objects the lower limit counts", w.take(), nil)
	ts.SetLimit("acc", "two", 0)
	expect(t, "withdrawn", w.take(), []plan.Key{"a3", "a4"})
	asking, open := ts.Ahead("acc")
	expect(t, "the queue is empty", fmt.Sprint(asking, open), "0 true")
	ts.Forget("acc")
	expect(t, "forgotten", ts.Held("acc"), nil)
	expect(t, "and shut again", ts.Ask("acc", ask("a", "x", 1)), false)
}

// Whatever is done in whatever order: never above the limit, no free slot while somebody asks, every turn told once.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &woken{}
		ts := turnstile.New(w.wake)
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		ts.SetLimit("acc", "prov", limit)
		ts.Seed("acc", nil)
		holds, waits := map[plan.Key]bool{}, map[plan.Key]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			key := plan.Key(fmt.Sprint("k", rapid.IntRange(0, 9).Draw(t, "key")))
			switch rapid.SampledFrom([]string{"ask", "release", "limit"}).Draw(t, "step") {
			case "ask":
				if ts.Ask("acc", plan.Ask{Key: key, Holder: "h" + plan.Holder(key[1]%3)}) {
					holds[key] = true
					delete(waits, key)
				} else {
					waits[key] = true
				}
			case "release":
				ts.Release("acc", key)
				delete(holds, key)
				delete(waits, key)
			case "limit":
				limit = rapid.IntRange(1, 4).Draw(t, "limit")
				ts.SetLimit("acc", "prov", limit)
			}
			before := len(holds)
			for _, key := range w.take() {
				if !waits[key] {
					t.Fatalf("%s was woken and does not wait", key)
				}
				delete(waits, key)
				holds[key] = true
			}
			if got := ts.Held("acc"); len(got) != len(holds) || slices.ContainsFunc(got, func(k plan.Key) bool { return !holds[k] }) {
				t.Fatalf("held %v, told %v", got, holds)
			}
			if len(holds) > max(limit, before) {
				t.Fatalf("%d hold slots, %d are allowed", len(holds), limit)
			}
			if len(waits) > 0 && len(holds) < limit {
				t.Fatalf("%d wait while only %d of %d hold slots", len(waits), len(holds), limit)
			}
		}
	})
}

// Many at once: each worker starts only with a slot, and all get through.
func TestConcurrent(t *testing.T) {
	const workers, limit = 64, 5
	turns := make(map[plan.Key]chan struct{}, workers)
	for i := range workers {
		turns[plan.Key(fmt.Sprint("k", i))] = make(chan struct{}, 1)
	}
	ts := turnstile.New(func(_ string, keys []plan.Key) {
		for _, key := range keys {
			turns[key] <- struct{}{}
		}
	})
	ts.SetLimit("acc", "prov", limit)
	var all sync.WaitGroup
	var inside, most atomic.Int64
	for key, turn := range turns {
		all.Go(func() {
			if !ts.Ask("acc", plan.Ask{Key: key, Holder: plan.Holder(key[len(key)-1:])}) {
				<-turn
			}
			for now := inside.Add(1); ; {
				if seen := most.Load(); now <= seen || most.CompareAndSwap(seen, now) {
					break
				}
			}
			if !ts.Ask("acc", plan.Ask{Key: key, Holder: "again"}) {
				t.Errorf("%s was told that it is its turn, and it is not", key)
			}
			inside.Add(-1)
			ts.Release("acc", key)
		})
	}
	all.Go(func() { ts.Seed("acc", nil) })
	all.Wait()
	if most.Load() > limit || len(ts.Held("acc")) != 0 {
		t.Errorf("%d were inside at once, %v are left", most.Load(), ts.Held("acc"))
	}
}
