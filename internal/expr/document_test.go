package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDocument(t *testing.T) {
	values := known(map[string]string{"db.host": "10.0.0.1", "db.odd": "a\"b\\c\n<&>é\u2028", "db.json": `","x":"y`})
	cases := map[string]struct {
		reason, raw, want string
		missing           []Ref
	}{
		"nothing":         {"no parameters are no parameters", "", "", nil},
		"blank":           {"nor are blanks", " \n", " \n", nil},
		"null":            {"null is JSON", "null", "null", nil},
		"a string alone":  {"the document may be a value", `"${operations.db.outputs.host}"`, `"10.0.0.1"`, nil},
		"within":          {"text around a reference stays", `{"url": "http://${operations.db.outputs.host}:1/"}`, `{"url": "http://10.0.0.1:1/"}`, nil},
		"byte for byte":   {"what holds no reference is not touched: order, blanks, numbers, escapes", "{ \"b\":1.0e3,\t\"a\" : [12345678901234567890, \"\\u00e9\\/\", true,null ] }\n", "{ \"b\":1.0e3,\t\"a\" : [12345678901234567890, \"\\u00e9\\/\", true,null ] }\n", nil},
		"keys":            {"keys are never looked into", `{"${HOME}": {"${operations.db.outputs.host}": 1}}`, `{"${HOME}": {"${operations.db.outputs.host}": 1}}`, nil},
		"escaped":         {"$${ is resolved in values", `["$${HOME}"]`, `["${HOME}"]`, nil},
		"escaped by JSON": {"it is the value that is parsed, not its spelling", `["\u0024{operations.db.outputs.host}"]`, `["10.0.0.1"]`, nil},
		"odd characters":  {"a value is quoted", `["${operations.db.outputs.odd}"]`, "[\"a\\\"b\\\\c\\n<&>é\\u2028\"]", nil},
		"JSON in a value": {"a value cannot leave its string", `{"a":"${operations.db.outputs.json}"}`, `{"a":"\",\"x\":\"y"}`, nil},
		"missing": {"what is not known stays, and is named once, in order", `{"a":"${operations.x.outputs.y}","b":["${operations.a.outputs.b}","${operations.x.outputs.y}"]}`,
			`{"a":"${operations.x.outputs.y}","b":["${operations.a.outputs.b}","${operations.x.outputs.y}"]}`, []Ref{{"x", "y"}, {"a", "b"}}},
		"nesting": {"lists in objects in lists", `[{"a":[{"b":"${operations.db.outputs.host}"},[],{}]},"${operations.db.outputs.host}"]`, `[{"a":[{"b":"10.0.0.1"},[],{}]},"10.0.0.1"]`, nil},
	}
	for name, c := range cases {
		got, missing, err := ExpandJSON([]byte(c.raw), values)
		if diff := cmp.Diff(c.want, string(got)) + cmp.Diff(c.missing, missing); err != nil || diff != "" {
			t.Errorf("%s (%s): %v %s", name, c.reason, err, diff)
		}
	}
}

func TestDocumentRefs(t *testing.T) {
	d, err := ParseJSON([]byte(`{"a":"${operations.x.outputs.y} ${operations.a.outputs.b}","b":["${operations.x.outputs.y}"],"${operations.no.outputs.no}":1}`))
	if diff := cmp.Diff([]Ref{{"x", "y"}, {"a", "b"}}, d.Refs()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestDocumentRefusals(t *testing.T) {
	cases := map[string]struct{ raw, path, says string }{
		"not JSON":           {`{"a":`, "", "this is not JSON"},
		"two documents":      {`{} {}`, "", "this is not JSON"},
		"a comma too many":   {`[1,]`, "", "this is not JSON"},
		"at the top":         {`"${HOME}"`, "", "position 1: "},
		"in an object":       {`{"a":{"b":"${HOME}"}}`, "a.b", `a.b: position 1: "HOME" is not known here`},
		"in a list":          {`{"peers":["x",{"name":"ab${HOME}"}]}`, "peers[1].name", "peers[1].name: position 3: "},
		"after a list":       {`{"peers":[["x"],{}],"name":"${HOME}"}`, "name", "name: position 1: "},
		"lists in lists":     {`[[1,2],[3,"${HOME}"]]`, "[1][1]", "[1][1]: position 1: "},
		"behind a null":      {`{"a":null,"b":true,"c":1,"d":"${HOME}"}`, "d", "d: position 1"},
		"too deep":           {strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[0]", 64), "nests deeper than 64 levels"},
		"too long":           {`"` + strings.Repeat("x", MaxText) + `"`, "", "longer than 262144 bytes"},
		"too many in all":    {"[" + strings.TrimSuffix(strings.Repeat(`"${operations.a.outputs.b}",`, MaxUses+1), ",") + "]", "", "4097 references"},
		"a deep and bad one": {strings.Repeat("[", 20_000), "", "this is not JSON"},
	}
	for name, c := range cases {
		_, err := ParseJSON([]byte(c.raw))
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok || wrong.Path != c.path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: says %v", name, err)
		}
	}
}

// TestDocumentAgainstOracle compares with the slow way: unmarshal, walk, expand each string.
func TestDocumentAgainstOracle(t *testing.T) {
	values := known(map[string]string{"a.b": `quote " and ] and }`, "c.d": "${x}"})
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			parsed, err := Parse(v)
			if err != nil {
				panic(err)
			}
			text, _ := parsed.Expand(values)
			return text
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for key := range v {
				v[key] = walk(v[key])
			}
		}
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.MarshalIndent(drawValue(t, 4), "", strings.Repeat(" ", rapid.IntRange(0, 2).Draw(t, "indent")))
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(raw)
		got, _, err := ExpandJSON(raw, values)
		if err != nil || !bytes.Equal(raw, before) {
			t.Fatalf("%s: %v", raw, err)
		}
		var want, have any
		if json.Unmarshal(raw, &want) != nil || json.Unmarshal(got, &have) != nil {
			t.Fatalf("%s expands to %s, which is not JSON", raw, got)
		}
		if diff := cmp.Diff(walk(want), have); diff != "" {
			t.Fatalf("%s: %s", raw, diff)
		}
	})
}

func drawValue(t *rapid.T, depth int) any {
	text := func() string {
		pieces := []string{"", "x", `"`, "\\", "{", "[", ",", ":", "$", "$${", "é", "${operations.a.outputs.b}", "${operations.c.outputs.d}", "${operations.no.outputs.no}"}
		out := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 4).Draw(t, "pieces"), "")
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(out, "$${", ""), "${operations.", ""), "${") {
			return "" // pieces met to form something that is refused
		}
		return out
	}
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case kind == 0 && depth > 0:
		out := map[string]any{}
		for i := range rapid.IntRange(0, 3).Draw(t, "size") {
			out[fmt.Sprint(i, text())] = drawValue(t, depth-1)
		}
		return out
	case kind == 1 && depth > 0:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			out = append(out, drawValue(t, depth-1))
		}
		return out
	case kind == 2:
		return rapid.SampledFrom([]any{nil, true, 1.5, 0.0}).Draw(t, "plain")
	}
	return text()
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"a":["${operations.a.outputs.b}","$${x}",{"b":null}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, _, err := ExpandJSON(raw, known(map[string]string{"a.b": `"`}))
		if err == nil && len(bytes.TrimSpace(raw)) > 0 && !json.Valid(out) {
			t.Errorf("%q expands to %q", raw, out)
		}
	})
}
