package dag

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusals(t *testing.T) {
	abc := []string{"a", "b", "c"}
	cases := map[string]struct {
		reason string
		names  []string
		edges  []Edge
		want   error
	}{
		"duplicate":        {"a name must mean one operation", []string{"a", "b", "b", "a"}, nil, &DuplicateError{Name: "b"}},
		"self":             {"nothing can come before itself", abc, []Edge{{From: 1, To: 1}}, &SelfError{Name: "b"}},
		"from nowhere":     {"the edge begins outside", abc, []Edge{{From: 3, To: 1}}, &UnknownError{Operation: "b", Name: "#3"}},
		"to nowhere":       {"the edge ends outside", abc, []Edge{{From: 0, To: -1}}, &UnknownError{Operation: "#-1", Name: "a"}},
		"two":              {"each depends on the other", abc, []Edge{{From: 1, To: 2}, {From: 2, To: 1}}, &CycleError{Path: []string{"b", "c"}}},
		"three":            {"a depends on c, c on b, b on a", abc, []Edge{{From: 0, To: 1}, {From: 1, To: 2}, {From: 2, To: 0}}, &CycleError{Path: []string{"a", "c", "b"}}},
		"soft edges count": {"soft edges make waiting circular too", abc, []Edge{{From: 0, To: 1, Soft: true}, {From: 1, To: 0, Soft: true}}, &CycleError{Path: []string{"a", "b"}}},
		"shortest first": {"of a ring of three and one of two, the one of two is easier to understand", []string{"a", "b", "c", "d", "e"},
			[]Edge{{From: 0, To: 1}, {From: 1, To: 2}, {From: 2, To: 0}, {From: 3, To: 4}, {From: 4, To: 3}}, &CycleError{Path: []string{"d", "e"}}},
		"shortest stays": {"a longer ring that is found later does not replace it", strings.Split("abcdefg", ""),
			[]Edge{{From: 2, To: 1}, {From: 1, To: 0}, {From: 0, To: 2}, {From: 6, To: 5}, {From: 5, To: 4}, {From: 4, To: 3}, {From: 3, To: 6}}, &CycleError{Path: []string{"a", "b", "c"}}},
		"not on the ring": {"what only leads to or from the ring is not shown", []string{"before", "x", "y", "after"},
			[]Edge{{From: 0, To: 1}, {From: 1, To: 2}, {From: 2, To: 1}, {From: 2, To: 3}}, &CycleError{Path: []string{"x", "y"}}},
	}
	for name, c := range cases {
		g, err := Build(c.names, c.edges)
		if diff := cmp.Diff(c.want, err); diff != "" || g != nil {
			t.Errorf("%s (%s): %s", name, c.reason, diff)
		}
	}
}

func TestMessages(t *testing.T) {
	ring := make([]string, 40)
	for i := range ring {
		ring[i] = fmt.Sprintf("op-%d", i)
	}
	cases := map[string]struct {
		err  error
		want string
	}{
		"duplicate":  {&DuplicateError{Name: "db"}, `two operations are named "db"`},
		"unknown":    {&UnknownError{Operation: "web", Name: "db"}, `operation "web" depends on "db", which does not exist`},
		"self":       {&SelfError{Name: "db"}, `operation "db" depends on itself`},
		"cycle":      {&CycleError{Path: []string{"a", "b", "c"}}, "operations depend on each other: a → b → c → a"},
		"long cycle": {&CycleError{Path: ring}, "operations depend on each other: " + strings.Join(ring[:11], " → ") + " → … (28 more) → op-39 → op-0"},
	}
	for name, c := range cases {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%s reads\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if len(ring) != 40 || ring[39] != "op-39" {
		t.Error("printing a cycle changed its path")
	}
}

func TestResolve(t *testing.T) {
	names := []string{"a", "b", "c"}
	cases := map[string]struct {
		names []string
		needs [][]Need
		edges []Edge
		err   error
	}{
		"edges":     {names, [][]Need{nil, {{Name: "a"}}, {{Name: "a", Soft: true}, {Name: "b"}}}, []Edge{{From: 0, To: 1}, {From: 0, To: 2, Soft: true}, {From: 1, To: 2}}, nil},
		"forward":   {names, [][]Need{{{Name: "c"}}, nil, nil}, []Edge{{From: 2, To: 0}}, nil},
		"unknown":   {names, [][]Need{nil, {{Name: "d"}}, {{Name: "e"}}}, nil, &UnknownError{Operation: "b", Name: "d"}},
		"optional":  {names, [][]Need{nil, {{Name: "d", Optional: true}, {Name: "a", Soft: true, Optional: true}}, nil}, []Edge{{From: 0, To: 1, Soft: true}}, nil},
		"same":      {names, [][]Need{nil, {{Name: "a", Same: true}}, nil}, []Edge{{From: 0, To: 1, Same: true}}, nil},
		"self":      {names, [][]Need{nil, nil, {{Name: "c"}}}, nil, &SelfError{Name: "c"}},
		"duplicate": {[]string{"a", "b", "a"}, [][]Need{nil, {{Name: "d"}}, nil}, nil, &DuplicateError{Name: "a"}},
	}
	for name, c := range cases {
		edges, err := Resolve(c.names, func(op int) []Need { return c.needs[op] })
		if diff := cmp.Diff(c.edges, edges) + cmp.Diff(c.err, err); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestShape looks at one graph from every side: a diamond 0 → 1,2 → 3 with a tail 3 → 4, and 5 alone.
func TestShape(t *testing.T) {
	g, err := Build(strings.Split("abcdef", ""), []Edge{{From: 3, To: 4}, {From: 2, To: 3, Soft: true}, {From: 1, To: 3}, {From: 0, To: 1}, {From: 0, To: 2},
		{From: 0, To: 2, Soft: true}, {From: 3, To: 4}})
	if err != nil {
		t.Fatal(err)
	}
	var waves [][]int32
	for w := range g.Waves() {
		waves = append(waves, g.Wave(w))
	}
	checks := map[string][2]any{
		"preds, repeats joined, soft kept": {[]Arc{{Op: 1}, {Op: 2, Soft: true}}, g.Preds(3)},
		"hard wins over soft":              {[]Arc{{Op: 0}}, g.Preds(2)},
		"succs":                            {[]Arc{{Op: 1}, {Op: 2}}, g.Succs(0)},
		"repeats count once":               {[]Arc{{Op: 4}}, g.Succs(3)},
		"waves":                            {[][]int32{{0, 5}, {1, 2}, {3}, {4}}, waves},
		"order":                            {[]int32{0, 5, 1, 2, 3, 4}, g.Order()},
		"longest path":                     {[]int32{3, 2, 2, 1, 0, 0}, g.LongestPath()},
		"urgent":                           {[]int32{0, 1, 2, 3, 4, 5}, g.Urgent()},
		"dependents":                       {[]int32{3, 4}, g.Dependents(1)},
	}
	for name, c := range checks {
		if diff := cmp.Diff(c[0], c[1]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEmpty(t *testing.T) {
	g, err := Build(nil, nil)
	if err != nil || g.N() != 0 || g.Waves() != 0 || len(g.Order()) != 0 || len(g.Urgent()) != 0 {
		t.Errorf("no operations make %+v, %v", g, err)
	}
}

func TestReady(t *testing.T) {
	// 3 needs 0 and 1, and softly 2.
	g, err := Build([]string{"a", "b", "c", "d"}, []Edge{{From: 0, To: 3}, {From: 1, To: 3}, {From: 2, To: 3, Soft: true}})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		a, b, c Outcome
		want    Verdict
	}{
		"all open":                         {Open, Open, Open, Wait},
		"all passed":                       {Passed, Passed, Passed, Start},
		"a soft one open":                  {Passed, Passed, Open, Wait},
		"a soft one missed":                {Passed, Passed, Missed, Start},
		"a hard one missed":                {Missed, Passed, Passed, Omit},
		"a hard one missed, another open":  {Missed, Open, Open, Omit},
		"a hard one missed behind an open": {Open, Missed, Open, Omit},
		"soft missed, hard open":           {Open, Passed, Missed, Wait},
	}
	for name, c := range cases {
		if got := g.Ready(3, []Outcome{c.a, c.b, c.c, Open}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	pipeline, err := Build([]string{"a", "b", "c"}, []Edge{{From: 0, To: 2, Same: true}, {From: 1, To: 2, Same: true}, {From: 1, To: 2, Soft: true}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Arc{{Op: 0, Same: true}, {Op: 1}}, pipeline.Preds(2)); diff != "" {
		t.Errorf("both edges must be satisfied: %s", diff)
	}
	if got := pipeline.Ready(2, []Outcome{Missed, Passed, Open}); got != Start {
		t.Errorf("edges that join part by part are left out: %d", got)
	}
	if got := g.Ready(0, make([]Outcome, 4)); got != Start {
		t.Errorf("what needs nothing may not start: %d", got)
	}
}

// TestLargestCycle: the whole of the largest workflow is one ring, one dense knot, or hangs on a small ring; each is answered within the budget.
func TestLargestCycle(t *testing.T) {
	const n = 5_000
	names := make([]string, n)
	var ring, knot []Edge
	for i := range n {
		names[i] = fmt.Sprintf("op-%d", i)
		ring = append(ring, Edge{From: i, To: (i + 1) % n})
		for d := range 16 {
			knot = append(knot, Edge{From: i, To: (i + 1 + d*d*7) % n})
		}
	}
	// A ring of two is declared last, and everything else waits for it without being part of it: looking for a way back from
	// any of that uses up the budget.
	swamp := []Edge{{From: n - 2, To: n - 1}, {From: n - 1, To: n - 2}}
	for i := range n - 2 {
		for d := 1; d <= 16 && i+d < n; d++ {
			swamp = append(swamp, Edge{From: i + d, To: i})
		}
	}
	for name, edges := range map[string][]Edge{"ring": ring, "knot": knot, "swamp": swamp} {
		_, err := Build(names, edges)
		cycle, ok := errors.AsType[*CycleError](err)
		if !ok {
			t.Fatalf("%s: %v", name, err)
		}
		if len(err.Error()) > 400 {
			t.Errorf("%s: the message is %d bytes long", name, len(err.Error()))
		}
		for i, from := range cycle.Path {
			to := cycle.Path[(i+1)%len(cycle.Path)]
			if !slices.ContainsFunc(edges, func(e Edge) bool { return names[e.To] == from && names[e.From] == to }) {
				t.Fatalf("%s: %s does not depend on %s", name, from, to)
			}
		}
	}
}
