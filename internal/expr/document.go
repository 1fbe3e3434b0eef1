package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// maxDepth bounds how deeply a document nests.
const maxDepth = 64

// Document is a JSON document whose string values are texts for Parse. Keys are never looked into. It never changes, so it may
// be shared: parse it once a generation, expand it for each instance.
type Document struct{ pieces []piece }

// piece is JSON as it was written, or a string value that holds references.
type piece struct {
	raw   []byte
	value *Template
}

// ParseJSON reads a document and every string value in it. It refuses what is no JSON, and what Parse refuses, with
// *SyntaxError, which names the path of the value. An empty document stands for itself.
func ParseJSON(raw []byte) (Document, error) {
	if len(raw) > MaxText {
		return Document{}, &SyntaxError{Position: MaxText + 1, Problem: fmt.Sprintf("the document is longer than %d bytes", MaxText)}
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return Document{pieces: []piece{{raw: slices.Clone(raw)}}}, nil
	}
	var probe json.RawMessage
	if err := json.Unmarshal(raw, &probe); err != nil {
		return Document{}, &SyntaxError{Position: positionOf(err), Problem: "this is not JSON: " + err.Error()}
	}
	r := reader{raw: slices.Clone(raw), tokens: json.NewDecoder(bytes.NewReader(raw))}
	if err := r.read(); err != nil {
		return Document{}, err
	}
	d := Document{pieces: r.pieces}
	return d, limit(d.uses())
}

func positionOf(err error) int {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return int(syntax.Offset)
	}
	return 1
}

func (d Document) uses() (refs []Ref) {
	for _, p := range d.pieces {
		if p.value != nil {
			refs = append(refs, p.value.uses()...)
		}
	}
	return refs
}

// Refs returns what the document refers to, without repeats, in order of first use.
func (d Document) Refs() []Ref { return distinct(d.uses()) }

// Expand returns the document with values in the place of references; the rest is byte for byte as written. A reference is
// part of a string, so its value stays within that string whatever it holds. missing is as for Template.Expand.
func (d Document) Expand(lookup Lookup) (raw []byte, missing []Ref) {
	var out bytes.Buffer
	for _, p := range d.pieces {
		if p.value == nil {
			out.Write(p.raw)
			continue
		}
		text, unknown := p.value.Expand(lookup)
		out.Write(quote(text))
		missing = append(missing, unknown...)
	}
	return out.Bytes(), distinct(missing)
}

// ExpandJSON is ParseJSON and Expand in one, for a document that is used once.
func ExpandJSON(raw []byte, lookup Lookup) (out []byte, missing []Ref, err error) {
	d, err := ParseJSON(raw)
	if err != nil {
		return nil, nil, err
	}
	out, missing = d.Expand(lookup)
	return out, missing, nil
}

func quote(text string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string into memory cannot fail
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// reader cuts a valid document into pieces.
type reader struct {
	raw    []byte
	tokens *json.Decoder
	copied int // raw up to here is in pieces
	levels []level
	pieces []piece
}

// level is an object or list that is open.
type level struct {
	object bool
	isKey  bool // the next token of an object is a key
	key    string
	index  int
}

func (r *reader) read() error {
	for {
		before := int(r.tokens.InputOffset())
		token, err := r.tokens.Token()
		if err != nil {
			break // the end: the document is valid
		}
		if err := r.take(token, before); err != nil {
			return err
		}
	}
	r.pieces = append(r.pieces, piece{raw: r.raw[r.copied:]})
	return nil
}

func (r *reader) take(token json.Token, before int) error {
	if delim, ok := token.(json.Delim); ok && (delim == '{' || delim == '[') {
		if len(r.levels) == maxDepth {
			return &SyntaxError{Path: r.path(), Position: before + 1, Problem: fmt.Sprintf("it nests deeper than %d levels", maxDepth)}
		}
		r.levels = append(r.levels, level{object: delim == '{', isKey: delim == '{'})
		return nil
	} else if ok {
		r.levels = r.levels[:len(r.levels)-1]
		r.next()
		return nil
	}
	text, isString := token.(string)
	if top := len(r.levels) - 1; top >= 0 && r.levels[top].isKey {
		r.levels[top].key, r.levels[top].isKey = text, false
		return nil
	}
	if isString {
		if err := r.value(text, before); err != nil {
			return err
		}
	}
	r.next()
	return nil
}

// value parses a string value; only commas, colons and blanks lie between before and its first quote.
func (r *reader) value(text string, before int) error {
	t, err := Parse(text)
	if err != nil {
		if syntax, ok := errors.AsType[*SyntaxError](err); ok {
			syntax.Path = r.path()
		}
		return err
	}
	if len(t.parts) == 0 || len(t.parts) == 1 && t.parts[0].text == text {
		return nil
	}
	start := before + bytes.IndexByte(r.raw[before:], '"')
	r.pieces = append(r.pieces, piece{raw: r.raw[r.copied:start]}, piece{value: &t})
	r.copied = int(r.tokens.InputOffset())
	return nil
}

// next moves on in the innermost object or list after one of its values.
func (r *reader) next() {
	if top := len(r.levels) - 1; top >= 0 {
		r.levels[top].isKey = r.levels[top].object
		r.levels[top].index++
	}
}

// path returns where the reader is, like "peers[0].name".
func (r *reader) path() string {
	var out []byte
	for _, l := range r.levels {
		switch {
		case !l.object:
			out = append(strconv.AppendInt(append(out, '['), int64(l.index), 10), ']')
		case len(out) > 0:
			out = append(append(out, '.'), clip(l.key)...)
		default:
			out = append(out, clip(l.key)...)
		}
	}
	return string(out)
}
