package reach

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// memory counts the looks in a row that failed. It may be lost: a machine is then given as many looks again before anybody hears
// that it does not answer.
type memory struct {
	mu sync.Mutex
	of map[types.NamespacedName]failures
}

type failures struct {
	machine string // the count is of this machine, not of its predecessor
	count   int
	since   time.Time
}

// failed counts one more failed look.
func (m *memory) failed(name types.NamespacedName, machine string, now time.Time) failures {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.of[name]
	if f.count == 0 || f.machine != machine {
		f = failures{machine: machine, since: now}
	}
	f.count++
	if m.of == nil {
		m.of = map[types.NamespacedName]failures{}
	}
	m.of[name] = f
	return f
}

// forget is for a machine that answered, and for one that is gone.
func (m *memory) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, name)
}
