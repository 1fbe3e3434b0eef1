package view

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/internal/catalog"
)

// Parameter is one parameter of a recipe as people read it.
type Parameter struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Required    bool     `json:"required,omitempty"`
	Default     string   `json:"default,omitempty"`
	Admits      []string `json:"admits,omitempty"` // bounds, words, patterns
	Description string   `json:"description"`
}

// ParametersOf lists the parameters of a recipe by name; those inside of others as outer.inner.
func ParametersOf(r *catalog.Recipe) []Parameter { return parametersIn("", r.Parameters) }

func parametersIn(prefix string, schema map[string]any) (all []Parameter) {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for name, value := range properties {
		p, _ := value.(map[string]any)
		one := Parameter{Name: prefix + name, Type: typeOf(p), Required: slices.Contains(required, any(name))}
		one.Description, _ = p["description"].(string)
		one.Description = strings.Join(strings.Fields(one.Description), " ")
		if d, ok := p["default"]; ok {
			one.Default = plainJSON(d)
		}
		for _, bound := range bounds {
			if v, ok := p[bound.field]; ok {
				one.Admits = append(one.Admits, fmt.Sprintf(bound.words, plainJSON(v)))
			}
		}
		all = append(all, one)
		all = append(all, parametersIn(one.Name+".", p)...)
	}
	slices.SortFunc(all, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// bounds are the words of a JSON Schema that limit a value.
var bounds = []struct{ field, words string }{
	{"enum", "one of %s"}, {"const", "only %s"}, {"minimum", "at least %s"}, {"maximum", "at most %s"}, {"pattern", "matches %s"},
	{"minLength", "at least %s characters"}, {"maxLength", "at most %s characters"}, {"minItems", "at least %s items"}, {"maxItems", "at most %s items"},
	{"format", "a %s"},
}

func typeOf(p map[string]any) string {
	text := fmt.Sprint(p["type"])
	if items, ok := p["items"].(map[string]any); ok && text == "array" {
		return "list of " + typeOf(items)
	}
	if p["type"] == nil {
		return "any"
	}
	return text
}

// plainJSON writes a value as people write it: texts without quotes, lists with commas.
func plainJSON(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = plainJSON(v[i])
		}
		return strings.Join(texts, ", ")
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// Recipe explains a recipe on a page of that width.
func Recipe(r *catalog.Recipe, width int) []Line {
	lines := []Line{{Bold.Of(r.Name), Dim.Of("  " + r.Category + ", " + r.License)}, {Dim.Of(r.Homepage)}, nil}
	lines = append(lines, Paragraph("", r.Description, width)...)
	lines = append(lines, nil)
	facts := [][2]string{
		{"Versions", versions(r)},
		{"Provides", strings.Join(r.Provides, ", ")}, {"Requires", strings.Join(r.Requires, ", ")},
		{"Recommends", strings.Join(r.Recommends, ", ")}, {"Conflicts", strings.Join(r.Conflicts, ", ")},
		{"Platforms", platforms(r)}, {"Needs", needs(r)}, {"Outputs", strings.Join(sorted(r.Outputs), ", ")},
	}
	for _, f := range facts {
		if f[1] != "" {
			lines = append(lines, Paragraph(Pad(f[0], 12), f[1], width)...)
		}
	}
	parameters := ParametersOf(r)
	if len(parameters) == 0 {
		return append(lines, nil, Line{Dim.Of("It has no parameters.")})
	}
	lines = append(lines, nil, Line{Bold.Of("PARAMETERS")})
	for _, p := range parameters {
		head := Line{Plain.Of("  "), Bold.Of(p.Name), Cyan.Of("  " + p.Type)}
		if p.Required {
			head = append(head, Yellow.Of("  required"))
		}
		if p.Default != "" {
			head = append(head, Dim.Of("  default "+p.Default))
		}
		lines = append(lines, head)
		lines = append(lines, Paragraph("      ", p.Description, width)...)
		if len(p.Admits) > 0 {
			for _, l := range Paragraph("      ", strings.Join(p.Admits, "; "), width) {
				for i := range l {
					l[i].style = Dim
				}
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// Paragraph breaks text at blanks into lines of that width, the first one behind head and the others below it. 0 breaks nothing.
func Paragraph(head, text string, width int) (lines []Line) {
	indent := len([]rune(head))
	if width == 0 {
		return []Line{{Plain.Of(head), Plain.Of(text)}}
	}
	for _, part := range wrap(text, max(width-indent, minWrap), 1000) {
		lines = append(lines, Line{Plain.Of(head), Plain.Of(part)})
		head = Pad("", indent)
	}
	return lines
}

func versions(r *catalog.Recipe) string {
	text := fmt.Sprintf("%s (default), supported %s", r.Versions.Default, r.Versions.Supported)
	if len(r.Versions.Known) > 0 {
		text += ", known " + strings.Join(r.Versions.Known, ", ")
	}
	return text
}

func platforms(r *catalog.Recipe) string {
	var names []string
	for _, p := range r.Platforms {
		names = append(names, p.Family)
	}
	return strings.Join(names, ", ")
}

func needs(r *catalog.Recipe) string {
	var all []string
	if r.Needs.MemoryMiB > 0 {
		all = append(all, fmt.Sprintf("%d MiB of memory", r.Needs.MemoryMiB))
	}
	if r.Needs.Root {
		all = append(all, "root")
	}
	if r.Needs.InitSystem == "systemd" {
		all = append(all, "systemd")
	}
	return strings.Join(all, ", ")
}

func sorted(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// RecipeFacts is a recipe as data.
type RecipeFacts struct {
	Name        string      `json:"name"`
	Category    string      `json:"category"`
	Description string      `json:"description"`
	Homepage    string      `json:"homepage"`
	License     string      `json:"license"`
	Default     string      `json:"default"`
	Supported   string      `json:"supported"`
	Known       []string    `json:"known"`
	Provides    []string    `json:"provides,omitempty"`
	Requires    []string    `json:"requires,omitempty"`
	Recommends  []string    `json:"recommends,omitempty"`
	Conflicts   []string    `json:"conflicts,omitempty"`
	Outputs     []string    `json:"outputs,omitempty"`
	Digest      string      `json:"digest"`
	Parameters  []Parameter `json:"parameters"`
}

// RecipeData is what Recipe explains, as data.
func RecipeData(r *catalog.Recipe) RecipeFacts {
	return RecipeFacts{
		Name: r.Name, Category: r.Category, Description: strings.Join(strings.Fields(r.Description), " "), Homepage: r.Homepage, License: r.License,
		Default: r.Versions.Default, Supported: r.Versions.Supported, Known: r.Versions.Known, Provides: r.Provides, Requires: r.Requires,
		Recommends: r.Recommends, Conflicts: r.Conflicts, Outputs: sorted(r.Outputs), Digest: r.Digest, Parameters: ParametersOf(r),
	}
}

// RecipesData is a list of recipes as data.
func RecipesData(all []*catalog.Recipe) []RecipeFacts {
	facts := make([]RecipeFacts, len(all))
	for i, r := range all {
		facts[i] = RecipeData(r)
	}
	return facts
}

// Recipes is a table of recipes; wide adds where they run and what they need.
func Recipes(all []*catalog.Recipe, wide bool) Table {
	t := Table{Heads: []string{"name", "category", "default", "description"}}
	if wide {
		t.Heads = []string{"name", "category", "default", "supported", "platforms", "needs", "license", "description"}
	}
	for _, r := range all {
		short, _, _ := strings.Cut(strings.Join(strings.Fields(r.Description), " "), ". ")
		row := []string{r.Name, r.Category, r.Versions.Default, strings.TrimSuffix(short, ".")}
		if wide {
			row = []string{r.Name, r.Category, r.Versions.Default, r.Versions.Supported, platforms(r), needs(r), r.License, row[3]}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
