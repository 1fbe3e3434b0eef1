package dag

// Outcome is what an edge needs to know of the operation at its start.
type Outcome uint8

const (
	// Open: not all of it is finished.
	Open Outcome = iota
	// Passed: finished, and good enough for a hard edge.
	Passed
	// Missed: finished, and not good enough for a hard edge.
	Missed
)

// Verdict says what an operation may do now.
type Verdict uint8

const (
	// Wait: something before it is still open.
	Wait Verdict = iota
	// Start: everything before it allows it.
	Start
	// Omit: a hard predecessor missed, so it can never start. It is said at once, even while others are open.
	Omit
)

// Ready decides about op from the outcomes of its predecessors; outcomes has one entry for each operation. Edges that join part
// by part are left out.
func (g *Graph) Ready(op int, outcomes []Outcome) Verdict {
	verdict := Start
	for _, p := range g.Preds(op) {
		switch {
		case p.Same:
		case outcomes[p.Op] == Missed && !p.Soft:
			return Omit
		case outcomes[p.Op] == Open:
			verdict = Wait
		}
	}
	return verdict
}
