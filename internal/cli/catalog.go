package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbExplain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain recipe NAME",
		Short: "Explain a recipe: versions, needs, parameters with types and defaults",
		Long: `explain recipe tells everything that a TaskService of the recipe can be told: parameters with types, defaults, bounds and
descriptions, versions, what it needs, requires and conflicts with, and the outputs that it offers. It needs no cluster.`,
		Example:           "  keelway explain recipe etcd\n  keelway explain recipe etcd -o json",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeExplain,
	}
	f := formatFlag(c, "text", "json", "yaml")
	c.RunE = func(_ *cobra.Command, args []string) error {
		if args[0] != "recipe" {
			return invalid("explain knows recipes only: keelway explain recipe %s; kubectl explain %s explains kinds", clip(args[1], 40), clip(args[0], 40))
		}
		return s.showRecipe(f, args[1])
	}
	return c
}

func (s *session) verbCatalog() *cobra.Command {
	c := &cobra.Command{
		Use:   "catalog",
		Short: "List, search and resolve the built-in recipes",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(s.catalogList(), s.catalogShow(), s.catalogSearch(), s.catalogResolve())
	return c
}

func (s *session) catalogList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List all recipes", Args: cobra.NoArgs}
	category := c.Flags().String("category", "", "only recipes of this category")
	_ = c.RegisterFlagCompletionFunc("category", completeCategories)
	f := formatFlag(c, "table", "wide", "name", "json", "yaml")
	c.RunE = func(*cobra.Command, []string) error {
		return s.recipes(f, func(r *catalog.Recipe) bool { return *category == "" || r.Category == *category })
	}
	return c
}

func (s *session) catalogShow() *cobra.Command {
	c := &cobra.Command{Use: "show NAME", Short: "Explain a recipe, as explain recipe does", Args: cobra.ExactArgs(1), ValidArgsFunction: completeRecipes}
	f := formatFlag(c, "text", "json", "yaml")
	c.RunE = func(_ *cobra.Command, args []string) error { return s.showRecipe(f, args[0]) }
	return c
}

func (s *session) catalogSearch() *cobra.Command {
	c := &cobra.Command{
		Use: "search WORD...", Short: "Search names, categories, descriptions and what recipes provide", Args: cobra.MinimumNArgs(1),
		Example: "  keelway catalog search key-value",
	}
	f := formatFlag(c, "table", "wide", "name", "json", "yaml")
	c.RunE = func(_ *cobra.Command, args []string) error {
		return s.recipes(f, func(r *catalog.Recipe) bool {
			text := strings.ToLower(strings.Join(append([]string{r.Name, r.Category, r.Description}, r.Provides...), " "))
			return !slices.ContainsFunc(args, func(word string) bool { return !strings.Contains(text, strings.ToLower(word)) })
		})
	}
	return c
}

// recipes lists those that are wanted.
func (s *session) recipes(f *format, want func(*catalog.Recipe) bool) error {
	all, err := catalog.Builtin()
	if err != nil {
		return err
	}
	var found []*catalog.Recipe
	for _, name := range all.Names() {
		r, err := all.Get(name)
		if err != nil {
			return err
		}
		if want(r) {
			found = append(found, r)
		}
	}
	if done, err := s.data(f, view.RecipesData(found)); done {
		return err
	}
	names := make([]string, len(found))
	for i, r := range found {
		names[i] = r.Name
	}
	if len(found) == 0 {
		s.note("no recipe is like that; keelway catalog list shows all")
		return nil
	}
	return s.list(f, view.Recipes(found, f.chosen == "wide"), names)
}

func (s *session) showRecipe(f *format, name string) error {
	all, err := catalog.Builtin()
	if err != nil {
		return err
	}
	r, err := all.Get(name)
	if err != nil {
		return invalid("%w", err)
	}
	if done, err := s.data(f, view.RecipeData(r)); done {
		return err
	}
	return s.print(view.Recipe(r, s.width())...)
}

func (s *session) catalogResolve() *cobra.Command {
	c := &cobra.Command{
		Use:   "resolve RECIPE[@VERSION]...",
		Short: "Say in which versions and which order recipes would be installed together",
		Long: `resolve orders recipes so that each comes after what it requires, and picks the versions that ranges ask for. What is missing or
excludes each other is said, as the operator would.`,
		Example: "  keelway catalog resolve etcd@3.6",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: completeRecipes,
	}
	f := formatFlag(c, "table", "name", "json", "yaml")
	c.RunE = func(_ *cobra.Command, args []string) error {
		all, err := catalog.Builtin()
		if err != nil {
			return err
		}
		var wanted []catalog.Choice
		for _, arg := range args {
			name, version, _ := strings.Cut(arg, "@")
			wanted = append(wanted, catalog.Choice{Recipe: name, Version: version})
		}
		chosen, err := catalog.Solve(all, wanted)
		if err != nil {
			return invalid("%w", err)
		}
		return s.resolved(f, chosen)
	}
	return c
}

func (s *session) resolved(f *format, chosen []catalog.Choice) error {
	type one struct {
		Recipe  string `json:"recipe"`
		Version string `json:"version"`
	}
	data, table, names := []one{}, view.Table{Heads: []string{"order", "recipe", "version"}}, []string{}
	for i, c := range chosen {
		data = append(data, one{c.Recipe, c.Version})
		table.Rows = append(table.Rows, []string{fmt.Sprint(i + 1), c.Recipe, c.Version})
		names = append(names, c.Recipe+"@"+c.Version)
	}
	if done, err := s.data(f, data); done {
		return err
	}
	return s.list(f, table, names)
}
