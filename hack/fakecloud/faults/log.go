package faults

import (
	"slices"
	"sync"
	"time"
)

// Call is one request as the cloud saw it.
type Call struct {
	Seq       int       `json:"seq"` // 1, 2, …: the number of the request over the cloud's life
	At        time.Time `json:"at"`  // by the cloud's clock
	Operation string    `json:"operation"`
	Target    string    `json:"target,omitempty"` // an id, a token: what a person would look for
	Mutating  bool      `json:"mutating,omitempty"`
	InFlight  int       `json:"inFlight"`         // requests under way when this one came, itself among them
	Status    int       `json:"status,omitempty"` // of HTTP; 0 while it is under way and where no reply was sent
	Code      string    `json:"code,omitempty"`   // the cloud's own, of an error
	Fault     string    `json:"fault,omitempty"`  // the ordered fault that struck
	RequestID string    `json:"requestID,omitempty"`
	Done      bool      `json:"done"`
}

// Log remembers the newest calls and counts all of them. It is safe for concurrent use.
type Log struct {
	clock *Clock
	limit int

	mu       sync.Mutex
	calls    []*Call
	seq      int
	inFlight int
	most     int
	counts   map[string]int
}

// NewLog returns a log that keeps the newest calls up to the limit (0: 65,536).
func NewLog(clock *Clock, limit int) *Log {
	if limit <= 0 {
		limit = 1 << 16
	}
	return &Log{clock: clock, limit: limit, counts: map[string]int{}}
}

// Begin writes down that a request has come. Its Seq, At and InFlight are filled in; the rest may be changed by Note until End.
func (l *Log) Begin(call Call) *Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	l.inFlight++
	l.most = max(l.most, l.inFlight)
	l.counts[call.Operation]++
	call.Seq, call.At, call.InFlight = l.seq, l.clock.Now(), l.inFlight
	if len(l.calls) >= 2*l.limit { // drop the older half, so that it costs nothing a call
		l.calls = slices.Clone(l.calls[l.limit:])
	}
	kept := &call
	l.calls = append(l.calls, kept)
	return kept
}

// Note changes what is written of a call under way.
func (l *Log) Note(call *Call, change func(*Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(call)
}

// End writes down that the request was answered, or its connection dropped.
func (l *Log) End(call *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !call.Done {
		call.Done = true
		l.inFlight--
	}
}

// Report is what a test asks a cloud about its callers.
type Report struct {
	Calls        []Call         `json:"calls"` // the newest, oldest first
	Requests     int            `json:"requests"`
	InFlight     int            `json:"inFlight"`
	MostInFlight int            `json:"mostInFlight"`
	Counts       map[string]int `json:"counts"` // by operation, over the cloud's life
}

// Report tells what was seen after the request with that number (0: from the beginning).
func (l *Log) Report(after int) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := Report{Calls: []Call{}, Requests: l.seq, InFlight: l.inFlight, MostInFlight: l.most, Counts: map[string]int{}}
	for _, call := range l.calls[max(0, len(l.calls)-l.limit):] {
		if call.Seq > after {
			got.Calls = append(got.Calls, *call)
		}
	}
	for operation, n := range l.counts {
		got.Counts[operation] = n
	}
	return got
}
