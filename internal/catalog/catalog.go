// Package catalog knows how services are installed: it reads recipes, judges versions, parameters and machines against them, and
// renders scripts as data. It must not know the API's kinds, a client, a clock or a machine: values in, values out.
package catalog

import (
	"embed"
	"errors"
	"io/fs"
	"slices"
	"sort"
	"strings"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
)

//go:embed recipes
var builtin embed.FS

//go:embed lib/*.sh
var library embed.FS

// Catalog is a set of recipes by name. It never changes after Load and may be shared.
type Catalog struct {
	recipes map[string]*Recipe
	names   []string
}

// Builtin returns the recipes that come with Keelway.
func Builtin() (*Catalog, error) {
	recipes, err := fs.Sub(builtin, "recipes")
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInternal, "opening the built-in recipes: %w", err)
	}
	return Load(recipes)
}

// Load reads every directory at the root of fsys as one recipe: recipe.yaml and the templates and scripts that it names.
// The error (Terminal, Invalid) lists every fault of every recipe, one a line, as "file: field: what is wrong".
func Load(fsys fs.FS) (*Catalog, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "loading recipes: %w", err)
	}
	shell, err := shellLibrary()
	if err != nil {
		return nil, err
	}
	c := &Catalog{recipes: map[string]*Recipe{}}
	var all faults
	for _, entry := range entries {
		if !entry.IsDir() {
			all.add(entry.Name(), "", "only directories are expected here, one a recipe")
			continue
		}
		recipe, found := loadRecipe(fsys, entry.Name(), shell)
		if all = append(all, found...); len(found) == 0 {
			c.recipes[recipe.Name] = recipe
			c.names = append(c.names, recipe.Name)
		}
	}
	if err := all.err("loading recipes"); err != nil {
		return nil, err
	}
	sort.Strings(c.names)
	return c, nil
}

// shellLibrary returns the shell functions that every script begins with: the files of lib in the order of their names.
func shellLibrary() (string, error) {
	names, err := fs.Glob(library, "lib/*.sh")
	if err != nil {
		return "", err
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		part, err := library.ReadFile(name)
		if err != nil {
			return "", fault.New(fault.Terminal, fault.ReasonInternal, "reading %s: %w", name, err)
		}
		text.Write(part)
	}
	return text.String(), nil
}

// Get returns the recipe of that name, or a Terminal RecipeNotFound error that names the nearest ones.
func (c *Catalog) Get(name string) (*Recipe, error) {
	if recipe, ok := c.recipes[name]; ok {
		return recipe, nil
	}
	return nil, fault.New(fault.Terminal, fault.ReasonRecipeNotFound, "no recipe %q%s", clip(name), nearest.Hint(name, c.names))
}

// Names returns the names of all recipes, sorted.
func (c *Catalog) Names() []string { return slices.Clone(c.names) }

// Suggest returns at most three recipe names that are near to a mistyped one, nearest first.
func (c *Catalog) Suggest(name string) []string { return nearest.Names(name, c.names) }

// faults collects what is wrong with recipes, so that an author sees everything at once.
type faults []string

// maxFaults bounds an error message: beyond it only the number is told.
const maxFaults = 50

func (f *faults) add(file, field, message string) {
	where := file
	if field != "" {
		where += ": " + field
	}
	*f = append(*f, where+": "+message)
}

func (f faults) err(doing string) error {
	if len(f) == 0 {
		return nil
	}
	shown := f
	if len(shown) > maxFaults {
		shown = append(slices.Clone(shown[:maxFaults]), "and more")
	}
	return fault.During(fault.New(fault.Terminal, fault.ReasonInvalid, "%w", errors.New(strings.Join(shown, "\n"))), "%s", doing)
}
