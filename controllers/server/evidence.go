package server

import (
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// evidence remembers what the API server itself said is there to stay, and when it was asked. The objects that many Servers rest on, a
// Provider and the workflow that ordered them, are read once a second and not once a Server: reading a workflow of a thousand
// operations costs the API server more than all else that it does for a Server. That is enough for them. A Server is read itself before
// its machine is made, and as long as it is there its finalizer ends the machine: what is found out about an owner a moment too late
// costs a machine that lives for a moment, and never one that is lost.
type evidence struct {
	asking singleflight.Group // so that those who come together ask once
	mu     sync.Mutex
	asked  map[string]time.Time
}

// evidenceLasts is how old an answer may be.
const evidenceLasts = time.Second

// within reports whether that was said a moment ago.
func (e *evidence) within(what string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.asked[what]
	return ok && now.Sub(at) < evidenceLasts && !now.Before(at)
}

// note keeps an answer to a question of that time, and forgets those that are too old.
func (e *evidence) note(what string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for old, asked := range e.asked {
		if at.Sub(asked) >= evidenceLasts {
			delete(e.asked, old)
		}
	}
	if e.asked == nil {
		e.asked = map[string]time.Time{}
	}
	e.asked[what] = at
}
