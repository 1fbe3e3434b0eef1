// Package expr knows how text refers to earlier results: ${operations.NAME.outputs.KEY} inside strings, and conditions in CEL.
// It must not know what an operation is or where its outputs come from: the caller looks references up.
package expr

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of what is parsed. Beyond them Parse and ParseJSON refuse.
const (
	MaxText     = 256 << 10 // bytes of a text or document
	MaxRefs     = 256       // different references in it
	MaxUses     = 4096      // references in it, repeats counted
	maxNameSize = 63        // bytes of an operation's name or an output's key
)

// Ref is one reference to an output.
type Ref struct{ Operation, Output string }

// String returns the reference as it is written.
func (r Ref) String() string { return "${operations." + r.Operation + ".outputs." + r.Output + "}" }

// Lookup returns the value of a reference, or false while it is not known.
type Lookup func(Ref) (string, bool)

// SyntaxError says what is wrong with a text.
type SyntaxError struct {
	// Path is where in a JSON document the text stands ("peers[0].name"); empty for a plain text and at the document's top.
	Path string
	// Position is where the trouble begins, in bytes from 1: within the text, or within the document when that is no JSON.
	Position int
	Problem  string
}

func (e *SyntaxError) Error() string {
	at := fmt.Sprintf("position %d: %s", e.Position, e.Problem)
	if e.Path != "" {
		return e.Path + ": " + at
	}
	return at
}

// Template is a parsed text. The zero value is the empty text. It never changes, so it may be shared.
type Template struct{ parts []part }

// part is literal text, or a reference when ref is set.
type part struct {
	text string
	ref  *Ref
}

// Parse reads a text: ${operations.NAME.outputs.KEY} is a reference, $${ stands for ${, and everything else for itself, a
// lone $ too. Any other ${ is refused with *SyntaxError.
func Parse(text string) (Template, error) {
	if len(text) > MaxText {
		return Template{}, &SyntaxError{Position: MaxText + 1, Problem: fmt.Sprintf("the text is longer than %d bytes", MaxText)}
	}
	var t Template
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{text: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch rest := text[i:]; {
		case strings.HasPrefix(rest, "$${"):
			literal.WriteString("${")
			i += len("$${")
		case strings.HasPrefix(rest, "${"):
			ref, size, problem := parseRef(rest)
			if problem != "" {
				return Template{}, &SyntaxError{Position: i + 1, Problem: problem}
			}
			flush()
			t.parts = append(t.parts, part{ref: &ref})
			i += size
		default:
			end := 1 + strings.IndexByte(rest[1:], '$')
			if end == 0 {
				end = len(rest)
			}
			literal.WriteString(rest[:end])
			i += end
		}
	}
	flush()
	if err := limit(t.uses()); err != nil {
		return Template{}, err
	}
	return t, nil
}

// parseRef reads the reference at the start of text and returns its length.
func parseRef(text string) (ref Ref, size int, problem string) {
	end := strings.IndexByte(text, '}')
	if end < 0 {
		return ref, 0, "${ without }; write $${ where ${ itself is meant"
	}
	inner := text[len("${"):end]
	words := strings.SplitN(inner, ".", 5)
	if words[0] != "operations" {
		return ref, 0, fmt.Sprintf("%q is not known here: only ${operations.NAME.outputs.KEY} is; write $${ where ${ itself is meant", clip(words[0]))
	}
	if len(words) != 4 || words[2] != "outputs" {
		return ref, 0, fmt.Sprintf("${%s} is not of the form ${operations.NAME.outputs.KEY}", clip(inner))
	}
	for _, word := range []string{words[1], words[3]} {
		if !isName(word) {
			return ref, 0, fmt.Sprintf("%q in ${%s} is not a name: 1 to %d letters, digits, - and _", clip(word), clip(inner), maxNameSize)
		}
	}
	return Ref{Operation: words[1], Output: words[3]}, end + 1, ""
}

func isName(s string) bool {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	return s != "" && len(s) <= maxNameSize && !strings.ContainsFunc(s, odd)
}

// clip bounds what a message repeats of its input.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func limit(uses []Ref) error {
	if refs := distinct(uses); len(refs) > MaxRefs || len(uses) > MaxUses {
		return &SyntaxError{Position: 1, Problem: fmt.Sprintf("%d references to %d outputs, and at most %d and %d are allowed", len(uses), len(refs), MaxUses, MaxRefs)}
	}
	return nil
}

// distinct returns refs without repeats, in order of first use.
func distinct(refs []Ref) []Ref {
	seen := make(map[Ref]struct{}, len(refs))
	var out []Ref
	for _, ref := range refs {
		if _, ok := seen[ref]; !ok {
			seen[ref] = struct{}{}
			out = append(out, ref)
		}
	}
	return out
}

func (t Template) uses() (refs []Ref) {
	for _, p := range t.parts {
		if p.ref != nil {
			refs = append(refs, *p.ref)
		}
	}
	return refs
}

// Refs returns what the text refers to, without repeats, in order of first use.
func (t Template) Refs() []Ref { return distinct(t.uses()) }

// Expand puts values in the place of references. A value is text and nothing more: a ${ in it is not looked at. What lookup
// does not know stays as it was written and is returned as missing, without repeats; the text is then not fit for use.
func (t Template) Expand(lookup Lookup) (text string, missing []Ref) {
	var out strings.Builder
	for _, p := range t.parts {
		if p.ref == nil {
			out.WriteString(p.text)
			continue
		}
		value, ok := lookup(*p.ref)
		if !ok {
			value = p.ref.String()
			if !slices.Contains(missing, *p.ref) {
				missing = append(missing, *p.ref)
			}
		}
		out.WriteString(value)
	}
	return out.String(), missing
}
