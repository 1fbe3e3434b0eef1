package view

import (
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/saga"
)

// Graph is a workflow's operations and edges, ready to be drawn.
type Graph struct {
	Name  string  `json:"workflow"`
	Nodes []Node  `json:"operations"`
	Edges []Link  `json:"edges"`
	Waves [][]int `json:"waves"` // indices of Nodes: those of a wave wait for earlier ones only
}

// Node is one operation.
type Node struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Count int    `json:"count,omitempty"` // of its instances; 0: it is one, or not known
	Open  bool   `json:"open,omitempty"`  // how many they are is found out by the run
	When  string `json:"when,omitempty"`  // its condition, if any
	State string `json:"state,omitempty"` // how it stands, in a few words; "" where no run is known
	Mark  Mark   `json:"-"`
	Known bool   `json:"-"` // State and Mark speak of a run
}

// Link is one edge, by indices of Nodes.
type Link struct {
	From int  `json:"from"`
	To   int  `json:"to"`
	Soft bool `json:"soft,omitempty"` // it may have ended badly
	Same bool `json:"same,omitempty"` // it joins instances of the same key
}

// GraphOf returns the graph of a workflow. With a ledger, operations have the state of its run. The error is one of dag: a duplicate
// name, an unknown dependency, or a cycle.
func GraphOf(w *v1alpha1.BatchWorkflow, l *saga.Ledger) (Graph, error) {
	ops := w.Spec.Operations
	g, names := Graph{Name: w.Name}, make([]string, len(ops))
	for i := range ops {
		names[i] = ops[i].Name
	}
	edges, err := dag.Resolve(names, func(k int) (needs []dag.Need) {
		for _, d := range ops[k].DependsOn {
			needs = append(needs, dag.Need{
				Name: d.Operation, Soft: d.Type == v1alpha1.EdgeSoft || d.Type == v1alpha1.EdgeOptional,
				Same: d.Match == v1alpha1.MatchSameIndex, Optional: d.Type == v1alpha1.EdgeOptional,
			})
		}
		return needs
	})
	if err != nil {
		return g, err
	}
	built, err := dag.Build(names, edges)
	if err != nil {
		return g, err
	}
	for i := range ops {
		g.Nodes = append(g.Nodes, nodeOf(&ops[i], l))
		for _, arc := range built.Preds(i) {
			g.Edges = append(g.Edges, Link{From: int(arc.Op), To: i, Soft: arc.Soft, Same: arc.Same})
		}
	}
	for wave := range built.Waves() {
		var row []int
		for _, k := range built.Wave(wave) {
			row = append(row, int(k))
		}
		g.Waves = append(g.Waves, row)
	}
	return g, nil
}

func nodeOf(op *v1alpha1.Operation, l *saga.Ledger) Node {
	n := Node{Name: op.Name, Type: string(op.Type), Count: countOf(op), When: op.When}
	n.Open = op.ServerBatch != nil && op.ServerBatch.ForEachFrom != ""
	if op.Power != nil {
		n.Type += " " + string(op.Power.State)
	}
	if l == nil {
		return n
	}
	if k := l.Find(op.Name); k >= 0 {
		counts := l.OpCounts(k)
		if n.Open = l.Unnamed(k); !n.Open {
			n.Count = int(counts.Total())
		}
		n.Known = true
		n.Mark, n.State = standing(counts)
		if asks(op, l, l.Instance(k, 0)) {
			n.Mark, n.State = MarkAsk, phaseWord(string(v1alpha1.WorkflowAwaitingApproval))
		}
	}
	return n
}

// countOf is how many instances an operation says to have; 0 where that follows from others.
func countOf(op *v1alpha1.Operation) int {
	switch {
	case op.ServerBatch != nil && op.ServerBatch.Count != nil:
		return int(*op.ServerBatch.Count)
	case op.ServerBatch != nil:
		return len(op.ServerBatch.ForEach)
	case op.TaskServiceBatch != nil:
		return len(op.TaskServiceBatch.Recipes)
	case op.Wait != nil:
		return int(max(op.Wait.Count, 1))
	}
	return 0
}

// asks reports whether an instance waits for an approval now. The ledger knows no phase of its own for that: it is pending, and has begun.
func asks(op *v1alpha1.Operation, l *saga.Ledger, i int) bool {
	return op.Approval != nil && l.Phases[i] == saga.Pending && l.Starts[i] != saga.None
}

// telling is the order in which the phases of an operation's instances are told: what matters most comes first.
var telling = []saga.Phase{
	saga.UndoFailed, saga.Failed, saga.Unknown, saga.Retrying, saga.Undoing, saga.Running, saga.Succeeded,
	saga.Undone, saga.Irreversible, saga.Cancelled, saga.Omitted, saga.Skipped, saga.Pending,
}

// standing tells how an operation stands by its instances.
func standing(counts *saga.Counts) (Mark, string) {
	best, text, total := MarkOff, "", counts.Total()
	for _, phase := range telling {
		n := counts[phase]
		if n == 0 {
			continue
		}
		best = max(best, markOf(phase.String()))
		word := phaseWord(phase.String())
		if total > 1 {
			word = fmt.Sprintf("%d of %d %s", n, total, word)
		}
		if text != "" {
			text += ", "
		}
		text += word
	}
	if best == MarkWait && counts.Settled() > 0 {
		best = MarkBusy // some are done, and the rest has its turn to come
	}
	return best, text
}

// Text draws the graph wave by wave: what waits for nothing comes first.
func (g Graph) Text() []Line {
	width := 0
	for _, n := range g.Nodes {
		width = max(width, len([]rune(n.Name)))
	}
	var lines []Line
	for wave, row := range g.Waves {
		for i, k := range row {
			head := ""
			if i == 0 {
				head = fmt.Sprintf("wave %d", wave+1)
			}
			n := g.Nodes[k]
			line := Line{Dim.Of(Pad(head, 10)), {Pad(n.Name, width) + "  ", Bold}, {Pad(n.kind(), 24), Plain}}
			if n.Known {
				line = append(line, n.Mark.Still(), Plain.Of(" "+n.State))
			}
			if after := g.after(k); after != "" {
				line = append(line, Dim.Of("  after "+after))
			}
			if n.When != "" {
				line = append(line, Dim.Of("  when "+n.When))
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// kind is the operation's type and how often.
func (n Node) kind() string {
	if n.Open {
		return n.Type + " ×?"
	}
	if n.Count > 1 {
		return fmt.Sprintf("%s ×%d", n.Type, n.Count)
	}
	return n.Type
}

// after names what an operation waits for.
func (g Graph) after(to int) (text string) {
	for _, e := range g.Edges {
		if e.To != to {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += g.Nodes[e.From].Name + e.label(" (", ")")
	}
	return text
}

// label says what is special about an edge.
func (e Link) label(open, end string) string {
	switch {
	case e.Soft && e.Same:
		return open + "soft, same key" + end
	case e.Soft:
		return open + "soft" + end
	case e.Same:
		return open + "same key" + end
	}
	return ""
}
