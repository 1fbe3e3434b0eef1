package dag

import "slices"

// budget bounds the search for a shorter cycle, in arcs looked at. It covers every start of a graph of 1,000 operations with
// 4 dependencies each; in a larger one the cycle shown may not be the shortest, but it is always a cycle.
const budget = 4_000_000

// shortestCycle names the shortest cycle among the operations that are left; there is at least one.
func (g *Graph) shortestCycle(names []string, left []bool) []string {
	s := search{g: g, left: left, dist: make([]int32, g.N()), from: make([]int32, g.N()), limit: int32(g.N())}
	s.run(g.onCycle(left)) // this one closes for certain, so there is an answer whatever the budget
	for i := range left {
		if left[i] && s.looked < budget && len(s.best) != 2 {
			s.run(int32(i))
		}
	}
	lowest := slices.Index(s.best, slices.Min(s.best))
	path := make([]string, 0, len(s.best))
	for i := range s.best {
		path = append(path, names[s.best[(lowest+i)%len(s.best)]])
	}
	return path
}

// onCycle finds an operation that is on a cycle: whatever is left has a predecessor that is left too, so walking back N steps
// ends on one.
func (g *Graph) onCycle(left []bool) int32 {
	at := int32(slices.Index(left, true))
	for range g.N() {
		for _, p := range g.Preds(int(at)) {
			if left[p.Op] {
				at = p.Op
				break
			}
		}
	}
	return at
}

// search walks breadth first along dependencies and keeps the shortest way back to its start.
type search struct {
	g      *Graph
	left   []bool
	dist   []int32 // distance from the start plus one; 0 = not seen
	from   []int32
	queue  []int32
	limit  int32 // longest cycle that is still worth finding
	looked int
	best   []int32
}

func (s *search) run(start int32) {
	clear(s.dist)
	s.queue = append(s.queue[:0], start)
	s.dist[start] = 1
	for head := 0; head < len(s.queue); head++ {
		at := s.queue[head]
		if s.dist[at] > s.limit {
			return
		}
		for _, p := range s.g.Preds(int(at)) {
			s.looked++
			if p.Op == start {
				s.keep(start, at)
				return
			}
			if s.left[p.Op] && s.dist[p.Op] == 0 {
				s.dist[p.Op], s.from[p.Op] = s.dist[at]+1, at
				s.queue = append(s.queue, p.Op)
			}
		}
	}
}

// keep records the cycle start → … → last → start; a later one must be shorter.
func (s *search) keep(start, last int32) {
	s.best = s.best[:0]
	for at := last; at != start; at = s.from[at] {
		s.best = append(s.best, at)
	}
	s.best = append(s.best, start)
	slices.Reverse(s.best)
	s.limit = int32(len(s.best)) - 1
}
