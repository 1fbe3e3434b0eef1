package catalog

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Choice is a recipe that somebody wants, with a version constraint; in Solve's answer the version is exact.
type Choice struct {
	Recipe  string
	Version string
}

// Solve orders the wanted recipes so that each comes after what it requires, and after what it recommends as far as that is
// wanted too; among equals the name decides, so that the order of wanted does not matter. It adds nothing. Errors are Terminal:
// RecipeNotFound (with the nearest names, or what a recipe misses), RecipeConflict (both names), DependencyCycle (printed).
func Solve(c *Catalog, wanted []Choice) ([]Choice, error) {
	s := &solver{chosen: map[string]*Recipe{}, versions: map[string]string{}, providers: map[string][]string{}, before: map[string][]string{}}
	for _, choice := range wanted {
		if err := s.choose(c, choice); err != nil {
			return nil, err
		}
	}
	sort.Strings(s.names)
	for _, name := range s.names {
		for _, offered := range append([]string{name}, s.chosen[name].Provides...) {
			s.providers[offered] = append(s.providers[offered], name)
		}
	}
	if err := s.conflicts(); err != nil {
		return nil, err
	}
	if err := s.require(c); err != nil {
		return nil, err
	}
	s.recommend()
	return s.order(), nil
}

type solver struct {
	names     []string
	chosen    map[string]*Recipe
	versions  map[string]string
	providers map[string][]string // recipe or virtual name → chosen recipes that are it
	before    map[string][]string // recipe → recipes that come first
}

func (s *solver) choose(c *Catalog, choice Choice) error {
	recipe, err := c.Get(choice.Recipe)
	if err != nil {
		return err
	}
	version, err := recipe.Resolve(choice.Version)
	if err != nil {
		return err
	}
	if other, twice := s.versions[recipe.Name]; twice {
		if other != version {
			return fault.New(fault.Terminal, fault.ReasonRecipeConflict, "recipe %s is wanted as %s and as %s", recipe.Name, min(other, version), max(other, version))
		}
		return nil
	}
	s.names = append(s.names, recipe.Name)
	s.chosen[recipe.Name], s.versions[recipe.Name] = recipe, version
	return nil
}

// conflicts lists every pair that excludes each other. A recipe that conflicts with a virtual name it provides itself excludes
// the others that provide it.
func (s *solver) conflicts() error {
	var found []string
	for _, name := range s.names {
		for _, excluded := range s.chosen[name].Conflicts {
			for _, other := range s.providers[excluded] {
				if other == name {
					continue
				}
				text := name + " excludes " + other
				if other != excluded {
					text += " (as " + excluded + ")"
				}
				found = append(found, text)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fault.New(fault.Terminal, fault.ReasonRecipeConflict, "%s; leave one out", strings.Join(found, "; "))
}

// require adds the edges of spec.requires, lists what is missing, and refuses cycles.
func (s *solver) require(c *Catalog) error {
	var missing []string
	for _, name := range s.names {
		for _, needed := range s.chosen[name].Requires {
			if len(s.providers[needed]) == 0 {
				missing = append(missing, fmt.Sprintf("%s requires %s%s", name, needed, c.offers(needed)))
			}
			for _, provider := range s.providers[needed] {
				if provider != name {
					s.before[name] = append(s.before[name], provider)
				}
			}
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.Terminal, fault.ReasonRecipeNotFound, "%s; add what is missing", strings.Join(missing, "; "))
	}
	for _, name := range s.names {
		if way := s.way(name, name); way != nil {
			return fault.New(fault.Terminal, fault.ReasonCycle, "recipes require each other: %s", strings.Join(way, " → "))
		}
	}
	return nil
}

// offers says which recipes of the catalog would meet a requirement.
func (c *Catalog) offers(needed string) string {
	var names []string
	for _, name := range c.names {
		if name != needed && slices.Contains(c.recipes[name].Provides, needed) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, " or ") + ")"
}

// recommend adds the edges of spec.recommends, except those that would close a cycle: a wish never makes a set impossible.
func (s *solver) recommend() {
	for _, name := range s.names {
		for _, wish := range s.chosen[name].Recommends {
			for _, provider := range s.providers[wish] {
				if provider != name && s.way(provider, name) == nil {
					s.before[name] = append(s.before[name], provider)
				}
			}
		}
	}
}

// way returns a path of at least one edge from one recipe to another along "comes after", or nil.
func (s *solver) way(from, to string) []string {
	seen := map[string]bool{}
	var walk func(at string, path []string) []string
	walk = func(at string, path []string) []string {
		for _, next := range s.before[at] {
			if next == to {
				return append(path, to)
			}
			if !seen[next] {
				seen[next] = true
				if way := walk(next, append(slices.Clone(path), next)); way != nil {
					return way
				}
			}
		}
		return nil
	}
	return walk(from, []string{from})
}

// order takes, once for each name, the first recipe by name whose predecessors are all taken. There is one: cycles were refused.
func (s *solver) order() []Choice {
	taken := map[string]bool{}
	var ordered []Choice
	for range s.names {
		for _, name := range s.names {
			if !taken[name] && !slices.ContainsFunc(s.before[name], func(b string) bool { return !taken[b] }) {
				taken[name] = true
				ordered = append(ordered, Choice{Recipe: name, Version: s.versions[name]})
				break
			}
		}
	}
	return ordered
}
