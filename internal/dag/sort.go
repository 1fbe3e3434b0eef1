package dag

import (
	"cmp"
	"slices"
)

// rows packs edges into one array, row by row: the arcs of row r are arcs[at[r]:at[r+1]], ascending and without repeats.
func rows(n int, edges []Edge, ends func(Edge) (row, other int)) (at []int32, arcs []Arc) {
	at = make([]int32, n+1)
	for _, e := range edges {
		row, _ := ends(e)
		at[row+1]++
	}
	for i := range n {
		at[i+1] += at[i]
	}
	arcs = make([]Arc, len(edges))
	next := slices.Clone(at)
	for _, e := range edges {
		row, other := ends(e)
		arcs[next[row]] = Arc{Op: int32(other), Soft: e.Soft, Same: e.Same}
		next[row]++
	}
	return squeeze(at, arcs)
}

// squeeze sorts each row and joins repeats: hard wins over soft and whole over part by part, because both must be satisfied.
func squeeze(at []int32, arcs []Arc) ([]int32, []Arc) {
	kept := int32(0)
	for r := range len(at) - 1 {
		row := arcs[at[r]:at[r+1]]
		slices.SortFunc(row, func(a, b Arc) int { return cmp.Compare(a.Op, b.Op) })
		at[r] = kept
		for _, arc := range row {
			if last := kept - 1; last >= at[r] && arcs[last].Op == arc.Op {
				arcs[last].Soft, arcs[last].Same = arcs[last].Soft && arc.Soft, arcs[last].Same && arc.Same
				continue
			}
			arcs[kept] = arc
			kept++
		}
	}
	at[len(at)-1] = kept
	return at, arcs[:kept]
}

// sort fills order and waveAt. When there is a cycle it returns, for each operation, whether it could not be placed.
func (g *Graph) sort() (left []bool) {
	n := g.N()
	open := make([]int32, n) // predecessors not placed yet
	wave := make([]int32, 0, n)
	for i := range n {
		if open[i] = int32(len(g.Preds(i))); open[i] == 0 {
			wave = append(wave, int32(i))
		}
	}
	g.waveAt = []int32{0}
	g.order = wave
	for start := 0; start < len(g.order); {
		end := len(g.order)
		slices.Sort(g.order[start:end])
		for _, i := range g.order[start:end] {
			for _, s := range g.Succs(int(i)) {
				if open[s.Op]--; open[s.Op] == 0 {
					g.order = append(g.order, s.Op)
				}
			}
		}
		g.waveAt = append(g.waveAt, int32(end))
		start = end
	}
	if len(g.order) == n {
		return nil
	}
	left = make([]bool, n)
	for i := range left {
		left[i] = open[i] > 0
	}
	return left
}

// measure fills longest and urgent; the graph is sorted.
func (g *Graph) measure() {
	g.longest = make([]int32, g.N())
	for _, i := range slices.Backward(g.order) {
		for _, s := range g.Succs(int(i)) {
			g.longest[i] = max(g.longest[i], g.longest[s.Op]+1)
		}
	}
	g.urgent = make([]int32, g.N())
	for i := range g.urgent {
		g.urgent[i] = int32(i)
	}
	slices.SortStableFunc(g.urgent, func(a, b int32) int { return cmp.Compare(g.longest[b], g.longest[a]) })
}
