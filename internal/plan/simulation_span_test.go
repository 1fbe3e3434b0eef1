package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// outputList is the output that batches are expanded from.
const outputList = "list"

// anyList is what such an output may say: nothing, one or many entries, in one of the forms that are possible, or what is no list.
func anyList(rng *rand.Rand) string {
	keys := []string{"a", "b", "c", "d"}
	rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	keys = keys[:1+rng.IntN(len(keys))]
	switch n := rng.IntN(20); {
	case n < 2:
		return []string{"", " ", "[]"}[rng.IntN(3)]
	case n < 4:
		return []string{`{}`, "a,a", "A B", `[{"size": "s"}]`}[rng.IntN(4)]
	case n < 8:
		for n, key := range keys {
			keys[n] = fmt.Sprintf(`{"key": %q, "size": "size-%d"}`, key, rng.IntN(2))
		}
		return "[" + strings.Join(keys, ", ") + "]"
	}
	return strings.Join(keys, ",")
}

// lists makes a batch consist of what an output of an earlier operation lists, where there is one.
func (m *maker) lists(k int) bool {
	var sources []int
	for n := range k {
		op := &m.ops[n]
		one := op.Command != nil && op.Command.Target.Operation == "" || op.Check != nil && op.Check.Target == nil && op.Check.Condition == "" ||
			op.TaskServiceBatch != nil && len(op.TaskServiceBatch.Recipes) == 1 && op.TaskServiceBatch.ForEach == nil
		if from := givesList(op); from != "" && (one || m.chance(25)) { // what several put out, one after the other, is mostly no list
			sources = append(sources, n)
		}
	}
	if len(sources) == 0 {
		return false
	}
	from := sources[m.rng.IntN(len(sources))]
	m.depend(k, from, v1alpha1.EdgeHard)
	m.ops[k].ServerBatch.ForEachFrom = givesList(&m.ops[from])
	return true
}

// givesList is how an operation is referred to that may put out a list, or "".
func givesList(op *v1alpha1.Operation) string {
	output := outputList
	switch {
	case op.ServerBatch != nil:
		output = outputNames
	case op.Command == nil && op.TaskServiceBatch == nil && (op.Check == nil || op.Check.Condition != ""):
		return ""
	}
	return fmt.Sprintf("${operations.%s.outputs.%s}", op.Name, output)
}

// respell writes out the entries of a batch that an output lists, or makes an output list those of another one.
func (s *simulation) respell(op *v1alpha1.Operation) string {
	if op.ServerBatch.ForEachFrom != "" { // operations on single servers may name these keys
		op.ServerBatch.ForEachFrom, op.ServerBatch.ForEach = "", []v1alpha1.ServerItem{{Key: "a"}, {Key: "0"}, {Key: "b"}}
		return "forEachFrom to forEach"
	}
	for _, on := range op.DependsOn {
		from := s.operation(on.Operation)
		if from == nil || on.Type == v1alpha1.EdgeSoft || on.Type == v1alpha1.EdgeOptional || on.Match == v1alpha1.MatchSameIndex || givesList(from) == "" {
			continue
		}
		op.ServerBatch.Count, op.ServerBatch.ForEach, op.ServerBatch.ForEachFrom = nil, nil, givesList(from)
		return "forEach to forEachFrom"
	}
	return "nothing"
}

// relist makes a child say something else than before, as if what it had put out did not stay.
func (w *world) relist(h *history) {
	f, live := w.leaf(h), h.live()
	f.says(anyList(w.rng))
	if live == nil || !isReady(live) || f.mute {
		return
	}
	switch c := live.DeepCopyObject().(type) {
	case *v1alpha1.TaskService:
		c.Status.Outputs = f.outputs
		w.put(h, c)
	case *v1alpha1.Run:
		c.Status.Outputs = f.outputs
		w.put(h, c)
	}
	w.visited.see("a child says another list")
}

// says changes what a leaf lists, from its next attempt on.
func (f *leaf) says(list string) {
	f.outputs = maps.Clone(f.outputs) // versions of its child hold the one before
	f.outputs[outputList] = list
}

// rowsOf finds the rows of one ledger in another one, by operation and key; saga.None: it has none.
func rowsOf(of, in *saga.Ledger) []int32 {
	at := map[leftKey]int32{}
	for i := range in.N() {
		at[leftKey{in.Ops[in.OpOf(i)].Name, in.Key(i)}] = int32(i)
	}
	rows := make([]int32, of.N())
	for i := range rows {
		row, ok := at[leftKey{of.Ops[of.OpOf(i)].Name, of.Key(i)}]
		if rows[i] = row; !ok {
			rows[i] = saga.None
		}
	}
	return rows
}

// expanded looks at a ledger in which more was expanded than before: of an output that is on record, of nothing that this run had
// begun with, and of nothing that begins in the same record. It returns the ledger before with the rows of this one.
func (c *checks) expanded(o *operator, old, read *saga.Ledger) *saga.Ledger {
	for k := range read.Ops {
		op, was := &read.Ops[k], &old.Ops[k]
		if op.Span == was.Span {
			continue
		}
		source := o.workflow.ops[k].source.Operation
		if text := read.Ops[max(read.Find(source), 0)].Outputs; !slices.Contains(slices.Collect(maps.Values(text)), op.Span) && op.Span != "" {
			c.fail("I22: %q is expanded from %q, and on record of %q is %v", op.Name, op.Span, source, text)
		}
		for i := int(was.First); i < int(was.First+was.Count); i++ {
			again := old.Phases[i] == saga.Pending || !maps.Equal(old.Handled, read.Handled) // another try of it may have been asked for
			if !again || old.Marks[i].Has(saga.Touched) && old.Key(i) != saga.KeyOpen && !c.kept[leftKey{op.Name, old.Key(i)}] {
				c.fail("I22: %q is expanded from %q, and it had begun by %q: %s", op.Name, op.Span, was.Span, c.describe())
			}
		}
		for i := int(op.First); i < int(op.First+op.Count); i++ {
			if read.Phases[i] != saga.Pending {
				c.fail("I22: %s[%s] is %s in the record that makes it known", op.Name, read.Key(i), read.Phases[i])
			}
		}
		c.w.visited.see(fmt.Sprintf("expanded: %s", []string{"nothing", "one", "many", "many", "many"}[min(len(spanKeys(op.Span)), 4)]))
		if was.Span != "" {
			c.w.visited.see("expanded anew in a later run, or after an edit")
			if read.Run == 1 && c.w.losses == 0 && c.w.visited["planned anew under a run"] == 0 {
				c.fail("I22: %q is expanded from %q, and it was from %q", op.Name, op.Span, was.Span)
			}
		}
	}
	rows := rowsOf(read, old)
	c.leftBehind(old, read, rows)
	former, err := old.Respan(read.Ops, rows)
	if err != nil {
		c.fail("I9: the ledger before cannot be compared: %v", err)
		return old
	}
	c.relearn(read, rows)
	return former
}

// spanKeys are the entries of a span.
func spanKeys(span string) []v1alpha1.ServerItem {
	entries, _ := entriesOf(span)
	return entries
}

// leftBehind looks at what is no longer listed: where it stands, it is left in place.
func (c *checks) leftBehind(old, read *saga.Ledger, rows []int32) {
	goesOn := make([]bool, old.N())
	for _, row := range rows {
		if row != saga.None {
			goesOn[row] = true
		}
	}
	for i := range old.N() {
		op := &old.Ops[old.OpOf(i)]
		if goesOn[i] || op.Child == "" || old.Key(i) == saga.KeyOpen || old.Standing(i) != saga.Succeeded {
			continue
		}
		if _, ok := leftOf(read, op.Name, old.Key(i)); !ok {
			c.fail("I17: %s[%s] stood, is no longer listed, and nothing knows of it any more", op.Name, old.Key(i))
		}
		c.w.visited.see("no longer listed")
		if h := c.childOf(i); h != nil && h.live() != nil && h.live().GetDeletionTimestamp() == nil {
			c.w.leaf(h).isLeft = true
		}
	}
}

// relearn takes the graph from a ledger of other rows, and keeps what is known of those that go on.
func (c *checks) relearn(l *saga.Ledger, rows []int32) {
	succeeded, finished, limits := c.succeeded, c.finished, c.limits
	c.learn(l)
	for i, row := range rows {
		if row != saga.None {
			c.succeeded[i], c.finished[i], c.limits[i] = succeeded[row], finished[row], limits[row]
		}
	}
}

// unmade reports whether an expansion is on record of which nothing was made so far.
func (w *world) unmade() bool {
	if w.durable == nil {
		return false
	}
	for k := range w.durable.Ops {
		op := &w.durable.Ops[k]
		if op.Span != "" && !slices.ContainsFunc(w.children, func(h *history) bool { return h.operation == op.Name }) {
			return true
		}
	}
	return false
}

// spanned says how what was expanded stands at the end.
func (w *world) spanned(met coverage) {
	for i, phase := range w.durable.Phases {
		if w.durable.Ops[w.durable.OpOf(i)].Span != "" {
			met["expanded, at the end "+phase.String()] = 1
		}
		if w.durable.Key(i) == saga.KeyOpen {
			met["never expanded, at the end "+phase.String()] = 1
		}
	}
}

// reread is the ledger that an operator goes on from. Broken on purpose, it forgets what was listed where a child says something else now.
func (o *operator) reread() *saga.Ledger {
	if !o.w.broken.rereads || o.workflow.draining() {
		return o.ledger
	}
	for k := range o.workflow.ops {
		op := &o.workflow.ops[k]
		if !op.spans() {
			continue
		}
		from := o.workflow.index[op.source.Operation]
		was, frozen := o.ledger.Ops[from].Outputs[op.source.Output]
		if now := o.workflow.collect(from, o.sights)[op.source.Output]; frozen && now != "" && now != was {
			forgetful := o.ledger.Clone()
			forgetful.Ops[from].Outputs = nil
			return forgetful
		}
	}
	return o.ledger
}
