package plan

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// join is an edge of match SameIndex, seen from one of its ends: who the partner of each instance is.
type join struct {
	op      int
	soft    bool
	partner []int32 // by the instance's number in its operation: an instance of op, or -1
}

// joinOperations finds partners by key, for all edges of match SameIndex.
func (c *compiler) joinOperations() {
	for k := range c.out.ops {
		for _, arc := range c.out.graph.Preds(k) {
			if !arc.Same {
				continue
			}
			before, after := &c.out.ops[arc.Op], &c.out.ops[k]
			if wide := cmp.Or(before.wide(), after.wide()); wide != "" {
				c.fault(fault.ReasonInvalid, "operation %q: dependsOn %q: match SameIndex joins servers, and %q has services over several of them: give it one recipe and forEach: {operation: NAME}", after.Name, before.Name, wide)
				continue
			}
			after.joins = append(after.joins, join{op: int(arc.Op), soft: arc.Soft, partner: partners(after, before)})
			before.joined = append(before.joined, join{op: k, soft: arc.Soft, partner: partners(before, after)})
		}
	}
}

// wide names an operation whose instances are not one a server, although it has services; "" where they are.
func (op *operation) wide() string {
	if op.TaskServiceBatch == nil || op.each() && len(op.TaskServiceBatch.Recipes) == 1 {
		return ""
	}
	return op.Name
}

func partners(of, among *operation) []int32 {
	places := make(map[string]int32, among.count)
	for n := range among.count {
		places[among.key(n)] = int32(among.first + n)
	}
	out := make([]int32, of.count)
	for n := range out {
		if out[n] = int32(among.first); among.open { // it stands for all
			continue
		}
		partner, ok := places[of.key(n)]
		if out[n] = partner; !ok {
			out[n] = -1
		}
	}
	return out
}

// rank gives the order in which instances of one operation start: by number, or by key.
func (c *compiler) rank(op *operation) {
	if op.keys == nil || slices.IsSortedFunc(op.keys, compareKeys) {
		return
	}
	op.order = make([]int, op.count)
	for n := range op.order {
		op.order[n] = n
	}
	slices.SortStableFunc(op.order, func(a, b int) int { return compareKeys(op.keys[a], op.keys[b]) })
}

// compareKeys compares numbers as numbers.
func compareKeys(a, b string) int {
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	if errA == nil && errB == nil && x != y {
		return x - y
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// nth returns the instance that starts as the m-th of its operation.
func (op *operation) nth(m int) int {
	if op.order == nil {
		return m
	}
	return op.order[m]
}

// joined reports whether the partners of a pending instance let it start. One that can never start is Omitted.
func (a *advance) joined(k, i int) bool {
	n, start := i-a.w.ops[k].first, true
	for _, edge := range a.w.ops[k].joins {
		partner := edge.partner[n]
		if partner < 0 {
			a.leaveOut(i, v1alpha1.ReasonNoPartner, "an edge of match SameIndex joins it with an instance of \""+a.w.ops[edge.op].Name+"\" of the same key, and there is none")
			return false
		}
		switch phase := a.l.Phases[partner]; {
		case !phase.Terminal():
			start = false
		case !edge.soft && phase != saga.Succeeded && phase != saga.Skipped:
			a.leaveOut(i, "", "")
			return false
		}
	}
	return start
}
