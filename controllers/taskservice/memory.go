package taskservice

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

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
	fresh := &memo{uid: uid, looks: map[string]plan.HealthLook{}}
	m.memos[key] = fresh
	return fresh
}

func (m *memory) drop(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.memos, key)
}
