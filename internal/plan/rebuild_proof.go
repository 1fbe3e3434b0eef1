package plan

import (
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
)

// What is left of a run says something of what is not there any more, by the edges of the operations by which it went.

// prove goes from what is found to what must have succeeded before it: a Hard predecessor's success is durable before its
// dependent's effect. That holds for what was ordered by the operations as they are: what was ordered before an edit, and kept, needed
// something else then. So what has succeeded proves nothing in its turn, unless the operations were never edited.
func (r *rebuilding) prove() {
	for _, k32 := range slices.Backward(r.w.graph.Order()) {
		op := &r.w.ops[k32]
		any := false
		for n := range op.count {
			i := op.first + n
			if !r.proves(i) {
				continue
			}
			any = true
			for _, edge := range op.joins {
				if !edge.soft && edge.partner[n] >= 0 {
					r.passed[edge.partner[n]] = true
				}
			}
		}
		for _, arc := range r.w.graph.Preds(int(k32)) {
			if any && !arc.Soft && !arc.Same {
				before := &r.w.ops[arc.Op]
				for i := before.first; i < before.first+before.count; i++ {
					r.passed[i] = true
				}
			}
		}
	}
}

// proves reports whether what an instance needs has succeeded.
func (r *rebuilding) proves(i int) bool {
	f := r.found[i]
	return f.Exists && f.Run == r.l.Run && r.planned > 0 && f.Planned == r.planned || r.passed[i] && r.unedited()
}

// unedited reports whether the run is the first one and has gone by the operations as they are since it began.
func (r *rebuilding) unedited() bool { return r.l.Run == 1 && r.planned == 1 }

// bar goes the other way: what needs the success of something that never had it was never ordered, nor what has no partner. In a
// later run, or before an edit, it may have been ordered all the same.
func (r *rebuilding) bar() {
	if !r.unedited() {
		return
	}
	open := make([]bool, len(r.w.ops)) // by operation: an instance of it has never succeeded
	for _, k := range r.w.graph.Order() {
		op := &r.w.ops[k]
		all := slices.ContainsFunc(r.w.graph.Preds(int(k)), func(arc dag.Arc) bool { return !arc.Soft && !arc.Same && open[arc.Op] })
		for n := range op.count {
			i := op.first + n
			r.barred[i] = !r.found[i].Exists && !r.passed[i] && (all || slices.ContainsFunc(op.joins, func(edge join) bool {
				p := int(edge.partner[n])
				return p < 0 || !edge.soft && (r.barred[p] || r.found[p].Fresh)
			}))
			open[k] = open[k] || r.barred[i] || r.found[i].Fresh
		}
	}
}

// skippable reports whether an operation may have been skipped by its own condition, which is as good as its success for what needs it:
// nothing of it is there.
func (r *rebuilding) skippable(i int) bool {
	op := &r.w.ops[r.l.OpOf(i)]
	if op.when == nil {
		return false
	}
	for n := range op.count {
		if r.found[op.first+n].Exists {
			return false
		}
	}
	return true
}

// mayFail reports whether the run that has succeeded may have done so without an instance: it was skipped, its failure was ignored, or it
// was omitted because of another one or for want of a partner.
func (r *rebuilding) mayFail(i int) bool {
	op, missed := &r.w.ops[r.l.OpOf(i)], slices.ContainsFunc(r.w.ops, func(o operation) bool { return o.policy == v1alpha1.FailureIgnore })
	if counts := r.counts; counts != nil {
		if counts.Failed > 0 { // it was allowed to then, and the policy was edited since
			return true
		}
		missed = counts.Omitted+counts.FailedAllowed+counts.Cancelled > 0
	}
	return op.when != nil || missed && (op.policy == v1alpha1.FailureIgnore || len(op.DependsOn) > 0)
}
