package aws

import (
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// settle is for how long EC2's reads may lag behind its writes. Only after it does absence say anything.
const settle = 2 * time.Minute

// Lag implements provider.Lagging.
func (a *AWS) Lag() time.Duration { return settle }

// memory is what this process has made or tagged and EC2's reads may not show yet. Losing it loses nothing: tokens and tags are at AWS.
type memory struct {
	now func() time.Time

	mu   sync.Mutex
	made map[string]remembered // by id
}

type remembered struct {
	instance types.Instance
	at       time.Time
}

// keep remembers an instance as a reply has it, with its own tags.
func (m *memory) keep(i types.Instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if len(m.made) >= 1<<14 { // far more than anybody makes in that time
		clear(m.made)
	}
	m.made[deref(i.InstanceId)] = remembered{i, now}
}

func (m *memory) get(id string) (types.Instance, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	got, ok := m.made[id]
	if ok && m.now().Sub(got.at) > settle {
		delete(m.made, id)
		return types.Instance{}, false
	}
	return got.instance, ok
}

// ending notes that the end of an instance was asked for.
func (m *memory) ending(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.made[id]; ok {
		known.instance.State = &types.InstanceState{Name: types.InstanceStateNameShuttingDown}
		m.made[id] = known
	}
}

// unseen are the remembered instances that are not among those found.
func (m *memory) unseen(found []types.Instance) (ids []string) {
	seen := map[string]bool{}
	for _, i := range found {
		seen[deref(i.InstanceId)] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for id, known := range m.made {
		if now.Sub(known.at) > settle {
			delete(m.made, id)
		} else if !seen[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.made, id)
}

// complete gives an instance the identity tags that were written and do not show yet.
func (m *memory) complete(i types.Instance) types.Instance {
	if read(i.Tags)[tagKey] != "" {
		return i
	}
	if known, ok := m.get(deref(i.InstanceId)); ok {
		i.Tags = known.Tags
	}
	return i
}
