package batchworkflow

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/saga"
)

// memory is what we remember of a workflow between two looks: the compiled spec and the ledger as we last made it durable.
// Losing it loses nothing, for both can be read again; the compare-and-swap of the Checkpoint finds out when it is stale.
type memory struct {
	workflow *plan.Workflow
	ledger   *saga.Ledger // nil: read the Checkpoint
	durable  bool         // the Checkpoint holds this ledger
	version  string       // resourceVersion of the Checkpoint
	told     time.Time    // when the summary was last written
	refused  map[int]plan.Sight
}

// forget makes the next look read the Checkpoint again.
func (m *memory) forget() { m.ledger, m.durable, m.version = nil, false, "" }

// shelf keeps the memories. The work queue lets one goroutine at a time look at one workflow, so only the map needs a lock.
type shelf struct {
	mu       sync.Mutex
	memories map[types.UID]*memory
}

func (s *shelf) take(uid types.UID) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memories == nil {
		s.memories = map[types.UID]*memory{}
	}
	m, ok := s.memories[uid]
	if !ok {
		m = &memory{refused: map[int]plan.Sight{}}
		s.memories[uid] = m
	}
	return m
}

func (s *shelf) drop(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.memories, uid)
}
