// Package inventory knows the last List of each provider account, when it began and what changed since the one before.
// It must not know objects: it neither decides nor changes anything, and tells whoever wired it what it saw.
package inventory

import (
	"context"
	"sync"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Options say whose machines are looked at and who is told.
type Options struct {
	// Installation is the installation's id; never empty. Machines of others never appear.
	Installation string
	// Seen is called after every List that succeeded, in their order for one account, before those who asked for it return.
	// It must not block nor call Refresh. changes holds whom to wake: all on an account's first List. nil: nobody is told.
	Seen func(now Snapshot, changes []Change)
	// Now is the clock by which Lists begin and deeds are done; it must be that of whoever asks for snapshots. nil: time.Now.
	Now func() time.Time
}

// Inventory keeps one snapshot an account. It is safe for concurrent use, and at most one List is under way at an account.
type Inventory struct {
	options Options
	nudge   chan struct{} // tells Start that something became due earlier

	mu       sync.Mutex
	accounts map[string]*account
}

type account struct {
	provider provider.Provider // the newest that was given
	last     Snapshot
	have     bool
	begun    int     // Lists ever begun, which also number them
	listed   int     // the number of the one that gave last
	flight   *flight // the List under way
	deed     time.Time
	failures int   // Lists that failed since one succeeded
	failed   error // how the last of those failed
	due      time.Time
	next     time.Time // nobody who looks begins a List before
	quiet    time.Time // the cloud asked for no List before
}

// flight is one List and all who wait for it.
type flight struct {
	number    int
	startedAt time.Time
	done      chan struct{}

	// Written before done is closed.
	snapshot  Snapshot
	err       error
	abandoned bool // the context of the one who listed ended: that says nothing to the others
}

// New returns an inventory without accounts.
func New(options Options) *Inventory {
	if options.Seen == nil {
		options.Seen = func(Snapshot, []Change) {}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Inventory{options: options, nudge: make(chan struct{}, 1), accounts: map[string]*account{}}
}

// Track has Start look at the account through p from now on. Tracking again replaces p (new credentials) and nothing else.
func (inv *Inventory) Track(name string, p provider.Provider) {
	inv.mu.Lock()
	inv.tracked(name, p)
	inv.mu.Unlock()
	inv.hurry()
}

func (inv *Inventory) tracked(name string, p provider.Provider) *account {
	a := inv.accounts[name]
	if a == nil {
		a = &account{}
		inv.accounts[name] = a
	}
	a.provider = p
	return a
}

// Forget drops an account. A List under way ends unheard.
func (inv *Inventory) Forget(name string) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	delete(inv.accounts, name)
}

// Snapshot returns what the account's last List showed; false before the first. It may be minutes old: it is evidence only of
// what was true before its StartedAt. To learn what a deed did, use Look.
func (inv *Inventory) Snapshot(name string) (Snapshot, bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	a := inv.accounts[name]
	if a == nil {
		return Snapshot{}, false
	}
	return a.last, a.have
}

// Deed says that something was just asked of the account: Start looks often until it has settled.
func (inv *Inventory) Deed(name string) {
	inv.mu.Lock()
	if a := inv.accounts[name]; a != nil {
		a.deed = inv.options.Now()
		if soon := a.deed.Add(a.interval(a.deed)); soon.Before(a.due) {
			a.due = later(soon, a.quiet)
		}
	}
	inv.mu.Unlock()
	inv.hurry()
}

// Refresh returns a snapshot that is evidence of everything done until notBefore: the last one when it began later, else that
// of a List which begins after this call. Those who ask meanwhile share one List. notBefore must not be rounded down (a
// time read from an object's status has whole seconds: add one). The account is tracked from then on.
// Errors are those of List; when ctx ends first, Retry/Transient.
func (inv *Inventory) Refresh(ctx context.Context, name string, p provider.Provider, notBefore time.Time) (Snapshot, error) {
	inv.mu.Lock()
	a := inv.tracked(name, p)
	if a.have && a.last.StartedAt.After(notBefore) {
		defer inv.mu.Unlock()
		return a.last, nil
	}
	need := a.begun + 1 // a List of this number or later begins after this call
	inv.mu.Unlock()
	return inv.refresh(ctx, name, a, need, notBefore)
}

func (inv *Inventory) refresh(ctx context.Context, name string, a *account, need int, notBefore time.Time) (Snapshot, error) {
	for {
		inv.mu.Lock()
		if a.have && a.listed >= need {
			defer inv.mu.Unlock()
			return a.last, nil
		}
		f, mine := a.flight, a.flight == nil
		if mine {
			a.begun++
			f = &flight{number: a.begun, startedAt: inv.options.Now(), done: make(chan struct{})}
			a.flight = f
		}
		p := a.provider
		inv.mu.Unlock()

		if mine {
			inv.list(ctx, name, a, f, p)
			return f.snapshot, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Snapshot{}, fault.New(fault.Retry, fault.ReasonTransient, "waiting for the list of account %s: %w", name, ctx.Err())
		}
		if !f.abandoned && (f.number >= need || f.startedAt.After(notBefore)) {
			return f.snapshot, f.err
		}
	}
}

// list does the one List that f stands for and lets go all who wait for it.
func (inv *Inventory) list(ctx context.Context, name string, a *account, f *flight, p provider.Provider) {
	found, err := provider.Recovering(p).List(ctx, provider.Owner{Installation: inv.options.Installation})
	defer inv.land(a, f)
	f.err = fault.During(err, "listing the machines of account %s", name)
	f.abandoned = err != nil && ctx.Err() != nil

	inv.mu.Lock()
	before := a.last
	known := inv.accounts[name] == a
	if err == nil {
		f.snapshot = newSnapshot(name, f.startedAt, inv.options.Installation, found)
		a.last, a.listed, a.have, a.failures = f.snapshot, f.number, true, 0
	} else if !f.abandoned {
		a.failures++
		a.failed = f.err
	}
	now := inv.options.Now()
	a.quiet = now.Add(min(fault.AfterOf(err), longestPause))
	a.next = later(now.Add(a.tick()), a.quiet)
	a.due = later(now.Add(a.interval(now)), a.quiet)
	inv.mu.Unlock()

	if err == nil && known {
		inv.options.Seen(f.snapshot, changes(before, f.snapshot))
	}
}

func (inv *Inventory) land(a *account, f *flight) {
	inv.mu.Lock()
	a.flight = nil
	inv.mu.Unlock()
	close(f.done)
	inv.hurry()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (inv *Inventory) hurry() {
	select {
	case inv.nudge <- struct{}{}:
	default: // told already
	}
}
