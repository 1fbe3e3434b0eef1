package aws

import (
	"sync"
	"time"
)

// keepFor is how long the answers of an account are taken for true: what images, sizes, zones and prices there are.
const keepFor = time.Hour

// kept holds answers by key. Two who ask at once may both ask AWS. It is safe for concurrent use.
type kept[K comparable, V any] struct {
	now func() time.Time

	mu  sync.Mutex
	all map[K]aged[V]
}

type aged[V any] struct {
	value V
	at    time.Time
}

func newKept[K comparable, V any](now func() time.Time) *kept[K, V] {
	return &kept[K, V]{now: now, all: map[K]aged[V]{}}
}

// get returns what is kept for the key, or fetches it. An error is not kept.
func (k *kept[K, V]) get(key K, fetch func() (V, error)) (V, error) {
	k.mu.Lock()
	have, ok := k.all[key]
	k.mu.Unlock()
	if ok && k.now().Sub(have.at) < keepFor {
		return have.value, nil
	}
	value, err := fetch()
	if err != nil {
		return value, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) >= 1024 { // names come from people: there may be any number of wrong ones
		clear(k.all)
	}
	k.all[key] = aged[V]{value, k.now()}
	return value, nil
}

// peek returns what is kept, however old.
func (k *kept[K, V]) peek(key K) (V, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	have, ok := k.all[key]
	return have.value, ok
}

func (k *kept[K, V]) forget(key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, key)
}
