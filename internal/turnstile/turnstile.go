// Package turnstile knows who holds a slot at each provider account and whose turn is next, as lock-guarded state around plan.Grant.
// It must not know what a slot is used for: it calls no provider, starts no goroutine and reads no clock.
package turnstile

import (
	"maps"
	"slices"
	"sync"

	"github.com/keelway/keelway/internal/plan"
)

// Wake is told which keys got their turn while somebody else was calling. It is called without the lock held, in the goroutine
// of that call, and must not block. No key is told twice for one turn, and none is left out.
type Wake func(account string, keys []plan.Key)

// Turnstile keeps the limit of each account. It is safe for concurrent use. Nothing of it outlives the process: Seed restores
// what matters from the account itself.
type Turnstile struct {
	wake Wake

	mu       sync.Mutex
	accounts map[string]*account
}

// account is a shut gate until it was seeded and has a limit.
type account struct {
	seeded bool
	limits map[string]int // by Provider object; the lowest counts
	held   map[plan.Key]slot
	asking map[plan.Key]plan.Ask
	turns  []plan.Key // those who left the queue for a slot in this change and must be told
}

type slot struct {
	holder plan.Holder
	// found says that the slot was seen at the account and not asked for since: whoever has it does not know of us.
	found bool
}

// New returns a turnstile without accounts. wake may be nil where nobody waits.
func New(wake Wake) *Turnstile {
	if wake == nil {
		wake = func(string, []plan.Key) {}
	}
	return &Turnstile{wake: wake, accounts: map[string]*account{}}
}

// SetLimit says how many machines may be in the making at the account, as one Provider object (named by source) has it. Where
// several objects reach one account the lowest limit counts. A limit of 0 or less withdraws that of the source. It acts at
// once: a lower limit takes nothing away from those who hold slots.
func (t *Turnstile) SetLimit(name, source string, limit int) {
	t.change(name, "", func(a *account) {
		if limit > 0 {
			a.limits[source] = limit
		} else {
			delete(a.limits, source)
		}
	})
}

// Seed opens the account's gate. pending are the keys of all machines that are in the making there, from a List that began
// after this process started: each holds a slot, whether its object asks for it or not. Every later List may be told
// too: a slot that was only found there, and is no longer pending, is free again.
func (t *Turnstile) Seed(name string, pending []plan.Key) {
	t.change(name, "", func(a *account) {
		a.seeded = true
		there := make(map[plan.Key]bool, len(pending))
		for _, key := range pending {
			there[key] = true
		}
		maps.DeleteFunc(a.held, func(key plan.Key, s slot) bool { return s.found && !there[key] })
		for _, key := range pending {
			if _, has := a.held[key]; has {
				continue
			}
			if _, asks := a.asking[key]; asks {
				a.admit(key)
			} else {
				a.held[key] = slot{found: true}
			}
		}
	})
}

// Ask reports whether the key may start now. If not it stays in the queue, and Wake tells when its turn has come: then it holds
// a slot already, and the next Ask says true. Asking again is free and keeps the place; the newest holder and since count.
// Whoever asked must Release in the end, also when the object is deleted or no longer wants to start.
func (t *Turnstile) Ask(name string, ask plan.Ask) bool {
	granted := false
	t.change(name, ask.Key, func(a *account) {
		if _, has := a.held[ask.Key]; has {
			a.held[ask.Key] = slot{holder: ask.Holder}
			return
		}
		a.asking[ask.Key] = ask
	}, func(a *account) { _, granted = a.held[ask.Key] })
	return granted
}

// Release gives back the key's slot or its place in the queue: its machine runs, or never will. Releasing what has neither
// changes nothing.
func (t *Turnstile) Release(name string, key plan.Key) {
	t.change(name, key, func(a *account) {
		delete(a.held, key)
		delete(a.asking, key)
	})
}

// Held returns the keys that hold slots at the account, in order.
func (t *Turnstile) Held(name string) []plan.Key {
	t.mu.Lock()
	defer t.mu.Unlock()
	var keys []plan.Key
	if a := t.accounts[name]; a != nil {
		for key := range a.held {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Ahead returns how many keys are in the account's queue, and whether its gate is open: what a waiting object tells people.
func (t *Turnstile) Ahead(name string) (asking int, open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accounts[name]
	if a == nil {
		return 0, false
	}
	return len(a.asking), a.seeded
}

// Slots are those of all accounts together.
func (t *Turnstile) Slots() (all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.accounts {
		all += a.limit()
	}
	return all
}

// Forget drops an account that no Provider object reaches any more, with all that is held or asked there.
func (t *Turnstile) Forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.accounts, name)
}

// change does something to an account, grants what has become free, lets then look at the outcome under the same lock, and
// wakes all that were granted but the one who is calling.
func (t *Turnstile) change(name string, caller plan.Key, do func(*account), then ...func(*account)) {
	t.mu.Lock()
	a := t.accounts[name]
	if a == nil {
		a = &account{limits: map[string]int{}, held: map[plan.Key]slot{}, asking: map[plan.Key]plan.Ask{}}
		t.accounts[name] = a
	}
	do(a)
	a.grant()
	woken := a.turns
	a.turns = nil
	for _, look := range then {
		look(a)
	}
	t.mu.Unlock()
	if woken = slices.DeleteFunc(woken, func(k plan.Key) bool { return k == caller }); len(woken) > 0 {
		t.wake(name, woken)
	}
}

// admit moves a key from the queue to a slot.
func (a *account) admit(key plan.Key) {
	a.held[key] = slot{holder: a.asking[key].Holder}
	delete(a.asking, key)
	a.turns = append(a.turns, key)
}

// limit is the lowest of all that there are, 0 where there is none.
func (a *account) limit() (least int) {
	for _, l := range a.limits {
		if least == 0 || l < least {
			least = l
		}
	}
	return least
}

func (a *account) grant() {
	if !a.seeded || len(a.limits) == 0 || len(a.asking) == 0 {
		return
	}
	limit := a.limit()
	if len(a.held) >= limit { // the common case of a full account costs nothing
		return
	}
	held := map[plan.Holder]int{}
	for _, s := range a.held {
		held[s.holder]++
	}
	asking := make([]plan.Ask, 0, len(a.asking))
	for _, ask := range a.asking {
		asking = append(asking, ask)
	}
	for _, key := range plan.Grant(held, asking, limit) {
		a.admit(key)
	}
}
