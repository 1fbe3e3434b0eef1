package docs

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
)

// TestEveryParameterIsExplained: each built-in recipe has a section with a row for each parameter, which tells its default, and with
// the names of its outputs. The section names no parameter that there is not.
func TestEveryParameterIsExplained(t *testing.T) {
	recipes, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, filepath.Join(root, "docs", "recipes.md"))
	for _, name := range recipes.Names() {
		recipe, _ := recipes.Get(name)
		_, section, found := strings.Cut(page, "\n## "+name+"\n")
		if section, _, _ = strings.Cut(section, "\n## "); !found {
			t.Errorf("docs/recipes.md has no section %s", name)
			continue
		}
		parameters, _ := recipe.Parameters["properties"].(map[string]any)
		rows := 0
		for line := range strings.Lines(section) {
			if strings.HasPrefix(line, "| `") {
				rows++
			}
		}
		if rows != len(parameters) {
			t.Errorf("section %s: %d rows for %d parameters", name, rows, len(parameters))
		}
		for parameter, schema := range parameters {
			_, row, found := strings.Cut(section, "\n| `"+parameter+"` |")
			if row, _, _ = strings.Cut(row, "\n"); !found {
				t.Errorf("section %s has no row for parameter %s", name, parameter)
				continue
			}
			value, given := schema.(map[string]any)["default"]
			if text := told(value); given && !strings.HasSuffix(row, "| "+text+" |") {
				t.Errorf("section %s, parameter %s: the default is %s, and the row says %q", name, parameter, text, row)
			}
		}
		for output := range recipe.Outputs {
			if !strings.Contains(section, "`"+output+"`") {
				t.Errorf("section %s does not tell output %s", name, output)
			}
		}
	}
}

// told is a default as the page writes it.
func told(value any) string {
	list, isList := value.([]any)
	if !isList {
		return fmt.Sprint(value)
	}
	if len(list) == 0 {
		return "none"
	}
	words := make([]string, len(list))
	for i := range list {
		words[i] = fmt.Sprint(list[i])
	}
	return strings.Join(words, ", ")
}

// checkService holds an example to the recipe that it names.
func checkService(recipes *catalog.Catalog, s *v1alpha1.TaskService) error {
	recipe, err := recipes.Get(s.Spec.Recipe)
	if err != nil {
		return err
	}
	var given map[string]any
	if s.Spec.Parameters != nil {
		if err := json.Unmarshal(s.Spec.Parameters.Raw, &given); err != nil {
			return err
		}
	}
	var secret []string
	for _, source := range s.Spec.ParametersFrom {
		if source.SecretKeyRef != nil {
			secret = append(secret, source.Parameter)
		} else {
			if given == nil {
				given = map[string]any{}
			}
			given[source.Parameter] = "http://10.0.0.1:80" // whatever the other service offers
		}
	}
	_, err = recipe.Validate(given, secret...)
	return err
}
