package dag

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"
	"pgregory.net/rapid"
)

// drawGraph draws edges between up to 14 operations: from anywhere to anywhere, or forwards only.
func drawGraph(t *rapid.T) (names []string, edges []Edge) {
	n := rapid.IntRange(1, 14).Draw(t, "operations")
	for i := range n {
		names = append(names, fmt.Sprintf("op-%d", i))
	}
	forward := rapid.Bool().Draw(t, "forward only")
	noPairs := rapid.Bool().Draw(t, "no rings of two") // or almost every ring would be one
	shuffled := rapid.Permutation(indices(n)).Draw(t, "declared as")
	for range rapid.IntRange(0, 2*n).Draw(t, "edges") {
		from, to := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
		if forward && from > to {
			from, to = to, from
		}
		back := func(e Edge) bool { return e.From == shuffled[to] && e.To == shuffled[from] }
		if from != to && !(noPairs && slices.ContainsFunc(edges, back)) {
			edges = append(edges, Edge{From: shuffled[from], To: shuffled[to], Soft: rapid.Bool().Draw(t, "soft")})
		}
	}
	return names, edges
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// oracle is the same graph in gonum.
func oracle(names []string, edges []Edge) *simple.DirectedGraph {
	g := simple.NewDirectedGraph()
	for i := range names {
		g.AddNode(simple.Node(i))
	}
	for _, e := range edges {
		g.SetEdge(simple.Edge{F: simple.Node(e.From), T: simple.Node(e.To)})
	}
	return g
}

func TestAgainstOracle(t *testing.T) {
	cyclic, acyclic := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		names, edges := drawGraph(t)
		g, err := Build(names, edges)
		_, sortErr := topo.Sort(oracle(names, edges))
		if (err == nil) != (sortErr == nil) {
			t.Fatalf("we say %v, gonum says %v", err, sortErr)
		}
		if err != nil {
			cyclic++
			checkCycle(t, names, edges, err)
			return
		}
		acyclic++
		checkOrder(t, edges, g)
		checkPaths(t, edges, g)
	})
	if cyclic == 0 || acyclic == 0 {
		t.Errorf("%d cyclic and %d acyclic graphs: one side was never tried", cyclic, acyclic)
	}
}

// checkCycle: what is named is a cycle, and none is shorter.
func checkCycle(t *rapid.T, names []string, edges []Edge, err error) {
	cycle, ok := errors.AsType[*CycleError](err)
	if !ok {
		t.Fatalf("refused with %v", err)
	}
	for i := range cycle.Path {
		from, to := slices.Index(names, cycle.Path[i]), slices.Index(names, cycle.Path[(i+1)%len(cycle.Path)])
		if !slices.ContainsFunc(edges, func(e Edge) bool { return e.From == to && e.To == from }) {
			t.Fatalf("%v: %s does not depend on %s", err, names[from], names[to])
		}
	}
	if slices.Index(names, cycle.Path[0]) != slices.IndexFunc(names, func(n string) bool { return slices.Contains(cycle.Path, n) }) {
		t.Fatalf("%v does not begin with what was declared first", err)
	}
	if got, want := len(cycle.Path), girth(len(names), edges); got != want {
		t.Fatalf("%v has length %d, and there is one of %d", err, got, want)
	}
}

// girth is the length of the shortest cycle, by shortest paths between all pairs.
func girth(n int, edges []Edge) int {
	const far = 1 << 20
	d := make([][]int, n)
	for i := range d {
		d[i] = slices.Repeat([]int{far}, n)
	}
	for _, e := range edges {
		d[e.From][e.To] = 1
	}
	for k := range n {
		for i := range n {
			for j := range n {
				d[i][j] = min(d[i][j], d[i][k]+d[k][j])
			}
		}
	}
	best := far
	for i := range n {
		best = min(best, d[i][i])
	}
	return best
}

// checkOrder: Order and Urgent hold every operation once, after what it depends on; waves are as early as can be.
func checkOrder(t *rapid.T, edges []Edge, g *Graph) {
	for name, order := range map[string][]int32{"Order": g.Order(), "Urgent": g.Urgent()} {
		place := slices.Repeat([]int{-1}, g.N())
		for at, i := range order {
			place[i] = at
		}
		if len(order) != g.N() || slices.Contains(place, -1) {
			t.Fatalf("%s %v does not hold every operation once", name, order)
		}
		for _, e := range edges {
			if place[e.From] > place[e.To] {
				t.Fatalf("%s %v starts %d before %d", name, order, e.To, e.From)
			}
		}
	}
	wave := make([]int, g.N())
	for w := range g.Waves() {
		if !slices.IsSorted(g.Wave(w)) || len(g.Wave(w)) == 0 {
			t.Fatalf("wave %d is %v", w, g.Wave(w))
		}
		for _, i := range g.Wave(w) {
			wave[i] = w
		}
	}
	for i := range g.N() {
		want := 0
		for _, p := range g.Preds(i) {
			want = max(want, wave[p.Op]+1)
		}
		if wave[i] != want {
			t.Fatalf("operation %d is in wave %d, want %d", i, wave[i], want)
		}
	}
}

// checkPaths compares longest paths and dependents with a plain walk over every path, and the arcs with the edges.
func checkPaths(t *rapid.T, edges []Edge, g *Graph) {
	var longest func(i int, seen []bool) int32
	longest = func(i int, seen []bool) (n int32) {
		seen[i] = true
		for _, e := range edges {
			if e.From == i {
				n = max(n, 1+longest(e.To, seen))
			}
		}
		return n
	}
	for i := range g.N() {
		seen := make([]bool, g.N())
		if got, want := g.LongestPath()[i], longest(i, seen); got != want {
			t.Fatalf("the longest path from %d is %d, want %d", i, got, want)
		}
		seen[i] = false
		var dependents []int32
		for _, k := range g.Order() {
			if seen[k] {
				dependents = append(dependents, k)
			}
		}
		if !slices.Equal(dependents, g.Dependents(i)) {
			t.Fatalf("dependents of %d are %v, want %v", i, g.Dependents(i), dependents)
		}
		for _, s := range g.Succs(i) {
			soft := !slices.ContainsFunc(edges, func(e Edge) bool { return e.From == i && e.To == int(s.Op) && !e.Soft })
			if s.Soft != soft || !slices.Contains(g.Preds(int(s.Op)), Arc{Op: int32(i), Soft: soft}) {
				t.Fatalf("the edge %d → %d is soft: %t, and on the other side it is not the same", i, s.Op, s.Soft)
			}
		}
	}
	urgent := g.Urgent()
	if !slices.IsSortedFunc(urgent, func(a, b int32) int {
		return int(g.LongestPath()[b]-g.LongestPath()[a])*100 + int(a-b)
	}) {
		t.Fatalf("Urgent %v is not in order of longest path, then declaration", urgent)
	}
}

// BenchmarkBuild builds the largest workflow: 5,000 operations with 16 dependencies each.
func BenchmarkBuild(b *testing.B) {
	const n = 5_000
	names := make([]string, n)
	var edges []Edge
	for i := range n {
		names[i] = fmt.Sprintf("op-%d", i)
		for d := range min(16, i) {
			edges = append(edges, Edge{From: i - 1 - d*(i-1)/16, To: i})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(names, edges); err != nil {
			b.Fatal(err)
		}
	}
}
