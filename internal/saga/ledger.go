// Package saga knows what a run is known to have done: the phase of every instance, the table of steps that are legal between
// phases, and the compact form in which a ledger is stored. It must not know why a step is taken, nor what an operation does.
package saga

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a ledger. New and the setters refuse more, Decode too.
const (
	MaxOps         = 5_000   // operations
	MaxInstances   = 120_000 // instances of all operations
	MaxPreds       = 64      // predecessors of an operation
	MaxName        = 253     // bytes of a name, type or key
	MaxKeys        = 1 << 20 // bytes of all keys: what is stored must fit into one object
	MaxOutputs     = 4 << 10 // bytes of keys and values of an operation's outputs
	MaxAllOutputs  = 64 << 10
	MaxMessage     = 512 // bytes of an operation's message; longer ones are cut
	MaxMessages    = 256 // operations that keep a message; later ones keep their reason only
	MaxReasons     = 255 // different reasons in one ledger
	MaxHandled     = 8   // verbs of which a ledger keeps the last value
	MaxValue       = 512 // bytes of such a value
	MaxForms       = 30_000
	maxReasonBytes = 64
	// KeyOpen is the key of the one instance that stands for all of an operation while nobody knows them.
	KeyOpen = "?"
	// None stands for "no time" in the columns.
	None int32 = -1
)

// Hash is the first half of a SHA-256.
type Hash [16]byte

// Pred is an operation that had to be finished first.
type Pred struct {
	Op   int32 // index in Ledger.Ops
	Soft bool
	Same bool // instance by instance, joined by key
}

// Op is what is kept of an operation. Name to Span are fixed by New; clones share them.
type Op struct {
	Name, Type string
	// Child is the kind of its children; empty where it has none.
	Child string
	// Preds are what it waited for when it was planned: undo and deletion follow the graph that ran.
	Preds []Pred
	// First and Count are its range in the columns.
	First, Count int32
	// Keys name its instances; nil: they are numbered 0..Count-1.
	Keys []string
	// Span is the output of an earlier operation that its instances were made of, as it was then; empty: of none, or not yet.
	Span string

	// Opened is when its first child left the queue, on the run's clock (Clock): its own time counts from here.
	Opened int32
	// Outputs are frozen at success (SetOutputs); nil when there are none.
	Outputs map[string]string
	// Reason and Message tell of the first instance that failed; until one has, of the last attempt that did, or of why
	// instances were omitted or cancelled. Undoing does not change a story that is there. Empty once all passed.
	Reason, Message string
}

// Cause is what made a run fail: the first failure in time, or what stopped it as a whole.
type Cause struct {
	Instance        int32 // None: the run as a whole
	Reason, Message string
}

// Ledger is everything that a workflow knows about its run. Instances are rows in columns, in the order of Ops.
//
// Reading a column is plain indexing; Phases is written by Set and the verbs (Order, Begin, Postpone, Settle, Undo) alone,
// because they keep the counters and refuse what the table does not allow. Times are seconds since Started, None = no time; Begun and
// Opened are read on a clock of the run's own, which stands still while the run is held (Hold).
type Ledger struct {
	Run               int32 // number of the run, from 1
	Started, Finished int64 // Unix seconds; Finished is 0 until the run is over
	Phase             RunPhase
	SpecHash          Hash // of the operations as written
	RunID             string
	Generation        int64 // of the workflow that was planned
	Stop              Stop
	Cause             Cause // Reason is empty while nothing failed
	Compact           bool  // Compress left nothing but outcomes

	Held      int32 // seconds for which the run was held so far
	HeldSince int32 // since when it is held now; None: it is not
	Opened    int32 // when its first child left the queue

	// Refusal says why the last request was not followed; empty when it was.
	Refusal string
	// Handled is, by verb, the last value that somebody asked for and that was acted on.
	Handled map[string]string

	Ops []Op
	// Left is what operations had made that are no longer in the workflow, in the order in which it may go.
	Left []Left

	Phases   []Phase
	Attempts []uint16 // attempts ordered so far; stops at 65535
	Tries    []uint16 // attempts since the instance, its undoing, or another try was first asked for
	Starts   []int32  // when the present attempt (or undo) was ordered
	Begun    []int32  // since when its time counts: its child is out of its queue; None while it does not, and once it ended
	Spent    []int32  // seconds that counted before Begun: its child was back in the queue in between
	Ends     []int32  // when it ended: the forward direction, or once that is undone the way back
	Retries  []int32  // when the next attempt is due; set in Retrying and between two tries of Undoing
	Outcomes []Phase  // how the way forward ended, for what is or was being undone; before its first order in this run: how an earlier one left it
	Reasons  []uint8  // why it last failed: index for Reason; 0 = it did not
	Forms    []uint32 // how it was wanted when it was last ordered: index for Form; 0 = not known
	Since    []uint16 // the attempt with which that form was ordered: a child that was asked for an earlier one is not it
	Marks    []Mark   // what this run did to it

	reasons []string // reasons[0] is ""
	forms   []Form   // forms[0] is the zero value
	formOf  map[Form]uint32
	opOf    []int32  // instance → operation; shared by clones
	counts  []Counts // one an operation
	total   Counts
	told    int // operations with a message
}

// New returns a ledger in which every instance is Pending. Of ops it uses Name, Type, Child, Preds, Count, Keys and Span; where
// Keys is given, Count is its length. It refuses what is beyond the bounds, and predecessors that do not exist.
func New(run int32, started int64, spec Hash, generation int64, ops []Op) (*Ledger, error) {
	l := &Ledger{
		Run: run, Started: started, SpecHash: spec, Generation: generation, Ops: make([]Op, len(ops)), reasons: []string{""}, forms: make([]Form, 1),
		Cause: Cause{Instance: None}, HeldSince: None, Opened: None,
	}
	first := 0
	for k, op := range ops {
		if op.Keys != nil {
			op.Count = int32(min(len(op.Keys), MaxInstances+1))
		}
		if len(op.Keys) == 0 {
			op.Keys = nil
		}
		if op.Count < 0 || first+int(op.Count) > MaxInstances {
			return nil, fmt.Errorf("operation %q: a ledger holds 0 to %d instances", op.Name, MaxInstances)
		}
		l.Ops[k] = Op{Name: op.Name, Type: op.Type, Child: op.Child, Preds: slices.Clip(op.Preds), Keys: op.Keys, Span: op.Span, First: int32(first), Count: op.Count, Opened: None}
		first += int(op.Count)
	}
	l.grow(first)
	for i := range first {
		l.Starts[i], l.Begun[i], l.Ends[i], l.Retries[i] = None, None, None, None
	}
	l.recount()
	if err := l.Check(); err != nil {
		return nil, err
	}
	return l, nil
}

// grow makes the columns for n instances.
func (l *Ledger) grow(n int) {
	l.Phases, l.Attempts, l.Reasons = make([]Phase, n), make([]uint16, n), make([]uint8, n)
	l.Tries, l.Spent, l.Outcomes = make([]uint16, n), make([]int32, n), make([]Phase, n)
	l.Starts, l.Begun, l.Ends, l.Retries = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	l.Forms, l.Since, l.Marks = make([]uint32, n), make([]uint16, n), make([]Mark, n)
}

// recount derives from Ops and Phases what is not stored.
func (l *Ledger) recount() {
	l.opOf = make([]int32, len(l.Phases))
	l.counts = make([]Counts, len(l.Ops))
	l.total = Counts{}
	l.told = 0
	for k := range l.Ops {
		if l.Ops[k].Message != "" {
			l.told++
		}
		for i := l.Ops[k].First; i < l.Ops[k].First+l.Ops[k].Count; i++ {
			l.opOf[i] = int32(k)
			l.counts[k][l.Phases[i]]++
			l.total[l.Phases[i]]++
		}
	}
}

// N returns the number of instances.
func (l *Ledger) N() int { return len(l.Phases) }

// OpOf returns the operation of instance i.
func (l *Ledger) OpOf(i int) int { return int(l.opOf[i]) }

// Find returns the index of the operation of that name, or -1. It looks through all of them: keep the answer.
func (l *Ledger) Find(name string) int {
	return slices.IndexFunc(l.Ops, func(op Op) bool { return op.Name == name })
}

// Unnamed reports whether nobody knows the instances of an operation yet: one of the key KeyOpen stands for them.
func (l *Ledger) Unnamed(op int) bool {
	keys := l.Ops[op].Keys
	return len(keys) > 0 && strings.HasSuffix(keys[0], KeyOpen)
}

// Instance returns the index of an operation's k-th instance.
func (l *Ledger) Instance(op, k int) int { return int(l.Ops[op].First) + k }

// Key returns the key of instance i: its own, or its number within the operation.
func (l *Ledger) Key(i int) string {
	op := &l.Ops[l.opOf[i]]
	if op.Keys != nil {
		return op.Keys[i-int(op.First)]
	}
	return strconv.Itoa(i - int(op.First))
}

// At turns Unix seconds into the seconds that the columns hold: never negative, whatever the clocks did.
func (l *Ledger) At(unix int64) int32 { return int32(min(max(unix-l.Started, 0), 1<<31-1)) }

// Unix turns a time of the columns into Unix seconds; 0 for None.
func (l *Ledger) Unix(at int32) int64 {
	if at == None {
		return 0
	}
	return l.Started + int64(at)
}

// Reason returns why instance i last failed, or "".
func (l *Ledger) Reason(i int) string { return l.reasons[l.Reasons[i]] }

// Clone returns a copy whose changes do not show in l. Names, predecessors and keys are shared, for nothing changes them.
func (l *Ledger) Clone() *Ledger {
	c := *l
	c.Ops = slices.Clone(l.Ops) // an operation's outputs are replaced as a whole, never written into
	c.Phases, c.Attempts, c.Reasons = slices.Clone(l.Phases), slices.Clone(l.Attempts), slices.Clone(l.Reasons)
	c.Starts, c.Begun = slices.Clone(l.Starts), slices.Clone(l.Begun)
	c.Ends, c.Retries = slices.Clone(l.Ends), slices.Clone(l.Retries)
	c.Tries, c.Spent, c.Outcomes = slices.Clone(l.Tries), slices.Clone(l.Spent), slices.Clone(l.Outcomes)
	c.Forms, c.Since, c.Marks = slices.Clone(l.Forms), slices.Clone(l.Since), slices.Clone(l.Marks)
	c.Handled, c.Left = maps.Clone(l.Handled), slices.Clone(l.Left)
	c.forms, c.formOf = slices.Clip(l.forms), nil
	c.reasons, c.counts = slices.Clone(l.reasons), slices.Clone(l.counts)
	return &c
}
