package batchworkflow

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/saga"
)

// memory is what we remember of a workflow between two looks: the compiled spec and the ledger as we last made it durable.
// Losing it loses nothing, for both can be read again; the compare-and-swap of the Checkpoint finds out when it is stale.
type memory struct {
	workflow *plan.Workflow
	former   *plan.Workflow // as a ledger knows it whose operations were edited since, or whose instances outputs list; see under
	ledger   *saga.Ledger   // nil: read the Checkpoint
	plan     *v1alpha1.CheckpointPlan
	durable  bool      // the Checkpoint holds this ledger and plan
	version  string    // resourceVersion of the Checkpoint
	told     time.Time // when the summary was last written
	refused  map[int]plan.Sight
	ground   types.UID               // of the workflow's Namespace, once it was needed
	anchored v1alpha1.DeletionPolicy // to which every child was seen to be anchored; empty: none was looked for
}

// under returns the workflow as the ledger knows it.
func (m *memory) under() (_ *plan.Workflow, err error) {
	switch {
	case m.workflow.Fits(m.ledger) && m.workflow.Spans(m.ledger):
		m.former = nil
		return m.workflow, nil
	case m.former == nil || !m.former.Follows(m.workflow, m.ledger):
		m.former, err = m.workflow.Under(m.ledger)
	}
	return m.former, err
}

// forget makes the next look read the Checkpoint again.
func (m *memory) forget() { m.ledger, m.plan, m.durable, m.version = nil, nil, false, "" }

// shelf keeps the memories. The work queue lets one goroutine at a time look at one workflow, so only the maps need a lock.
type shelf struct {
	mu       sync.Mutex
	memories map[types.UID]*memory
	cost     map[types.UID]time.Duration        // of the last look
	news     map[types.UID]time.Time            // the first event since the last look
	lost     map[types.UID]bool                 // whose Checkpoint was seen to go since the last look
	figures  map[types.UID]plan.Figures         // as of the last look
	names    map[types.NamespacedName]types.UID // which workflow has the name
	families map[types.UID]family               // of workflows that are over
}

// took notes how long a look took.
func (s *shelf) took(uid types.UID, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.memories[uid]; !known {
		return // it was dropped meanwhile
	}
	if s.cost == nil {
		s.cost = map[types.UID]time.Duration{}
	}
	s.cost[uid] = d
}

// gather is how long events of a workflow's children are collected: twice as long as a look takes, so that looks never fill the time.
func (s *shelf) gather(uid types.UID, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, waits := s.news[uid]; !waits && s.memories[uid] != nil {
		s.news[uid] = now
	}
	cost, known := s.cost[uid]
	if !known {
		return gather
	}
	return min(max(2*cost, gather/10), gather)
}

// heard returns when the first event came since it was asked last; zero: there was none.
func (s *shelf) heard(uid types.UID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.news[uid]
	delete(s.news, uid)
	return at
}

func (s *shelf) take(uid types.UID) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memories == nil {
		s.memories, s.lost = map[types.UID]*memory{}, map[types.UID]bool{}
		s.figures, s.families, s.news = map[types.UID]plan.Figures{}, map[types.UID]family{}, map[types.UID]time.Time{}
	}
	m, ok := s.memories[uid]
	if !ok {
		m = &memory{refused: map[int]plan.Sight{}}
		s.memories[uid] = m
	}
	if s.lost[uid] {
		m.forget()
		delete(s.lost, uid)
	}
	return m
}

// lose makes the next look at a workflow read its Checkpoint again.
func (s *shelf) lose(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memories[uid] != nil {
		s.lost[uid] = true
	}
}

// count keeps what a look leaves for those who count: the workflow's figures, and its children once it is over.
func (s *shelf) count(uid types.UID, f plan.Figures, known family, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures[uid] = f
	if delete(s.families, uid); over {
		s.families[uid] = known
	}
}

// all returns the figures of every workflow.
func (s *shelf) all() []plan.Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.figures))
}

// ended returns the families of workflows that are over.
func (s *shelf) ended() map[types.UID]family {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.families)
}

// name notes which workflow has a name. Another one that had it before was deleted, and nobody told us.
func (s *shelf) name(key types.NamespacedName, uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.names[key]; ok && before != uid {
		s.clear(before)
	}
	if s.names == nil {
		s.names = map[types.NamespacedName]types.UID{}
	}
	s.names[key] = uid
}

// free forgets a workflow that is gone, by its name.
func (s *shelf) free(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if uid, ok := s.names[key]; ok {
		s.clear(uid)
		delete(s.names, key)
	}
}

// drop forgets a workflow.
func (s *shelf) drop(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(uid)
}

func (s *shelf) clear(uid types.UID) {
	delete(s.memories, uid)
	delete(s.cost, uid)
	delete(s.news, uid)
	delete(s.lost, uid)
	delete(s.figures, uid)
	delete(s.families, uid)
}
