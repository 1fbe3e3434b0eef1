package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/pelletier/go-toml/v2"

	"github.com/keelway/keelway/internal/nearest"
)

// Fault is one thing of an older workflow that has no counterpart.
type Fault struct{ Path, Message string }

func (f Fault) Error() string { return f.Path + ": " + f.Message }

// node is one object of the older form with its place. Each field that is asked for counts as known; leave complains about the rest.
type node struct {
	path   string
	fields map[string]any
	known  []string
	faults *[]Fault
}

// parse reads JSON or TOML: what begins with a brace is JSON.
func parse(text []byte) (map[string]any, error) {
	fields := map[string]any{}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		if err := json.Unmarshal(trimmed, &fields); err != nil {
			return nil, fmt.Errorf("it begins like JSON and is none: %w", err)
		}
		return fields, nil
	}
	if err := toml.Unmarshal(text, &fields); err != nil {
		if broken, ok := err.(*toml.DecodeError); ok {
			row, column := broken.Position()
			return nil, fmt.Errorf("it is neither JSON nor TOML: line %d, column %d: %w", row, column, err)
		}
		return nil, fmt.Errorf("it is neither JSON nor TOML: %w", err)
	}
	return fields, nil
}

func (n *node) fault(field, format string, args ...any) {
	*n.faults = append(*n.faults, Fault{join(n.path, field), fmt.Sprintf(format, args...)})
}

func join(path, field string) string {
	switch {
	case path == "":
		return field
	case field == "":
		return path
	}
	return path + "." + field
}

// take returns the first of several names of one field that is there.
func (n *node) take(names ...string) (name string, value any) {
	n.known = append(n.known, names...)
	for _, name := range names {
		if value, ok := n.fields[name]; ok && value != nil {
			return name, value
		}
	}
	return names[0], nil
}

func (n *node) text(names ...string) string {
	name, value := n.take(names...)
	text, ok := value.(string)
	if value != nil && !ok {
		n.fault(name, "a text is expected, found %v", brief(value))
	}
	return text
}

// word is a text out of a list.
func (n *node) word(name string, words ...string) string {
	text := n.text(name)
	if text != "" && !slices.Contains(words, text) {
		n.fault(name, "%q is not known%s", brief(text), nearest.Hint(text, words))
		return ""
	}
	return text
}

func (n *node) flag(name string) (value, given bool) {
	_, found := n.take(name)
	value, ok := found.(bool)
	if found != nil && !ok {
		n.fault(name, "true or false is expected, found %v", brief(found))
	}
	return value, ok
}

// whole is a number from 0 to a billion; -1: it is not there, or none.
func (n *node) whole(name string) int {
	_, value := n.take(name)
	number := -1.0
	switch v := value.(type) {
	case nil:
		return -1
	case int64:
		number = float64(v)
	case float64:
		number = v
	}
	if number < 0 || number > 1e9 || number != math.Trunc(number) {
		n.fault(name, "a whole number from 0 on is expected, found %v", brief(value))
		return -1
	}
	return int(number)
}

// object is a field that holds fields; nil when it is not there.
func (n *node) object(name string) *node {
	_, value := n.take(name)
	fields, ok := value.(map[string]any)
	if !ok {
		if value != nil {
			n.fault(name, "fields are expected, found %v", brief(value))
		}
		return nil
	}
	return &node{path: join(n.path, name), fields: fields, faults: n.faults}
}

// list is the items of a field.
func (n *node) list(names ...string) (items []any, path string) {
	name, value := n.take(names...)
	items, ok := value.([]any)
	if value != nil && !ok {
		n.fault(name, "a list is expected, found %v", brief(value))
	}
	return items, join(n.path, name)
}

// leave complains about fields that nobody asked for.
func (n *node) leave() {
	var unknown []string
	for name := range n.fields {
		if !slices.Contains(n.known, name) {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	known := slices.Compact(slices.Sorted(slices.Values(n.known))) // some are read more than once
	for _, name := range unknown {
		n.fault(name, "this field is not known%s", nearest.Hint(name, known))
	}
}

func brief(value any) string {
	text := []rune(fmt.Sprint(value))
	if len(text) > 60 {
		return string(text[:59]) + "…"
	}
	return string(text)
}
