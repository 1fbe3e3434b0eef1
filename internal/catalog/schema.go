package catalog

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/internal/nearest"
)

//go:embed manifest.schema.yaml
var manifestSchemaText []byte

// manifestSchema is compiled once; its text is ours, so that a fault in it is a bug that every test meets.
var manifestSchema = sync.OnceValues(func() (*schema, error) {
	text, err := yaml.YAMLToJSONStrict(manifestSchemaText)
	if err != nil {
		return nil, fmt.Errorf("manifest.schema.yaml: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("manifest.schema.yaml: %w", err)
	}
	return compileSchema(doc)
})

// schema is a compiled JSON Schema with its text beside it, which tells the names that a message can propose.
type schema struct {
	doc      any
	compiled *jsonschema.Schema
}

// noLoader refuses references that leave the schema: a recipe reads nothing but its own files.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the recipe", url)
}

// compileSchema compiles doc, which holds json.Number for numbers as jsonschema.UnmarshalJSON makes it.
func compileSchema(doc any) (*schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("recipe:schema", doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile("recipe:schema")
	if err != nil {
		return nil, err
	}
	return &schema{doc: doc, compiled: compiled}, nil
}

// mismatch is one place where a value does not fit its schema.
type mismatch struct {
	path    []string
	message string
	// missing names the properties that are required and absent; nil for any other mismatch.
	missing []string
}

// field is the path as people write it: spec.files[0].mode.
func (m mismatch) field() string {
	var text strings.Builder
	for _, step := range m.path {
		switch _, err := strconv.Atoi(step); {
		case err == nil:
			text.WriteString("[" + step + "]")
		case text.Len() > 0:
			text.WriteString("." + clip(step))
		default:
			text.WriteString(clip(step))
		}
	}
	return text.String()
}

// check returns every mismatch of value, ordered by path.
func (s *schema) check(value any) []mismatch {
	err := s.compiled.Validate(value)
	if err == nil {
		return nil
	}
	invalid, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return []mismatch{{message: err.Error()}}
	}
	var all []mismatch
	s.collect(invalid, &all)
	sort.SliceStable(all, func(i, j int) bool {
		if a, b := all[i].field(), all[j].field(); a != b {
			return a < b
		}
		return all[i].message < all[j].message
	})
	return all
}

// collect flattens the tree of causes: people want the leaves.
func (s *schema) collect(e *jsonschema.ValidationError, all *[]mismatch) {
	if _, choice := e.ErrorKind.(*kind.OneOf); choice && len(e.Causes) > 0 && onlyRequired(e.Causes) {
		*all = append(*all, mismatch{path: e.InstanceLocation, message: "exactly one of the alternatives must be given: " + s.alternatives(e)})
		return
	}
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			s.collect(cause, all)
		}
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		known := s.properties(e.InstanceLocation)
		for _, name := range k.Properties {
			path := append(slices.Clone(e.InstanceLocation), name)
			*all = append(*all, mismatch{path: path, message: "unknown" + nearest.Hint(name, known)})
		}
	case *kind.Required:
		*all = append(*all, mismatch{path: e.InstanceLocation, message: "missing " + strings.Join(k.Missing, ", "), missing: k.Missing})
	case *kind.OneOf:
		*all = append(*all, mismatch{path: e.InstanceLocation, message: "more than one of the alternatives is given: " + s.alternatives(e)})
	case *kind.Enum:
		*all = append(*all, mismatch{path: e.InstanceLocation, message: fmt.Sprintf("found %s, want one of %s", show(k.Got), show(k.Want))})
	case *kind.Type:
		*all = append(*all, mismatch{path: e.InstanceLocation, message: "found " + k.Got + ", want " + strings.Join(k.Want, " or ")})
	case *kind.Pattern:
		*all = append(*all, mismatch{path: e.InstanceLocation, message: fmt.Sprintf("found %s, want a text that matches %s", show(k.Got), k.Want)})
	default:
		_, text, _ := strings.Cut(e.Error(), "': ") // the library begins with "at '/path': "
		*all = append(*all, mismatch{path: e.InstanceLocation, message: clip(text)})
	}
}

func onlyRequired(causes []*jsonschema.ValidationError) bool {
	for _, cause := range causes {
		if _, ok := cause.ErrorKind.(*kind.Required); !ok {
			return false
		}
	}
	return true
}

// alternatives names the fields of a oneOf whose branches each require some.
func (s *schema) alternatives(e *jsonschema.ValidationError) string {
	var names []string
	at, _ := s.at(e.InstanceLocation).(map[string]any)
	branches, _ := at["oneOf"].([]any)
	for _, branch := range branches {
		fields, _ := branch.(map[string]any)
		required, _ := fields["required"].([]any)
		for _, name := range required {
			names = append(names, fmt.Sprint(name))
		}
	}
	return strings.Join(names, ", ")
}

// properties returns the names that the schema declares for the object at path, sorted.
func (s *schema) properties(path []string) []string {
	node, _ := s.at(path).(map[string]any)
	declared, _ := node["properties"].(map[string]any)
	names := make([]string, 0, len(declared))
	for name := range declared {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// at walks the schema along a path of the instance through properties and items.
func (s *schema) at(path []string) any {
	node := s.doc
	for _, step := range path {
		object, _ := node.(map[string]any)
		if items, ok := object["items"]; ok {
			node = items
			continue
		}
		declared, _ := object["properties"].(map[string]any)
		node = declared[step]
	}
	return node
}

// show prints a value into a message, bounded.
func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return clip(string(text))
}
