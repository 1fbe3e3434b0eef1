package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	}
	durable  *saga.Ledger // what the checkpoint holds
	children []*history   // in order of first creation
	named    map[string]*history
	taken    map[string]bool // names that foreign objects have
	writes   []int64         // versions of all writes to children, ascending

	suspends int // how often somebody suspended or resumed the workflow

	leaves  map[int]*leaf // by instance
	calm    bool          // no more faults
	checks  checks
	visited coverage
	broken  sabotage
	trace   func(format string, args ...any)
}

// history is all versions of the children of one name.
type history struct {
	kind, name string
	instance   int
	versions   []version
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
	if what == "delete" || what == "raise" {
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
		w.checks.recorded(o, read, next)
		w.version++
		w.checkpoint.version, w.checkpoint.data, w.durable = w.version, data, read
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
		if h == nil {
			h = &history{kind: action.Kind, name: action.Name, instance: action.Instance}
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

// remove is a DELETE with a precondition on the UID. It asks; the leaf's finalizer decides when.
func (w *world) remove(o *operator, name string, uid types.UID, stray bool) error {
	return w.deed("delete", func() error {
		h := w.named[name]
		live := h.live()
		if live == nil || live.GetUID() != uid || live.GetDeletionTimestamp() != nil {
			return nil
		}
		w.checks.deleting(o, h, stray)
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

func (w *world) leaf(h *history) *leaf { return w.leaves[h.instance] }
