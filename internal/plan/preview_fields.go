package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// FieldChange is one field of a child that becomes another.
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"` // empty: it was not there
	New   string `json:"new,omitempty"` // empty: it goes
	// Replaces: this field cannot be changed in place, so that another object is made.
	Replaces bool `json:"replaces,omitempty"`
}

// Bounds of what is kept of changes.
const (
	maxFields     = 16 // fields of one child
	maxFieldValue = 96 // bytes of a value
)

// KnownAfterApply stands in a plan for a value that is not known yet.
const KnownAfterApply = "(known after apply)"

// fieldChanges lists what of a child becomes another. known says that all values are.
func fieldChanges(kind string, stands, wanted Child, known bool) []FieldChange {
	var all []FieldChange
	for _, change := range Changes(kind, stands, wanted) {
		field := strings.TrimPrefix(strings.TrimPrefix(change.Field, "spec."), "metadata.")
		if strings.HasPrefix(field, "labels."+v1alpha1.VerbPrefix) {
			continue // what it is known by
		}
		old, now := leaves(field, change.From), leaves(field, change.To)
		for _, name := range slices.Sorted(maps.Keys(both(old, now))) {
			if old[name] == now[name] {
				continue
			}
			to := brief(now[name])
			if !known && strings.Contains(now[name], "${operations") {
				to = KnownAfterApply
			}
			all = append(all, FieldChange{Field: name, Old: brief(old[name]), New: to, Replaces: change.Forces})
		}
	}
	if len(all) > maxFields {
		more := len(all) - maxFields
		all = append(all[:maxFields:maxFields], FieldChange{Field: fmt.Sprintf("and %d more fields", more)})
	}
	return all
}

// brief is a value that people can read in a row.
func brief(value string) string {
	if lines := strings.Count(value, "\n"); lines > 0 {
		return fmt.Sprintf("%d lines: %s …", lines+1, clip(value[:strings.IndexByte(value, '\n')], maxFieldValue/2))
	}
	return clip(value, maxFieldValue)
}

// leaves takes a value in JSON apart, down to what is no object and no list, by their paths.
func leaves(path, text string) map[string]string {
	out := map[string]string{}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		value = text // a label
	}
	if text != "" {
		flatten(out, path, value)
	}
	return out
}

func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(into, path+"."+name, inner)
		}
	case []any:
		for n, inner := range v {
			flatten(into, fmt.Sprintf("%s[%d]", path, n), inner)
		}
	case string:
		into[path] = v
	default:
		text, _ := json.Marshal(v) // numbers, booleans, null
		into[path] = string(text)
	}
}

func both(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
