package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// What a write can answer besides success.
var (
	errConflict = errors.New("somebody else wrote in between")
	errServer   = errors.New("no answer") // the write may be done or not
	errForeign  = errors.New("there are children of no operation: the lost ledger is not made anew")
)

// crash is thrown where an operator dies.
type crash struct{ before string }

// world is a model of an API server that holds one workflow, its Checkpoint and its children, with the leaves that work on
// them, a clock, and faults.
type world struct {
	rng     *rand.Rand
	now     time.Time
	version int64 // of the last write
	uids    int

	flow       *v1alpha1.BatchWorkflow // replaced by an edit, never changed
	compiled   map[int64]*Workflow     // by generation
	checkpoint struct {
		version int64 // 0: there is none
		data    []byte
		plan    *v1alpha1.CheckpointPlan
	}
	durable  *saga.Ledger // what the checkpoint holds, or held before it was lost
	lost     bool         // the checkpoint is gone, or made anew and still empty
	losses   int
	lostAt   int64                        // the version at which it was lost last
	told     v1alpha1.BatchWorkflowStatus // the summary, as it is durable
	children []*history                   // in order of first creation
	named    map[string]*history
	taken    map[string]bool // names that foreign objects have
	writes   []int64         // versions of all writes to children, ascending

	suspends int // how often somebody suspended or resumed the workflow

	approved map[string]bool // operations that somebody gave an approval for

	leaves  map[string]*leaf // by the name of the child
	maker   *maker
	bad     int  // how likely an attempt fails, in percent
	calm    bool // no more faults
	checks  checks
	visited coverage
	broken  sabotage
	trace   func(format string, args ...any)
}

// history is all versions of the children of one name.
type history struct {
	kind, name string
	operation  string
	versions   []version
	place      int // in the durable ledger; -1: it knows nothing of it
}

type version struct {
	number int64
	child  Child // nil: gone
}

// at returns the child as it was at that version of the world, or nil.
func (h *history) at(number int64) Child {
	for n := len(h.versions) - 1; n >= 0; n-- {
		if h.versions[n].number <= number {
			return h.versions[n].child
		}
	}
	return nil
}

// live returns the child as it is now, or nil.
func (h *history) live() Child {
	if h == nil || len(h.versions) == 0 {
		return nil
	}
	return h.versions[len(h.versions)-1].child
}

// put writes a new version of a child; nil removes it.
func (w *world) put(h *history, child Child) {
	w.version++
	if child != nil {
		child.SetResourceVersion(strconv.FormatInt(w.version, 10))
	}
	h.versions = append(h.versions, version{w.version, child})
	w.writes = append(w.writes, w.version)
}

// changed reports whether a child was written after one version and up to another.
func (w *world) changed(after, upTo int64) bool {
	n := sort.Search(len(w.writes), func(n int) bool { return w.writes[n] > after })
	return n < len(w.writes) && w.writes[n] <= upTo
}

// workflow returns what Compile makes of the spec of that generation.
func (w *world) workflow(flow *v1alpha1.BatchWorkflow) *Workflow {
	if w.compiled[flow.Generation] == nil {
		compiled, err := Compile(flow, nil)
		if err != nil {
			panic(fmt.Sprintf("the simulation made a workflow that is refused: %v", err))
		}
		w.compiled[flow.Generation] = compiled
	}
	return w.compiled[flow.Generation]
}

// edit changes the workflow's spec, as a person would.
func (w *world) edit(change func(*v1alpha1.BatchWorkflowSpec)) {
	next := w.flow.DeepCopy()
	next.Generation++
	change(&next.Spec)
	w.flow = next
}

// deed is one write of an operator, with what can go wrong about it.
func (w *world) deed(what string, commit func() error) error {
	odds := 12
	if what == "delete" || what == "raise" || what == "rewrite" {
		odds = 5 // there are fewer of them
	}
	if w.calm || w.rng.IntN(odds) > 0 {
		return commit()
	}
	switch w.rng.IntN(4) {
	case 0:
		w.visited.see("crash before " + what)
		panic(crash{"committing " + what})
	case 1:
		w.visited.see("refused " + what)
		return fmt.Errorf("%s: %w", what, errServer)
	case 2:
		_ = commit()
		w.visited.see("crash after " + what)
		panic(crash{"learning of " + what})
	}
	if err := commit(); err != nil {
		return err
	}
	w.visited.see("lost reply of " + what)
	w.trace("the reply is lost")
	return fmt.Errorf("%s: %w", what, errServer)
}

// record is the compare-and-swap of the Checkpoint.
func (w *world) record(o *operator, data []byte, known int64, next *saga.Ledger) (number int64, err error) {
	err = w.deed("record", func() error {
		if known != w.checkpoint.version && !w.broken.noSwap {
			return errConflict
		}
		read, err := saga.Decode(data)
		if err != nil {
			return w.checks.fail("I9: what was stored cannot be read: %v", err)
		}
		if w.lost && o.fresh == nil {
			w.checks.rebuilt(read) // it was begun anew
		} else {
			if w.lost {
				w.checks.rebuilt(o.fresh)
				w.durable = o.fresh
			}
			w.checks.recorded(o, read, next)
		}
		w.lost = false
		w.version++
		w.checks.planned(o)
		w.checkpoint.version, w.checkpoint.data, w.checkpoint.plan, w.durable = w.version, data, o.gate.Record, read
		number = w.version
		return nil
	})
	return number, err
}

// create is the POST of a child.
func (w *world) create(o *operator, action ChildAction) error {
	return w.deed("create", func() error {
		h := w.named[action.Name]
		if w.taken[action.Name] {
			w.visited.see("name taken")
			return fault.New(fault.Terminal, fault.ReasonNameTaken, "%s %s exists and is not ours", action.Kind, action.Name)
		}
		if live := h.live(); live != nil {
			if live.GetDeletionTimestamp() != nil {
				return fault.Waiting(fault.ReasonInProgress, 0, "%s is being deleted", action.Name)
			}
			w.visited.see("exists already")
			return nil
		}
		w.checks.creating(o, action)
		w.checks.foreseen(o, action.Name, DeedCreate, DeedReplace, DeedAdopt)
		if w.checks.problem != nil {
			return nil // the run ends with it
		}
		if h == nil {
			h = &history{kind: action.Kind, name: action.Name, operation: action.Child.GetLabels()[v1alpha1.LabelOperation]}
			h.place = w.checks.placeOf(h.name)
			w.children, w.named[action.Name] = append(w.children, h), h
		}
		w.uids++
		child := action.Child.DeepCopyObject().(Child)
		child.SetUID(types.UID("uid-" + strconv.Itoa(w.uids)))
		child.SetGeneration(1)
		if status, ok := child.(v1alpha1.Object); ok {
			status.SetObservedGeneration(-1)
		}
		w.put(h, child)
		w.leaf(h).made()
		return nil
	})
}

// raise is what children.Raise does: a live look, and a patch where the attempt is lower.
func (w *world) raise(o *operator, action ChildAction) error {
	return w.deed("raise", func() error {
		h := w.named[action.Name]
		live := h.live()
		if live == nil || live.GetUID() != action.UID || attemptOf(live) >= action.Attempt {
			return nil
		}
		w.checks.raising(o, action)
		next := live.DeepCopyObject().(Child)
		next.GetAnnotations()[v1alpha1.AnnotationAttempt] = strconv.Itoa(int(action.Attempt))
		w.put(h, next)
		return nil
	})
}

// rewrite is what children.Rewrite does: a live look, and a write that is refused when somebody wrote in between.
func (w *world) rewrite(o *operator, action ChildAction) error {
	return w.deed("rewrite", func() error {
		h := w.named[action.Name]
		live := h.live()
		if live == nil || live.GetUID() != action.UID || live.GetDeletionTimestamp() != nil || action.Do == Update && attemptOf(live) >= action.Attempt {
			return nil
		}
		next := live.DeepCopyObject().(Child)
		if err := action.Rewrite(next); err != nil {
			return err
		}
		if change := forced(live, next); change != "" {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "it cannot be changed: %s", change)
		}
		w.checks.rewriting(o, action, h)
		if action.Do == Update {
			w.checks.foreseen(o, action.Name, DeedUpdate, DeedReplace)
		}
		if len(Changes(h.kind, live, next)) > 0 {
			next.SetGeneration(next.GetGeneration() + 1)
		}
		w.put(h, next)
		return nil
	})
}

// remove is a DELETE with a precondition on the UID. It asks; the leaf's finalizer decides when.
func (w *world) remove(o *operator, name string, uid types.UID, stray bool) error {
	return w.deed("delete", func() error {
		h := w.named[name]
		live := h.live()
		if live == nil || live.GetUID() != uid || live.GetDeletionTimestamp() != nil {
			return nil
		}
		w.checks.deleting(o, h, stray)
		if !stray {
			w.checks.foreseen(o, name, DeedReplace, DeedDelete, DeedUpdate)
		}
		w.mark(h)
		return nil
	})
}

// mark sets the deletion timestamp; like the API server it also raises the generation.
func (w *world) mark(h *history) {
	next := h.live().DeepCopyObject().(Child)
	at := metav1.NewTime(w.now)
	next.SetDeletionTimestamp(&at)
	next.SetGeneration(next.GetGeneration() + 1)
	w.put(h, next)
	w.leaf(h).leave(w.now)
}

// vanish is another hand: it deletes a child, or tears its finalizer off.
func (w *world) vanish(h *history) {
	w.leaf(h).vanished++
	w.leaf(h).stuck = false // that hand sees to it
	if w.rng.IntN(2) == 0 {
		w.visited.see("finalizer torn off")
		w.put(h, nil)
		return
	}
	w.visited.see("deleted by another hand")
	w.mark(h)
}

func (w *world) leaf(h *history) *leaf {
	f := w.leaves[h.name]
	if f == nil {
		k := slices.IndexFunc(w.flow.Spec.Operations, func(op v1alpha1.Operation) bool { return op.Name == h.operation })
		op := &v1alpha1.Operation{}
		if k >= 0 {
			op = &w.flow.Spec.Operations[k]
		}
		f = w.maker.leaf(w.flow, op, len(w.leaves), w.bad)
		w.leaves[h.name] = f
	}
	return f
}
