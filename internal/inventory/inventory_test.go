package inventory_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counting is a cloud whose Lists take a second of (virtual) time and are counted.
type counting struct {
	*mem.Cloud
	lists, inFlight, most atomic.Int64
	fail                  atomic.Pointer[error]
}

func newCounting() *counting {
	return &counting{Cloud: mem.New(mem.Options{BootTime: 30 * time.Second, DeleteTime: 20 * time.Second})}
}

func (c *counting) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	c.lists.Add(1)
	c.most.Store(max(c.most.Load(), c.inFlight.Add(1)))
	defer c.inFlight.Add(-1)
	found, err := c.Cloud.List(ctx, owner) // what the cloud shows is what was there when the List began
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fail := c.fail.Load(); fail != nil {
		return nil, *fail
	}
	return found, err
}

func (c *counting) make(t *testing.T, uid string) provider.Instance {
	t.Helper()
	got, err := c.Create(context.Background(), provider.Machine{Key: "key-" + uid, Owner: provider.Owner{Installation: "i", Namespace: "n", Name: "s-" + uid, UID: uid}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// seen collects what an inventory tells.
type seen struct {
	mu   sync.Mutex
	keys []string
}

func (s *seen) options() inventory.Options {
	return inventory.Options{Installation: "i", Seen: func(_ inventory.Snapshot, changes []inventory.Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, change := range changes {
			s.keys = append(s.keys, change.Key)
		}
	}}
}

func (s *seen) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.keys
	s.keys = nil
	return keys
}

func refresh(t *testing.T, inv *inventory.Inventory, c *counting, notBefore time.Time) inventory.Snapshot {
	t.Helper()
	got, err := inv.Refresh(context.Background(), "acc", c, notBefore)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newCounting(), &seen{}
		inv := inventory.New(s.options())
		if _, ok := inv.Snapshot("acc"); ok {
			t.Error("nothing was listed yet")
		}
		first := refresh(t, inv, c, time.Time{})
		if got := refresh(t, inv, c, time.Time{}); got.StartedAt != first.StartedAt || c.lists.Load() != 1 {
			t.Error("a snapshot that is evidence is not fetched again")
		}
		deed := time.Now()
		made := c.make(t, "1")
		got := refresh(t, inv, c, deed)
		if _, ok := got.ByID(made.ID); !ok || c.lists.Load() != 2 {
			t.Error("a snapshot from before the deed is no evidence")
		}
		if len(got.ByKey("key-1")) != 1 || len(got.ByName("n", "s-1")) != 1 || !cmp.Equal(got.Making(), []string{"key-1"}) || len(got.All()) != 1 {
			t.Errorf("got %+v", got)
		}
		if diff := cmp.Diff([]string{"key-1"}, s.take()); diff != "" {
			t.Errorf("whom to wake:\n%s", diff)
		}
	})
}

// A List that is under way when the deed is done may have looked before it: those who need evidence wait for the next, together.
func TestRefreshShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		var all sync.WaitGroup
		all.Go(func() { refresh(t, inv, c, time.Now()) })
		time.Sleep(500 * time.Millisecond) // the first List has looked and is on its way back
		made := c.make(t, "1")
		for range 50 {
			all.Go(func() {
				if _, ok := refresh(t, inv, c, time.Now()).ByID(made.ID); !ok {
					t.Error("got a List that began before the deed")
				}
			})
		}
		all.Wait()
		if c.lists.Load() != 2 || c.most.Load() != 1 {
			t.Errorf("%d Lists, %d at once; want 2 and 1", c.lists.Load(), c.most.Load())
		}
	})
}

func TestRefreshErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		before := refresh(t, inv, c, time.Time{})
		denied := fault.New(fault.Terminal, fault.ReasonUnauthorized, "no")
		c.fail.Store(&denied)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if _, err := inv.Refresh(context.Background(), "acc", c, time.Now()); fault.ReasonOf(err) != fault.ReasonUnauthorized || !fault.IsTerminal(err) {
					t.Errorf("all who asked learn why: %v", err)
				}
			})
		}
		all.Wait()
		if got, ok := inv.Snapshot("acc"); !ok || got.StartedAt != before.StartedAt || c.lists.Load() != 3 { // the leader's, and one that began later
			t.Errorf("a failed List changes no snapshot and was shared: %v, %d Lists", got.StartedAt, c.lists.Load())
		}
		c.fail.Store(nil)
		c.Inject(mem.Order{Verb: mem.List, What: mem.Panic})
		if _, err := inv.Refresh(context.Background(), "acc", c, time.Now()); fault.ReasonOf(err) != fault.ReasonPanic {
			t.Errorf("a panic: %v", err)
		}
		refresh(t, inv, c, time.Now())
	})
}

// When the one who lists goes away, those who wait with him neither fail nor hang.
func TestLeaderGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		leader, cancel := context.WithCancel(context.Background())
		impatient, cancelImpatient := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancelImpatient()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := inv.Refresh(leader, "acc", c, time.Now()); !errors.Is(err, context.Canceled) {
				t.Errorf("the leader: %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() { refresh(t, inv, c, time.Time{}) })
		}
		all.Go(func() {
			if _, err := inv.Refresh(impatient, "acc", c, time.Now()); fault.ReasonOf(err) != fault.ReasonTransient || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who cannot wait is let go: %v", err)
			}
		})
		time.Sleep(500 * time.Millisecond)
		cancel()
		all.Wait()
		if c.lists.Load() != 2 || c.most.Load() != 1 {
			t.Errorf("%d Lists, %d at once; want 2 and 1", c.lists.Load(), c.most.Load())
		}
	})
}

func TestRefreshJoinsWhatIsEvidenceAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		deed := time.Now()
		time.Sleep(time.Millisecond)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { refresh(t, inv, c, deed) })
		}
		all.Wait()
		if c.lists.Load() != 1 {
			t.Errorf("%d Lists for one question", c.lists.Load())
		}
	})
}

// everyones is a cloud that heeds no owner.
type everyones struct{ *counting }

func (e everyones) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	ours, err := e.Cloud.List(ctx, owner)
	owner.Installation = "j"
	theirs, err2 := e.Cloud.List(ctx, owner)
	return append(theirs, ours...), errors.Join(err, err2)
}

func TestOnlyOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newCounting(), &seen{}
		foreign := provider.Machine{Key: "theirs", Owner: provider.Owner{Installation: "j", Namespace: "n", Name: "s-1", UID: "9"}}
		if _, err := c.Create(context.Background(), foreign); err != nil {
			t.Fatal(err)
		}
		c.make(t, "1")
		inv := inventory.New(s.options())
		got, err := inv.Refresh(context.Background(), "acc", everyones{c}, time.Time{})
		if err != nil || len(got.All()) != 1 || len(got.ByName("n", "s-1")) != 1 || len(got.ByKey("theirs")) != 0 {
			t.Errorf("what is not ours must not look like ours: %+v %v", got, err)
		}
		if diff := cmp.Diff([]string{"key-1"}, s.take()); diff != "" {
			t.Error(diff)
		}
	})
}
