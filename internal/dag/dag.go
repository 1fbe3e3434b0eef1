// Package dag knows the graph over a workflow's operations: who comes before whom, what is circular, and what is most urgent.
// It must not know instances, phases or what an operation does: it is given names and edges, and imports the standard library only.
package dag

// Edge says that From must be finished before To starts. Both are indices into the names given to Build.
type Edge struct {
	From, To int
	// Soft: To may start however From ended. Otherwise the edge is hard: From must have succeeded.
	Soft bool
	// Same: the edge joins the parts of both ends one by one, so that To may start part by part. What the parts are is not
	// known here: Ready leaves these edges to whoever knows.
	Same bool
}

// Arc is one end of an edge as seen from the other: the neighbour, and what the edge is like.
type Arc struct {
	Op         int32
	Soft, Same bool
}

// Graph is an acyclic graph over the operations 0..N()-1. It never changes once built, so it may be shared. Every slice that
// a method returns is the graph's own: read it, do not write it.
type Graph struct {
	// Arcs of operation i are preds[predAt[i]:predAt[i+1]], ascending by Op; the same for succs. No maps, no slice per operation.
	preds, succs   []Arc
	predAt, succAt []int32
	order          []int32 // by wave, then declaration
	waveAt         []int32 // wave w is order[waveAt[w]:waveAt[w+1]]
	longest        []int32
	urgent         []int32
}

// Build makes the graph of len(names) operations. Two edges between the same operations count as one: hard if either
// is, and part by part only if both are.
// It refuses duplicate names (*DuplicateError), edges whose ends do not exist (*UnknownError), edges from an operation to
// itself (*SelfError) and cycles (*CycleError): in this order, and the first that is found in order of declaration.
func Build(names []string, edges []Edge) (*Graph, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	if err := checkEdges(names, edges); err != nil {
		return nil, err
	}
	g := &Graph{}
	g.predAt, g.preds = rows(len(names), edges, func(e Edge) (int, int) { return e.To, e.From })
	g.succAt, g.succs = rows(len(names), edges, func(e Edge) (int, int) { return e.From, e.To })
	if left := g.sort(); left != nil {
		return nil, &CycleError{Path: g.shortestCycle(names, left)}
	}
	g.measure()
	return g, nil
}

// N returns the number of operations.
func (g *Graph) N() int { return len(g.predAt) - 1 }

// Preds returns what must be finished before op starts, ascending.
func (g *Graph) Preds(op int) []Arc { return g.preds[g.predAt[op]:g.predAt[op+1]] }

// Succs returns what waits for op, ascending.
func (g *Graph) Succs(op int) []Arc { return g.succs[g.succAt[op]:g.succAt[op+1]] }

// Order returns all operations so that each comes after its predecessors: wave by wave, in order of declaration within a wave.
func (g *Graph) Order() []int32 { return g.order }

// Waves returns how many waves there are: wave 0 waits for nothing, and each operation is one wave after its latest predecessor.
func (g *Graph) Waves() int { return len(g.waveAt) - 1 }

// Wave returns the operations of wave w in order of declaration.
func (g *Graph) Wave(w int) []int32 { return g.order[g.waveAt[w]:g.waveAt[w+1]] }

// LongestPath returns, for each operation, the number of edges on the longest path that starts there: 0 where nothing waits.
func (g *Graph) LongestPath() []int32 { return g.longest }

// Urgent returns all operations in the order in which ready ones are to start: longest path first, then declaration.
// It is a topological order too, because whoever waits has a shorter path than what it waits for.
func (g *Graph) Urgent() []int32 { return g.urgent }

// Dependents returns every operation that waits for op, directly or not, in the order of Order.
func (g *Graph) Dependents(op int) []int32 {
	marked := make([]bool, g.N())
	marked[op] = true
	var out []int32
	for _, i := range g.order {
		for _, p := range g.Preds(int(i)) {
			if marked[p.Op] {
				marked[i] = true
				out = append(out, i)
				break
			}
		}
	}
	return out
}
