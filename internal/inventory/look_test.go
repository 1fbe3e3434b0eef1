package inventory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
)

// However many do something all the time and look for what came of it, they share one List a tick, and each sees its own deed.
func TestLooksShareTheTick(t *testing.T) {
	watching(t, func(t *testing.T, inv *inventory.Inventory, c *counting, _ *seen) {
		inv.Track("acc", c)
		during(c, time.Minute)
		before := c.lists.Load()
		const many = 200
		var all sync.WaitGroup
		begun := time.Now()
		for n := range many {
			time.Sleep(50 * time.Millisecond)
			all.Go(func() {
				made := c.make(t, fmt.Sprint(n))
				deed := time.Now()
				inv.Deed("acc")
				for {
					now, wait, err := inv.Look(context.Background(), "acc", c, deed)
					if err != nil {
						t.Error(err)
						return
					}
					if wait == 0 {
						if _, there := now.ByID(made.ID); !there || now.StartedAt.Before(deed) {
							t.Errorf("deed of %v: a List of %v is no evidence", deed, now.StartedAt)
						}
						return
					}
					time.Sleep(wait)
				}
			})
		}
		all.Wait()
		// A List takes one second, the pause another: one every two seconds, and one at once at the beginning.
		if got, most := c.lists.Load()-before, int64(time.Since(begun)/(2*time.Second))+1; got > most {
			t.Errorf("%d Lists in %v for %d deeds, want at most %d", got, time.Since(begun), many, most)
		}
	})
}

// Who is alone waits for nobody.
func TestTheFirstLookIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		for range 3 {
			deed := time.Now()
			inv.Deed("acc")
			if now, wait, err := inv.Look(context.Background(), "acc", c, deed.Add(-time.Nanosecond)); wait != 0 || err != nil || now.StartedAt.Before(deed) {
				t.Errorf("wait %v, %v", wait, err)
			}
			if _, wait, err := inv.Look(context.Background(), "acc", c, time.Now()); wait <= 0 || wait > time.Second || err != nil {
				t.Errorf("the next one at the next tick: wait %v, %v", wait, err)
			}
			time.Sleep(time.Second)
		}
		if got := c.lists.Load(); got != 3 {
			t.Errorf("%d Lists", got)
		}
	})
}

// Who comes early after a failure is told of it, and costs the account nothing.
func TestLooksAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounting()
		inv := inventory.New(inventory.Options{Installation: "i"})
		broken := fault.New(fault.Terminal, fault.ReasonUnauthorized, "no")
		c.fail.Store(&broken)
		if _, _, err := inv.Look(context.Background(), "acc", c, time.Now()); !fault.IsTerminal(err) {
			t.Errorf("the one who listed: %v", err)
		}
		for range 50 {
			_, _, err := inv.Look(context.Background(), "acc", c, time.Now())
			if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnauthorized || fault.AfterOf(err) <= 0 {
				t.Fatalf("who comes early: %v", err)
			}
		}
		if got := c.lists.Load(); got != 1 {
			t.Errorf("%d Lists", got)
		}
		c.fail.Store(nil)
		time.Sleep(2 * time.Second)
		if _, wait, err := inv.Look(context.Background(), "acc", c, time.Now()); wait != 0 || err != nil {
			t.Errorf("and then it is asked again: %v, %v", wait, err)
		}
	})
}
