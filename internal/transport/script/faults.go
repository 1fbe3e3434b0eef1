package script

import (
	"sync"

	"github.com/keelway/keelway/internal/transport"
)

// When says whether the command took effect before the fault struck.
type When int

const (
	Before When = iota // the machine never saw the command
	After              // the machine did it, and the reply was lost
)

// Faults makes the next calls fail. The zero value lets everything pass.
type Faults struct {
	mu   sync.Mutex
	next []planned
}

type planned struct {
	when When
	err  error
}

// FailNext makes the next n calls that no earlier FailNext claims fail with err.
func (f *Faults) FailNext(n int, when When, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.next = append(f.next, planned{when, err})
	}
}

func (f *Faults) take() (planned, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.next) == 0 {
		return planned{}, false
	}
	fault := f.next[0]
	f.next = f.next[1:]
	return fault, true
}

func (f *Faults) around(do func() (transport.Result, error)) (transport.Result, error) {
	fault, planned := f.take()
	if !planned {
		return do()
	}
	if fault.when == After {
		_, _ = do() // the effect stays, the reply is lost
	}
	return transport.Result{}, fault.err
}
