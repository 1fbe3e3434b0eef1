package aws

import (
	"context"
	"sync"

	"github.com/keelway/keelway/internal/fault"
)

// gatherer makes one call of many. The first who asks is served at once; whoever asks while a call is under way waits for the next one,
// which serves all of them. So a single question costs no delay, and a thousand cost few calls.
type gatherer[K comparable, V any] struct {
	// do answers for a set of keys; a key without an answer is missing from the map. The context is that of one of those who ask.
	do    func(ctx context.Context, keys []K) (map[K]V, error)
	limit int // keys in one call

	mu   sync.Mutex
	next *gathering[K, V]
	turn chan struct{} // holds one token while a call is under way
}

type gathering[K comparable, V any] struct {
	keys    map[K]bool
	done    chan struct{}
	answers map[K]V
	err     error
}

func newGatherer[K comparable, V any](limit int, do func(context.Context, []K) (map[K]V, error)) *gatherer[K, V] {
	return &gatherer[K, V]{do: do, limit: limit, turn: make(chan struct{}, 1)}
}

// ask returns the answer for one key and whether there is one.
func (g *gatherer[K, V]) ask(ctx context.Context, key K) (answer V, found bool, err error) {
	if err := notSent(ctx); err != nil {
		return answer, false, err
	}
	g.mu.Lock()
	mine := g.next
	leads := mine == nil || len(mine.keys) >= g.limit && !mine.keys[key]
	if leads {
		mine = &gathering[K, V]{keys: map[K]bool{}, done: make(chan struct{})}
		g.next = mine
	}
	mine.keys[key] = true
	g.mu.Unlock()
	if leads {
		g.lead(ctx, mine)
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		return answer, false, fault.New(fault.Retry, fault.ReasonTransient, "the call was cut off while others shared it: %w", ctx.Err())
	}
	answer, found = mine.answers[key]
	return answer, found, mine.err
}

func (g *gatherer[K, V]) lead(ctx context.Context, mine *gathering[K, V]) {
	defer close(mine.done)
	closeGathering := func() (keys []K) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.next == mine {
			g.next = nil
		}
		for key := range mine.keys {
			keys = append(keys, key)
		}
		return keys
	}
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		closeGathering()
		mine.err = notSent(ctx)
		return
	}
	defer func() { <-g.turn }()
	mine.answers, mine.err = g.do(ctx, closeGathering())
}
