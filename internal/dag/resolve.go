package dag

import "strconv"

// Need is a dependency as people write it: by name.
type Need struct {
	Name       string
	Soft, Same bool
	Optional   bool // there is no edge when nothing has the name
}

// Resolve turns named dependencies into edges: needs(i) lists what operation i depends on. It refuses duplicate names
// (*DuplicateError), dependencies on names that do not exist (*UnknownError), unless they are optional, and on oneself
// (*SelfError); the first in order of declaration.
func Resolve(names []string, needs func(op int) []Need) ([]Edge, error) {
	if err := checkNames(names); err != nil {
		return nil, err
	}
	index := make(map[string]int, len(names))
	for i, name := range names {
		index[name] = i
	}
	var edges []Edge
	for to, name := range names {
		for _, need := range needs(to) {
			from, ok := index[need.Name]
			switch {
			case !ok && need.Optional:
				continue
			case !ok:
				return nil, &UnknownError{Operation: name, Name: need.Name}
			case from == to:
				return nil, &SelfError{Name: name}
			}
			edges = append(edges, Edge{From: from, To: to, Soft: need.Soft, Same: need.Same})
		}
	}
	return edges, nil
}

func checkNames(names []string) error {
	seen := make(map[string]struct{}, len(names))
	for _, name := range names {
		if _, ok := seen[name]; ok {
			return &DuplicateError{Name: name}
		}
		seen[name] = struct{}{}
	}
	return nil
}

func checkEdges(names []string, edges []Edge) error {
	label := func(i int) (string, bool) {
		if i < 0 || i >= len(names) {
			return "#" + strconv.Itoa(i), false
		}
		return names[i], true
	}
	for _, e := range edges {
		from, fromOK := label(e.From)
		to, toOK := label(e.To)
		switch {
		case !fromOK || !toOK:
			return &UnknownError{Operation: to, Name: from}
		case e.From == e.To:
			return &SelfError{Name: to}
		}
	}
	return nil
}
