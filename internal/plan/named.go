package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Named are the names that a person wrote into an annotation.
type Named []string

// NamedIn reads names that commas or blanks part.
func NamedIn(value string) Named {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// Has reports whether a name is among them. The empty name never is.
func (n Named) Has(name string) bool { return name != "" && slices.Contains(n, name) }

// Drifted says on which servers another hand changed what was applied; "" when on none.
func Drifted(servers []v1alpha1.ServiceOnServer) string {
	var names []string
	words := ""
	for _, s := range servers {
		if s.Drift == "" {
			continue
		}
		if names = append(names, s.Name); words == "" {
			words = s.Drift
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf("on %s: %s", someNames(names), words)
}
