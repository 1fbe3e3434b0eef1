package plan

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// Holder is whoever takes turns at an account: a workflow, or a Server of its own.
type Holder string

// Key is the machine that a slot is for: provider.Machine.Key, derived from its object's UID.
type Key string

// Ask is one wish to start at an account. Since is when the object asked first; it survives restarts with the object.
type Ask struct {
	Key    Key
	Holder Holder
	Since  time.Time
}

// Grant returns who may start now at an account where the holders have the given numbers of slots and limit are allowed in all,
// in the order of their turns. No slot stays free while somebody asks. The next is always of the holder who has fewest, counting
// what was just granted; among equals the oldest ask, then the smallest key: the order of asking does not matter. A key that
// asks twice counts once, with its older ask. A limit of 0 or less grants nothing.
func Grant(held map[Holder]int, asking []Ask, limit int) []Key {
	free := limit
	for _, n := range held {
		free -= max(n, 0)
	}
	if free <= 0 || len(asking) == 0 {
		return nil
	}
	turns := queue(held, asking)
	var granted []Key
	seen := make(map[Key]bool, min(free, len(asking)))
	for len(granted) < free && turns.Len() > 0 {
		line := turns[0]
		ask := line.asks[0]
		if line.asks = line.asks[1:]; !seen[ask.Key] {
			seen[ask.Key] = true
			granted = append(granted, ask.Key)
			line.held++
		}
		if len(line.asks) == 0 {
			heap.Pop(&turns)
		} else {
			heap.Fix(&turns, 0)
		}
	}
	return granted
}

// line is one holder's asks, oldest first.
type line struct {
	held int
	asks []Ask
}

// lines is a heap: first the line whose turn it is.
type lines []*line

func queue(held map[Holder]int, asking []Ask) lines {
	byHolder := map[Holder]*line{}
	var turns lines
	for _, ask := range slices.SortedFunc(slices.Values(asking), older) {
		if byHolder[ask.Holder] == nil {
			byHolder[ask.Holder] = &line{held: max(held[ask.Holder], 0)}
			turns = append(turns, byHolder[ask.Holder])
		}
		byHolder[ask.Holder].asks = append(byHolder[ask.Holder].asks, ask)
	}
	heap.Init(&turns)
	return turns
}

func older(a, b Ask) int {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Holder, b.Holder))
}

func (l lines) Len() int { return len(l) }
func (l lines) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(l[i].held, l[j].held), older(l[i].asks[0], l[j].asks[0])) < 0
}
func (l lines) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *lines) Push(x any)   { *l = append(*l, x.(*line)) }
func (l *lines) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}
