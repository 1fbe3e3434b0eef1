package taskservice

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// memory keeps, for each TaskService, what is not worth a write: losing it at a restart costs one look at each server's health.
type memory struct {
	mu    sync.Mutex
	memos map[types.NamespacedName]*memo
}

// memo is used by one reconcile at a time, because the queue never hands out one key twice.
type memo struct {
	uid   types.UID
	looks map[string]plan.HealthLook // by server
	moved time.Time                  // when something last changed on a server

	mu      sync.Mutex         // one look talks to several machines at once
	trouble map[string]trouble // by machine
}

// trouble is a machine that failed us.
type trouble struct {
	times int
	until time.Time
	err   error
}

// take returns the memo of an object; another object of the same name begins with an empty one.
func (m *memory) take(key types.NamespacedName, uid types.UID) *memo {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.memos == nil {
		m.memos = map[types.NamespacedName]*memo{}
	}
	if kept, ok := m.memos[key]; ok && kept.uid == uid {
		return kept
	}
	fresh := &memo{uid: uid, looks: map[string]plan.HealthLook{}, trouble: map[string]trouble{}}
	m.memos[key] = fresh
	return fresh
}

func (m *memory) drop(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.memos, key)
}

const (
	tripTimeout  = 30 * time.Second // of everything that one look does on one machine
	firstTrip    = 5 * time.Second  // where others wait for the same look: doubled for each failure
	firstAvoid   = 5 * time.Second  // until a machine that failed is asked again: doubled for each failure
	longestAvoid = time.Minute
)

// patience is how long to wait for a machine when this many concern the service.
func (m *memo) patience(machine string, machines int) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if machines <= 1 {
		return tripTimeout
	}
	return doubled(firstTrip, m.trouble[machine].times, tripTimeout)
}

// avoid returns why a machine is not to be asked now, with the time that is left.
func (m *memo) avoid(machine string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.trouble[machine]
	if !ok || !now.Before(t.until) {
		return nil
	}
	return &fault.Error{Class: fault.ClassOf(t.err), Reason: fault.ReasonOf(t.err), After: t.until.Sub(now), Err: t.err}
}

// forgive lets every machine be asked at once.
func (m *memo) forgive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.trouble)
}

// heard notes how talking to a machine went, and returns err.
func (m *memo) heard(machine string, err error, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil || fault.IsTerminal(err) {
		delete(m.trouble, machine)
		return err
	}
	t := m.trouble[machine]
	t.until, t.err = now.Add(doubled(firstAvoid, t.times, longestAvoid)), err
	t.times++
	m.trouble[machine] = t
	return err
}

func doubled(first time.Duration, times int, longest time.Duration) time.Duration {
	for range min(times, 8) {
		first = min(2*first, longest)
	}
	return first
}
