package aws

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// A hundred questions at once are few calls, and each gets its own answer.
func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, most atomic.Int32
		g := newGatherer(40, func(_ context.Context, keys []int) (map[int]int, error) {
			calls.Add(1)
			most.Store(max(most.Load(), int32(len(keys))))
			time.Sleep(time.Second)
			answers := map[int]int{}
			for _, key := range keys {
				if key%10 != 0 {
					answers[key] = 2 * key
				}
			}
			return answers, nil
		})
		var all sync.WaitGroup
		for key := range 100 {
			all.Go(func() {
				got, found, err := g.ask(context.Background(), key)
				if err != nil || found != (key%10 != 0) || found && got != 2*key {
					t.Errorf("%d: %d %v %v", key, got, found, err)
				}
			})
		}
		all.Wait()
		if calls.Load() > 5 || most.Load() > 40 {
			t.Errorf("%d calls, %d keys in one", calls.Load(), most.Load())
		}
	})
}

func TestGatheringWhenContextsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		g := newGatherer(40, func(ctx context.Context, _ []int) (map[int]int, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Minute):
				return nil, broken
			}
		})
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := g.ask(ended, 1); err == nil || fault.ClassOf(err) != fault.Retry {
			t.Error(err)
		}
		var all sync.WaitGroup
		ask := func(timeout time.Duration, want error) {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				if _, _, err := g.ask(ctx, 1); !errors.Is(err, want) {
					t.Errorf("%v: got %v, want %v", timeout, err, want)
				}
			})
			synctest.Wait()
		}
		ask(10*time.Minute, broken)                   // the call under way
		ask(time.Second, context.DeadlineExceeded)    // leads the next one, and gives up before its turn
		ask(10*time.Minute, context.DeadlineExceeded) // shared it, and is told to come again
		all.Wait()
		ask(10*time.Minute, broken) // nothing is stuck
		all.Wait()
	})
}
