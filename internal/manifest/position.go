package manifest

import (
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// LineOf returns the line of a field of the document, such as spec.operations[2].dependsOn[0].operation. Of one that is not there it
// is the line of what it is missing from.
func (d *Document) LineOf(field string) int {
	at, line := d.root, d.Line
	for _, step := range steps(field) {
		key, value := child(at, step)
		if value == nil {
			break
		}
		at, line = value, d.above+key.Line
	}
	return line
}

// child returns the node that a step leads to, and the one whose line names it: the key of a map, the item of a list.
func child(at *yamlv3.Node, step string) (key, value *yamlv3.Node) {
	if at.Kind == yamlv3.AliasNode {
		at = at.Alias
	}
	switch at.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(at.Content); i += 2 {
			if at.Content[i].Value == step {
				return at.Content[i], at.Content[i+1]
			}
		}
	case yamlv3.SequenceNode:
		if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(at.Content) {
			return at.Content[n], at.Content[n]
		}
	}
	return nil, nil
}

// steps splits a path; a key of a map stands in brackets too: metadata.labels[a.b/c].
func steps(field string) (all []string) {
	for field != "" {
		if field[0] == '[' {
			inner, rest, _ := strings.Cut(field[1:], "]")
			all = append(all, strings.Trim(inner, `"`))
			field = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			return append(all, field)
		}
		all = append(all, field[:end])
		field = strings.TrimPrefix(field[end:], ".")
	}
	return all
}
