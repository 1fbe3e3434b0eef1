package plan

import (
	"slices"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// leave gathers what is left of instances that are no longer in the workflow: what rests on something before it.
func (f *forecaster) leave() ([]saga.Left, error) {
	var out []saga.Left
	for _, of := range f.former.Left {
		of.Keys = slices.DeleteFunc(slices.Clone(of.Keys), func(key string) bool { return f.asked(of, key) })
		if len(of.Keys) > 0 {
			out = append(out, of)
		}
	}
	for _, k := range latestFirst(f.former) {
		was, of := &f.former.Ops[k], remains(f.former, k, f.taken)
		if len(of.Keys) == 0 {
			continue
		}
		if now, ok := f.w.index[was.Name]; ok && !f.w.ops[now].continues(was) {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid,
				"operation %q is a %s, and what it made as a %s stands: give it another name", was.Name, f.w.ops[now].Type, was.Type)
		}
		out = append(out, of)
	}
	return out, nil
}

// asked reports whether the workflow asks again for something that was left.
func (f *forecaster) asked(of saga.Left, key string) bool {
	k, ok := f.w.index[of.Operation]
	if !ok || f.w.ops[k].child != of.Child {
		return false
	}
	op := &f.w.ops[k]
	for n := range op.count {
		if op.key(n) == key {
			return true
		}
	}
	return false
}

// latestFirst returns the operations of a ledger so that each comes before those that it depends on.
func latestFirst(l *saga.Ledger) []int {
	out, met := make([]int, 0, len(l.Ops)), make([]bool, len(l.Ops))
	var visit func(k int)
	visit = func(k int) {
		if met[k] {
			return
		}
		met[k] = true
		for _, p := range l.Ops[k].Preds {
			visit(int(p.Op))
		}
		out = append(out, k)
	}
	for k := range l.Ops {
		visit(k)
	}
	slices.Reverse(out)
	return out
}
