package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// known is a lookup over a map; keys are written "operation.output".
func known(values map[string]string) Lookup {
	return func(r Ref) (string, bool) {
		value, ok := values[r.Operation+"."+r.Output]
		return value, ok
	}
}

func TestTemplate(t *testing.T) {
	values := known(map[string]string{"db.host": "10.0.0.1", "db.port": "2379", "evil.text": "${operations.db.outputs.host}", "db-1.a_b": ""})
	cases := map[string]struct {
		text    string
		want    string
		refs    []Ref
		missing []Ref
	}{
		"empty":                   {text: ""},
		"plain":                   {text: "no references", want: "no references"},
		"one":                     {text: "${operations.db.outputs.host}", want: "10.0.0.1", refs: []Ref{{"db", "host"}}},
		"within text":             {text: "http://${operations.db.outputs.host}:${operations.db.outputs.port}/", want: "http://10.0.0.1:2379/", refs: []Ref{{"db", "host"}, {"db", "port"}}},
		"twice":                   {text: "${operations.db.outputs.host},${operations.db.outputs.host}", want: "10.0.0.1,10.0.0.1", refs: []Ref{{"db", "host"}}},
		"an empty value":          {text: "<${operations.db-1.outputs.a_b}>", want: "<>", refs: []Ref{{"db-1", "a_b"}}},
		"escaped":                 {text: "$${HOME} costs 5$", want: "${HOME} costs 5$"},
		"escaped after a dollar":  {text: "$$${HOME}", want: "$${HOME}"},
		"lone dollars":            {text: "$ $$ $x $(y) {z}", want: "$ $$ $x $(y) {z}"},
		"a value is not expanded": {text: "${operations.evil.outputs.text}", want: "${operations.db.outputs.host}", refs: []Ref{{"evil", "text"}}},
		"not known yet": {text: "${operations.web.outputs.url} ${operations.db.outputs.host} ${operations.web.outputs.url}",
			want:    "${operations.web.outputs.url} 10.0.0.1 ${operations.web.outputs.url}",
			refs:    []Ref{{"web", "url"}, {"db", "host"}},
			missing: []Ref{{"web", "url"}}},
		"not Latin": {text: "größe ${operations.db.outputs.port} 世界", want: "größe 2379 世界", refs: []Ref{{"db", "port"}}},
	}
	for name, c := range cases {
		parsed, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, missing := parsed.Expand(values)
		if diff := cmp.Diff(c.want, got) + cmp.Diff(c.refs, parsed.Refs()) + cmp.Diff(c.missing, missing); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTemplateRefusals(t *testing.T) {
	many := func(refs, uses int) string {
		var b strings.Builder
		for i := range uses {
			fmt.Fprintf(&b, "${operations.o%d.outputs.k}", i%refs)
		}
		return b.String()
	}
	const form = "${operations.NAME.outputs.KEY}"
	cases := map[string]struct {
		text     string
		position int
		says     string
	}{
		"a shell variable":   {"echo ${HOME}", 6, `"HOME" is not known here: only ` + form + ` is; write $${ where ${ itself is meant`},
		"nothing inside":     {"${}", 1, `"" is not known here`},
		"never closed":       {"ab ${operations.db", 4, "${ without }; write $${"},
		"another root":       {"${secrets.db.outputs.x}", 1, `"secrets" is not known here`},
		"no output":          {"${operations.db}", 1, "${operations.db} is not of the form " + form},
		"another part":       {"${operations.db.phase.x}", 1, "is not of the form " + form},
		"too deep":           {"${operations.db.outputs.x.y}", 1, "is not of the form " + form},
		"blanks":             {"${ operations.db.outputs.x }", 1, `" operations" is not known here`},
		"an empty name":      {"${operations..outputs.x}", 1, `"" in ${operations..outputs.x} is not a name`},
		"an odd key":         {"${operations.db.outputs.x y}", 1, `"x y" in ${operations.db.outputs.x y} is not a name: 1 to 63 letters, digits, - and _`},
		"nested":             {"${operations.${x}.outputs.y}", 1, "is not of the form"},
		"a long name":        {"${operations." + strings.Repeat("n", 64) + ".outputs.x}", 1, "is not a name"},
		"a very long root":   {"${" + strings.Repeat("n", 100_000) + "}", 1, "is not known here"},
		"a text too long":    {strings.Repeat("x", MaxText+1), MaxText + 1, "the text is longer than 262144 bytes"},
		"too many outputs":   {many(MaxRefs+1, MaxRefs+1), 1, "257 references to 257 outputs"},
		"too many of one":    {many(1, MaxUses+1), 1, "4097 references to 1 outputs"},
		"second is at fault": {"${operations.db.outputs.host} ${x}", 31, `"x" is not known here`},
	}
	for name, c := range cases {
		_, err := Parse(c.text)
		wrong, ok := errors.AsType[*SyntaxError](err)
		if !ok || wrong.Position != c.position || !strings.Contains(wrong.Problem, c.says) || len(err.Error()) > 400 {
			t.Errorf("%s: says %v", name, err)
		}
	}
	if _, err := Parse(many(MaxRefs, MaxUses)); err != nil {
		t.Errorf("as many references as are allowed: %v", err)
	}
}

// TestTemplateWhole: any text, escaped, expands to itself; any text at all never panics.
func TestTemplateWhole(t *testing.T) {
	piece := rapid.SampledFrom([]string{"$", "{", "}", "${", "$${", "operations", ".", "outputs", "a", "${operations.a.outputs.b}", "é", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "")
		parsed, err := Parse(text)
		if err == nil && len(parsed.Refs()) == 0 {
			if got, _ := parsed.Expand(known(nil)); got != strings.ReplaceAll(text, "$${", "${") {
				t.Fatalf("%q expands to %q", text, got)
			}
		}
		escaped, err := Parse(strings.ReplaceAll(text, "${", "$${"))
		if err != nil {
			t.Fatalf("%q, escaped: %v", text, err)
		}
		if got, missing := escaped.Expand(known(nil)); got != text || missing != nil {
			t.Fatalf("%q, escaped, expands to %q", text, got)
		}
	})
}
