package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// A ServerBatch whose entries an output lists (forEachFrom) is compiled twice. At first nobody knows its instances: it is open, and so is
// what makes an instance for each of its servers, and one instance of the key saga.KeyOpen stands for them all. When the batch could
// start, the output is read, recorded in the ledger as the batch's span, and from then on the workflow is the one in which the listed
// entries are written out. The spans of a ledger, and nothing else, say which of the two it is.

// spanOf is an output as a ledger records it: empty where it lists nothing.
func spanOf(text string) string {
	if entries, err := entriesOf(text); err == nil && len(entries) == 0 {
		return ""
	}
	return text
}

// spansOf are what a ledger records, by operation.
func spansOf(l *saga.Ledger) map[string]string {
	var spans map[string]string
	for k := range l.Ops {
		if l.Ops[k].Span != "" {
			if spans == nil {
				spans = map[string]string{}
			}
			spans[l.Ops[k].Name] = l.Ops[k].Span
		}
	}
	return spans
}

// spans reports whether an operation's entries are listed by an output.
func (op *operation) spans() bool { return op.source != nil && op.ServerBatch != nil }

// Spanned returns the workflow in which the entries that these outputs list are written out, by operation. It is w itself where it has
// them already. The error tells why they cannot be: a list that is none, or too many instances.
func (w *Workflow) Spanned(spans map[string]string) (*Workflow, error) {
	if maps.Equal(spans, w.spanned) {
		return w, nil
	}
	base := w
	if w.base != nil {
		base = w.base
	}
	if len(spans) == 0 {
		return base, nil
	}
	out := &Workflow{
		namespace: w.namespace, name: w.name, generation: w.generation, written: base.written, spec: base.written.DeepCopy(),
		recipes: base.recipes, base: base, spanned: spans, index: map[string]int{},
	}
	for k := range out.spec.Operations {
		op := &out.spec.Operations[k]
		text, listed := spans[op.Name]
		if !listed || op.ServerBatch == nil || op.ServerBatch.ForEachFrom == "" {
			continue
		}
		entries, err := entriesOf(text)
		if err != nil {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "operation %q: serverBatch.forEachFrom: %s: %w", op.Name, op.ServerBatch.ForEachFrom, err)
		}
		op.ServerBatch.ForEach = entries
	}
	return out.compile()
}

// admits reports whether it can have these spans.
func (w *Workflow) admits(spans map[string]string) bool {
	_, err := w.Spanned(spans)
	return err == nil
}

// with returns these spans and one more; an empty one is none.
func with(spans map[string]string, operation, span string) map[string]string {
	out := maps.Clone(spans)
	if out == nil {
		out = map[string]string{}
	}
	if out[operation] = span; span == "" {
		delete(out, operation)
	}
	return out
}

// Spans reports whether the instances are those that the ledger knows.
func (w *Workflow) Spans(l *saga.Ledger) bool { return maps.Equal(w.spanned, spansOf(l)) }

// readSource reads what a batch refers to by forEachFrom.
func (c *compiler) readSource(op *operation) {
	text := op.ServerBatch.ForEachFrom
	if text == "" {
		return
	}
	parsed, err := expr.Parse(text)
	if refs := parsed.Refs(); err == nil && len(refs) == 1 && refs[0].String() == text {
		op.source, op.over = &refs[0], op.Name
		return
	}
	c.field += ".serverBatch.forEachFrom"
	c.fault(fault.ReasonInvalid, "operation %q: serverBatch.forEachFrom is %q: one ${operations.NAME.outputs.KEY} and nothing else is wanted", op.Name, clip(text, 80))
}

// countless reports whether nobody knows how many instances it has. What is on one server of those has one, whoever that is.
func (op *operation) countless() bool {
	return op.open && len(op.keys) > 0 && strings.HasSuffix(op.keys[0], saga.KeyOpen)
}

// unknown says when it will be known of which servers an operation speaks; "" where it is already.
func (op *operation) unknown() string {
	if !op.open {
		return ""
	}
	return fmt.Sprintf("for which servers is known once %q has succeeded: %s", op.source.Operation, op.source)
}

// unsettled is what stands for the instances of an operation as long as nobody knows them.
func (op *operation) unsettled() { op.open, op.keys, op.count = true, []string{saga.KeyOpen}, 1 }

// sure reports whether the output that an operation's instances follow from is known, and lists those that it has.
func (w *Workflow) sure(op *operation, lookup expr.Lookup) bool {
	if op.source == nil {
		return true
	}
	text, known := lookup(*op.source)
	return known && !op.open && spanOf(text) == w.spanned[op.over]
}

// settled reports whether it is known of which instances an operation that could start consists, so that they may be ordered. What an
// output lists is read now, and is durable before anything is made of it; in a run in which something of it was ordered it stays.
func (a *advance) settled(k int) bool {
	op, counts := &a.w.ops[k], a.l.OpCounts(k)
	switch {
	case op.source == nil:
		return true
	case !op.spans():
		return a.settledBy(k)
	case !op.open && counts[saga.Pending] < counts.Total():
		return true
	}
	text, known := a.w.lookup(a.l)(*op.source)
	if !known {
		a.failPending(k, a.lacking(*op.source))
		return false
	}
	entries, err := entriesOf(text)
	switch {
	case err != nil:
		a.failPending(k, fmt.Sprintf("serverBatch.forEachFrom: %s: %v", op.source, err))
		return false
	case len(entries) == 0 && op.open:
		a.skip(k)
		return false
	case spanOf(text) == a.w.spanned[op.Name]:
		return true
	}
	spans := with(a.w.spanned, op.Name, spanOf(text))
	if a.becomes != nil {
		spans = with(a.becomes.spanned, op.Name, spanOf(text))
	}
	next, err := a.w.Spanned(spans)
	if err != nil {
		a.failPending(k, fmt.Sprintf("serverBatch.forEachFrom: %s lists %s: %v", op.source, counted(len(entries), "server"), err))
		return false
	}
	a.becomes = next
	return false
}

// settledBy is settled for what has an instance for each server of a batch that an output lists.
func (a *advance) settledBy(k int) bool {
	op := &a.w.ops[k]
	if !op.open {
		return true
	}
	switch outcome := a.l.OpCounts(a.w.index[op.over]); {
	case outcome.Settled() < outcome.Total():
	case outcome.Missed() > 0:
		a.omit(k)
	default: // there are no servers
		a.skip(k)
	}
	return false
}

// skip ends the instances of an operation for which there is nothing to do.
func (a *advance) skip(k int) {
	for n := range a.w.ops[k].count {
		if i := a.l.Instance(k, n); a.l.Phases[i] == saga.Pending {
			a.settle(i, saga.Skipped, v1alpha1.ReasonEmptyList, "")
		}
	}
}

// span makes the instances known that outputs list.
func (a *advance) span() {
	if a.becomes == nil || a.err != nil || a.l.Phase != saga.RunRunning {
		return
	}
	for k := range a.w.ops {
		counts := a.l.OpCounts(k)
		if op := &a.w.ops[k]; op.spans() && a.becomes.spanned[op.Name] != a.w.spanned[op.Name] && counts[saga.Pending] < counts.Total() {
			return // it was called off in this very look
		}
	}
	next, err := a.becomes.respan(a.l)
	if a.keep(err); err == nil {
		a.l = next
		a.wakeAt(a.now)
	}
}

// respan returns the ledger with the workflow's instances, for a ledger of the same operations with others. What goes on keeps all that
// is known of it; what no longer is one, and stands, is left in place.
func (w *Workflow) respan(l *saga.Ledger) (*saga.Ledger, error) {
	shape, err := w.ledger(l.Run, l.Started)
	if err != nil {
		return nil, err
	}
	rows, taken := make([]int32, 0, shape.N()), make([]bool, l.N())
	for k := range w.ops {
		rows = append(rows, w.ops[k].rows(l, k)...)
	}
	for _, row := range rows {
		if row != saga.None {
			taken[row] = true
		}
	}
	next, err := l.Respan(shape.Ops, rows)
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		k := next.OpOf(i)
		if of, ok := leftOf(l, w.ops[k].Name, next.Key(i)); ok && row == saga.None && of.Child == w.ops[k].child {
			next.Reclaim(i, of.Attempts)
			next.LetGo(of.Operation, next.Key(i))
		}
	}
	for _, k := range latestFirst(l) {
		if of := remains(l, k, taken); len(of.Keys) > 0 {
			next.Left = append(slices.Clip(next.Left), of)
		}
	}
	return next, next.Check()
}

// leftOf finds what is left of an operation under a key.
func leftOf(l *saga.Ledger, operation, key string) (saga.Left, bool) {
	for _, of := range l.Left {
		if of.Operation == operation && slices.Contains(of.Keys, key) {
			return of, true
		}
	}
	return saga.Left{}, false
}

// remains is what stands of an operation of a ledger and does not go on.
func remains(l *saga.Ledger, k int, taken []bool) saga.Left {
	was := &l.Ops[k]
	of := saga.Left{Operation: was.Name, Child: was.Child}
	for i := int(was.First); i < int(was.First+was.Count); i++ {
		if was.Child == "" || taken[i] || l.Standing(i) == saga.Pending || l.Key(i) == saga.KeyOpen {
			continue
		}
		of.Keys, of.Attempts = append(of.Keys, l.Key(i)), max(of.Attempts, l.Attempts[i])
	}
	return of
}

// Recover returns the workflow with the instances that the outputs of its children list, for a ledger that was lost.
func (w *Workflow) Recover(children []Child) *Workflow {
	for range len(w.ops) {
		sights := Sights{}
		for _, child := range children {
			if i, ours := w.Instance(child.GetName()); ours && i >= 0 {
				sights[i] = Look(child)
			}
		}
		spans := w.spanned
		for k := range w.ops {
			if op := &w.ops[k]; op.spans() && op.open && !w.ops[w.index[op.source.Operation]].open { // what stands for servers that nobody knows yet has a name, too
				spans = with(spans, op.Name, spanOf(w.collect(w.index[op.source.Operation], sights)[op.source.Output]))
			}
		}
		next, err := w.Spanned(spans)
		if err != nil || next == w {
			return w
		}
		w = next
	}
	return w
}
