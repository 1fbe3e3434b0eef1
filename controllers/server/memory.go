package server

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// memory holds when something was last asked of a provider, by the name of the object: a look that began earlier proves nothing.
// All of it may be lost: an operator that just began takes it that everything was done the moment before, by the one whose lease
// it took over. By name and not by UID, because a machine of an earlier object of the same name matters as well.
type memory struct {
	mu    sync.Mutex
	began time.Time
	of    map[types.NamespacedName]deeds
}

type deeds struct {
	last   time.Time // of any call that may have changed something
	create time.Time // of the last Create that may have made something
	before time.Time // of the one before it
	shown  bool      // the provider has shown the machine since that Create: it is not one that is hidden yet
	ended  types.UID // the object that was let go; a cache may show it for a moment longer

	asked   string // what was refused for want of what only a person can give …
	refusal error  // … and how
}

func newMemory(began time.Time) *memory {
	return &memory{began: began, of: map[types.NamespacedName]deeds{}}
}

func (m *memory) begin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began = now
}

func (m *memory) change(name types.NamespacedName, do func(*deeds)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.of[name]
	do(&d)
	m.of[name] = d
}

func (m *memory) creating(name types.NamespacedName, now time.Time) {
	m.change(name, func(d *deeds) { d.last, d.before, d.create, d.shown = now, d.create, now, false })
}

// refused says that the last Create certainly made nothing.
func (m *memory) refused(name types.NamespacedName) {
	m.change(name, func(d *deeds) { d.create = d.before })
}

// refuse notes what was refused.
func (m *memory) refuse(name types.NamespacedName, asked string, how error) {
	m.change(name, func(d *deeds) { d.asked, d.refusal = asked, how })
}

// refusal is how the same was refused before, or nil.
func (m *memory) refusal(name types.NamespacedName, asked string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.of[name]; d.asked == asked {
		return d.refusal
	}
	return nil
}

func (m *memory) deed(name types.NamespacedName, now time.Time) {
	m.change(name, func(d *deeds) { d.last = now })
}

func (m *memory) shown(name types.NamespacedName) {
	m.change(name, func(d *deeds) { d.shown = true })
}

// tried says whether this process sent a Create.
func (m *memory) tried(name types.NamespacedName) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.of[name].create.IsZero()
}

// lastDeed is the time that a look must begin after.
func (m *memory) lastDeed(name types.NamespacedName) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.of[name].last; !last.IsZero() {
		return last
	}
	return m.began
}

// settled says whether a provider would show by now what the last Create made.
func (m *memory) settled(name types.NamespacedName, now time.Time, within time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.of[name]
	create := d.create
	if create.IsZero() {
		create = m.began
	}
	return d.shown || now.Sub(create) > within
}

// end forgets all but that this object was let go, until nobody sees it any more.
func (m *memory) end(name types.NamespacedName, uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of[name] = deeds{ended: uid}
}

// over says whether this object was let go already: what is still seen of it is old.
func (m *memory) over(name types.NamespacedName, uid types.UID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uid != "" && m.of[name].ended == uid
}

// forget is for a name that no object has. What was done for one that nobody let go still matters to a later one.
func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[name].ended != "" {
		delete(m.of, name)
	}
}
