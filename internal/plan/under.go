package plan

import (
	"fmt"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/saga"
)

// Under returns the workflow that Advance and Act go on with, given what the ledger speaks of. Where the ledger Fits, it is w itself.
// (with what outputs list). Otherwise the operations were edited, and it is what the ledger knows of those before, with the limits and policies of now: what is
// in flight ends by it, an undo under way goes on by it, and nothing new starts. As soon as nothing runs any more, Advance answers
// with a ledger that fits w.
func (w *Workflow) Under(l *saga.Ledger) (*Workflow, error) {
	if w.Fits(l) {
		return w.Spanned(spansOf(l))
	}
	old := &Workflow{
		namespace: w.namespace, name: w.name, generation: w.generation, spec: w.spec, hash: l.SpecHash, next: w, spanned: spansOf(l),
		index: map[string]int{}, ops: make([]operation, len(l.Ops)),
	}
	names, edges := make([]string, len(l.Ops)), []dag.Edge(nil)
	for k := range l.Ops {
		was := &l.Ops[k]
		names[k], old.index[was.Name] = was.Name, k
		old.ops[k] = operation{Operation: w.heir(was), child: was.Child, keys: was.Keys, count: int(was.Count), first: int(was.First)}
		old.ops[k].policies(w.spec)
		for _, p := range was.Preds {
			edges = append(edges, dag.Edge{From: int(p.Op), To: k, Soft: p.Soft, Same: p.Same})
		}
	}
	var err error
	if old.graph, err = dag.Build(names, edges); err != nil {
		return nil, fmt.Errorf("reading the graph of the ledger: %w", err)
	}
	(&compiler{out: old}).joinOperations()
	old.nameChildren()
	return old, nil
}

// Replanned reports whether Advance has answered with a ledger of the operations as they are now, or of instances that were not known
// before: what was seen by those before has to be looked at again.
func (w *Workflow) Replanned(l *saga.Ledger) bool {
	return w.draining() && w.next.Fits(l) || !w.draining() && !w.Spans(l)
}

// Follows reports whether this is what next.Under returns for the ledger. What outputs list is written out only as long as the ledger fits:
// where another run was asked for while one went on, that is so until it is over.
func (w *Workflow) Follows(next *Workflow, l *saga.Ledger) bool {
	return (w.next == next || w.base == next && next.Fits(l)) && w.hash == l.SpecHash && len(w.names) == l.N() && w.Spans(l)
}

// heir returns the operation as it is now, or all that is known of one that is no longer there.
func (w *Workflow) heir(was *saga.Op) *v1alpha1.Operation {
	if k, ok := w.index[was.Name]; ok && w.ops[k].continues(was) {
		return w.ops[k].Operation
	}
	return &v1alpha1.Operation{Name: was.Name, Type: v1alpha1.OperationType(was.Type)}
}

// continues reports whether an operation of a ledger is this one as it was.
func (op *operation) continues(was *saga.Op) bool {
	return op.Name == was.Name && string(op.Type) == was.Type && op.child == was.Child
}

// sameKeys reports whether an operation has the instances that it had, in the same order: outputs are those of all, in order.
func (op *operation) sameKeys(was *saga.Op) bool {
	return op.count == int(was.Count) && slices.Equal(op.keys, was.Keys)
}

// draining reports whether the operations were edited, so that nothing new starts before the plan is made anew.
func (w *Workflow) draining() bool { return w.next != nil }

// Places say which place of Sights a child has by its name: that of its instance; after all of them, by instance, that of the Run that
// undoes a command; and after those, one for each thing that is left of operations that were removed.
type Places struct {
	w    *Workflow
	left map[string]int
}

// Places returns the places of all children that the ledger knows of.
func (w *Workflow) Places(l *saga.Ledger) Places {
	p := Places{w: w}
	if len(l.Left) > 0 {
		p.left = map[string]int{}
	}
	place := 2 * len(w.names)
	for _, of := range l.Left {
		for _, key := range of.Keys {
			p.left[v1alpha1.ChildName(w.name, of.Operation, key)] = place
			place++
		}
	}
	return p
}

// Of returns the place of the child of that name, or -1.
func (p Places) Of(name string) int {
	if i, ok := p.w.instances[name]; ok {
		return i
	}
	if i, ok := p.left[name]; ok {
		return i
	}
	return -1
}

// Instance returns the instance whose child has that name. ours says whether it is one at all; the Run that undoes a command is ours and
// of no instance: -1.
func (w *Workflow) Instance(child string) (i int, ours bool) {
	place, ours := w.instances[child]
	if !ours || place >= len(w.names) {
		return -1, ours
	}
	return place, true
}

// Child returns the kind and name of the child in a place, or "" when it has none.
func (w *Workflow) Child(l *saga.Ledger, place int) (kind, name string) {
	switch n := len(w.names); {
	case place < n:
		return w.ops[l.OpOf(place)].child, w.names[place]
	case place < 2*n:
		return KindRun, undoName(w.name, l.Ops[l.OpOf(place-n)].Name, l.Key(place-n))
	default:
		of, key := leftAt(l, place-2*n)
		return of.Child, v1alpha1.ChildName(w.name, of.Operation, key)
	}
}

// leftAt returns the n-th thing that is left.
func leftAt(l *saga.Ledger, n int) (of saga.Left, key string) {
	for _, of := range l.Left {
		if n < len(of.Keys) {
			return of, of.Keys[n]
		}
		n -= len(of.Keys)
	}
	return saga.Left{}, ""
}

// undoName is the name of the Run that undoes a command. No key has a slash, so that nothing else has it.
func undoName(workflow, operation, key string) string {
	return v1alpha1.ChildName(workflow, operation, key+"/undo")
}
