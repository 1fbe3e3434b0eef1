package inventory

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keelway/keelway/internal/provider"
)

const (
	busyInterval = time.Second     // while something is under way …
	pageInterval = time.Second / 2 // … and no less than that for each request that a List takes
	restLeast    = time.Minute     // at rest, the least …
	restMost     = 5 * time.Minute // … and the most
	longestPause = 10 * time.Minute
	// settling is how long after a deed an account is looked at as if something were under way: clouds do not list a new
	// machine for seconds.
	settling = 30 * time.Second
)

// Pace is what the next look at an account depends on.
type Pace struct {
	Busy     bool    // something is under way there
	Pages    int     // requests that a List takes
	Failures int     // Lists that failed since one succeeded
	Jitter   float64 // from 0 up to 1, drawn anew each time, so that operators and accounts do not march in step
}

// Interval returns the pause before the next List: a second while busy, longer where a List takes more than two requests, one to five
// minutes at rest, and after failures a pause that doubles from one second to five minutes, up to half of it more by jitter.
func Interval(p Pace) time.Duration {
	quick := min(max(busyInterval, time.Duration(min(p.Pages, 1000))*pageInterval), restLeast)
	switch {
	case p.Failures > 0:
		pause := max(quick, min(busyInterval<<min(p.Failures-1, 10), restMost))
		return pause + time.Duration(p.Jitter*float64(pause)/2)
	case p.Busy:
		return quick
	}
	return restLeast + time.Duration(p.Jitter*float64(restMost-restLeast))
}

func (a *account) interval(now time.Time) time.Duration {
	settled := a.have && now.Sub(a.deed) > settling && a.last.StartedAt.After(a.deed)
	return Interval(Pace{Busy: !settled || a.last.moving(), Pages: a.pages(), Failures: a.failures, Jitter: rand.Float64()})
}

// tick is the least pause between two Lists, however many wait for the next.
func (a *account) tick() time.Duration {
	return Interval(Pace{Busy: true, Pages: a.pages(), Failures: a.failures, Jitter: rand.Float64()})
}

// pages are the requests that the last List took.
func (a *account) pages() int {
	paged, ok := provider.As[provider.Paged](a.provider)
	if !ok {
		return 1
	}
	return len(a.last.all)/max(1, paged.PageSize()) + 1
}

// Start lists every tracked account whenever it is due, until ctx ends, and returns nil once the last List has ended. It is one
// goroutine and one more for each List under way, so that an account that does not answer holds up no other.
func (inv *Inventory) Start(ctx context.Context) error {
	var lists sync.WaitGroup
	defer lists.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-inv.nudge:
		}
		due, pause := inv.due(inv.options.Now())
		for _, name := range due {
			lists.Go(func() { inv.tick(ctx, name) })
		}
		timer.Reset(pause)
	}
}

// due returns the accounts to list now and the pause until the next one. An account that is being listed is not due: the end of
// its List nudges. One that is returned is put off, so that it is not begun twice before its List is under way.
func (inv *Inventory) due(now time.Time) (names []string, pause time.Duration) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	pause = longestPause
	for name, a := range inv.accounts {
		switch {
		case a.flight != nil:
		case a.due.After(now):
			pause = min(pause, a.due.Sub(now))
		default:
			names = append(names, name)
			a.due = now.Add(busyInterval)
			pause = min(pause, busyInterval)
		}
	}
	return names, pause
}

func (inv *Inventory) tick(ctx context.Context, name string) {
	inv.mu.Lock()
	a := inv.accounts[name]
	if a == nil || ctx.Err() != nil {
		inv.mu.Unlock()
		return
	}
	need := a.begun + 1
	inv.mu.Unlock()
	// The outcome is kept in the account, for the next interval; whoever needs the error asks himself. A List that somebody
	// began meanwhile will do.
	_, _ = inv.refresh(ctx, name, a, need, time.Time{})
}
