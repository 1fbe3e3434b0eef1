package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
)

// catalogOf makes a catalog of recipes that only have relations: "a > b ~c !d =e" requires b, recommends c, excludes d, provides e.
func catalogOf(lines ...string) *Catalog {
	c := &Catalog{recipes: map[string]*Recipe{}}
	for _, line := range lines {
		words := strings.Fields(line)
		r := &Recipe{Name: words[0], Spec: Spec{Versions: Versions{Default: "1.0.0", Supported: ">=1 <3", Known: []string{"2.0.0"}}}}
		for _, word := range words[1:] {
			name := word[1:]
			switch word[0] {
			case '>':
				r.Requires = append(r.Requires, name)
			case '~':
				r.Recommends = append(r.Recommends, name)
			case '!':
				r.Conflicts = append(r.Conflicts, name)
			case '=':
				r.Provides = append(r.Provides, name)
			}
		}
		c.recipes[r.Name] = r
		c.names = append(c.names, r.Name)
	}
	slices.Sort(c.names)
	return c
}

func TestSolve(t *testing.T) {
	tests := map[string]struct {
		reason  string
		catalog []string
		wanted  string
		want    string
		err     fault.Reason
		message []string
	}{
		"nothing":             {reason: "an empty wish", wanted: "", want: ""},
		"alone":               {reason: "by name among equals", catalog: []string{"b", "a"}, wanted: "b a", want: "a b"},
		"chain":               {reason: "what is required comes first", catalog: []string{"a >b", "b >c", "c"}, wanted: "a b c", want: "c b a"},
		"recommended present": {reason: "first when wanted", catalog: []string{"a ~b", "b"}, wanted: "a b", want: "b a"},
		"recommended absent":  {reason: "only a wish", catalog: []string{"a ~b", "b"}, wanted: "a", want: "a"},
		"recommended unknown": {reason: "only a wish", catalog: []string{"a ~zzz"}, wanted: "a", want: "a"},
		"wish against need":   {reason: "a wish never closes a cycle", catalog: []string{"a >b", "b ~a"}, wanted: "a b", want: "b a"},
		"two wishes":          {reason: "the first by name counts", catalog: []string{"a ~b", "b ~a"}, wanted: "a b", want: "b a"},
		"virtual":             {reason: "a virtual name is met by who provides it", catalog: []string{"a >runtime", "z =runtime"}, wanted: "a z", want: "z a"},
		"own virtual":         {reason: "nobody waits for itself", catalog: []string{"a >x =x"}, wanted: "a", want: "a"},
		"twice":               {reason: "the same wish", catalog: []string{"a"}, wanted: "a a", want: "a"},
		"version":             {reason: "resolved on the way", catalog: []string{"a"}, wanted: "a@2", want: "a@2.0.0"},
		"two versions":        {reason: "one machine has one", catalog: []string{"a"}, wanted: "a@2 a@1", err: fault.ReasonRecipeConflict, message: []string{"1.0.0", "2.0.0"}},
		"no such version":     {reason: "as Resolve", catalog: []string{"a"}, wanted: "a@7", err: fault.ReasonRecipeNotFound, message: []string{"supported"}},
		"unknown":             {reason: "with the nearest", catalog: []string{"containerd"}, wanted: "contianerd", err: fault.ReasonRecipeNotFound, message: []string{"did you mean containerd?"}},
		"missing": {reason: "who needs what, all at once", catalog: []string{"a >b >runtime", "b", "c >b", "crio =runtime", "podman =runtime"}, wanted: "c a", err: fault.ReasonRecipeNotFound,
			message: []string{"a requires b;", "a requires runtime (crio or podman);", "c requires b;"}},
		"conflict":           {reason: "both named", catalog: []string{"a !b", "b"}, wanted: "b a", err: fault.ReasonRecipeConflict, message: []string{"a excludes b"}},
		"conflict absent":    {reason: "nobody is there to exclude", catalog: []string{"a !b", "b"}, wanted: "a", want: "a"},
		"one runtime only":   {reason: "excluding a virtual name that one provides leaves oneself", catalog: []string{"a =runtime !runtime", "b =runtime !runtime"}, wanted: "a b", err: fault.ReasonRecipeConflict, message: []string{"a excludes b (as runtime)"}},
		"one runtime, alone": {reason: "as above", catalog: []string{"a =runtime !runtime"}, wanted: "a", want: "a"},
		"cycle":              {reason: "printed", catalog: []string{"a >b", "b >c", "c >a"}, wanted: "c b a", err: fault.ReasonCycle, message: []string{"a → b → c → a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			got, err := Solve(catalogOf(tt.catalog...), choices(tt.wanted))
			if tt.err == "" {
				if diff := cmp.Diff(strings.Fields(tt.want), names(got, strings.Contains(tt.want, "@"))); err != nil || diff != "" {
					t.Fatalf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != tt.err {
				t.Fatalf("got %v, %v", got, err)
			}
			for _, want := range tt.message {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q: %v", want, err)
				}
			}
		})
	}
}

func choices(text string) []Choice {
	var all []Choice
	for _, word := range strings.Fields(text) {
		name, version, _ := strings.Cut(word, "@")
		all = append(all, Choice{Recipe: name, Version: version})
	}
	return all
}

func names(all []Choice, versions bool) []string {
	out := []string{}
	for _, c := range all {
		if versions {
			out = append(out, c.Recipe+"@"+c.Version)
		} else {
			out = append(out, c.Recipe)
		}
	}
	return out
}

// On random catalogs: an answer holds exactly what was wanted, keeps every requirement, has no conflict, and does not depend on
// the order of the question; a refusal for a cycle prints one that is there.
func TestSolveProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "recipes")
		var lines, all []string
		for i := range n {
			line := fmt.Sprintf("r%d", i)
			all = append(all, line)
			for _, relation := range rapid.SliceOfN(rapid.StringMatching(fmt.Sprintf("[>>~~~!=][rv][0-%d]", n-1)), 0, 3).Draw(t, line) {
				if relation[0] == '=' {
					relation = "=v" + relation[2:] // only virtual names are provided
				}
				if relation[1:] != line {
					line += " " + relation
				}
			}
			lines = append(lines, line)
		}
		c := catalogOf(lines...)
		wanted := rapid.Permutation(all).Draw(t, "wanted")[:rapid.IntRange(0, n).Draw(t, "some")]
		got, err := Solve(c, choices(strings.Join(wanted, " ")))
		other, err2 := Solve(c, choices(strings.Join(rapid.Permutation(wanted).Draw(t, "again"), " ")))
		if diff := cmp.Diff(got, other); diff != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("the order of the question matters: %v, %v\n%s", err, err2, diff)
		}
		if err != nil {
			if fault.ReasonOf(err) == fault.ReasonCycle {
				_, text, _ := strings.Cut(err.Error(), ": ")
				wantCycle(t, c, strings.Split(text, " → "))
			}
			return
		}
		order := names(got, false)
		if diff := cmp.Diff(sorted(wanted), sorted(order)); diff != "" {
			t.Fatalf("other recipes than wanted:\n%s", diff)
		}
		for i, name := range order {
			for _, need := range c.recipes[name].Requires {
				met := false
				for j, provider := range order {
					if is(c, provider, need) {
						met = true
						if provider != name && j > i {
							t.Fatalf("%s comes before %s, which it requires as %s: %v", name, provider, need, order)
						}
					}
				}
				if !met {
					t.Fatalf("%s misses %s: %v", name, need, order)
				}
			}
			for _, other := range order {
				for _, excluded := range c.recipes[name].Conflicts {
					if other != name && is(c, other, excluded) {
						t.Fatalf("%s excludes %s: %v", name, other, order)
					}
				}
			}
		}
	})
}

func is(c *Catalog, recipe, name string) bool {
	return recipe == name || slices.Contains(c.recipes[recipe].Provides, name)
}

func sorted(names []string) []string {
	out := append([]string{}, names...)
	slices.Sort(out)
	return out
}

func wantCycle(t *rapid.T, c *Catalog, cycle []string) {
	if len(cycle) < 3 || cycle[0] != cycle[len(cycle)-1] {
		t.Fatalf("no cycle: %v", cycle)
	}
	for i, name := range cycle[:len(cycle)-1] {
		if !slices.ContainsFunc(c.recipes[name].Requires, func(need string) bool { return is(c, cycle[i+1], need) }) {
			t.Fatalf("%s does not require %s: %v", name, cycle[i+1], cycle)
		}
	}
}
