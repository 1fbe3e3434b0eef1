package upcloud

import (
	"context"
	"sync"

	"github.com/keelway/keelway/internal/fault"
)

// locks are locks by name. The zero value is ready.
type locks struct {
	mu   sync.Mutex
	held map[string]*hold
}

type hold struct {
	turn  chan struct{}
	users int
}

// take waits until nobody else holds the name, and returns what gives it back.
func (l *locks) take(ctx context.Context, name string) (func(), error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*hold{}
	}
	h := l.held[name]
	if h == nil {
		h = &hold{turn: make(chan struct{}, 1)}
		l.held[name] = h
	}
	h.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, name)
		}
	}
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "nothing was sent to UpCloud: %w", ctx.Err())
	}
}
