package expr

import (
	"slices"
	"strings"
	"testing"
)

func TestConditions(t *testing.T) {
	values := Values{
		Operations: map[string]any{"db": map[string]any{"phase": "Succeeded", "outputs": map[string]any{"version": "3.6.4", "members": "3"}}},
		Children: map[string]any{"db-0": map[string]any{"ready": true, "memory": "4Gi", "cpus": int64(4)},
			"db-1": map[string]any{"ready": false, "memory": "8Gi", "cpus": int64(8)}},
	}
	cases := map[string]struct {
		text  string
		want  bool
		fails string
	}{
		"a phase":                         {text: `operations.db.phase == "Succeeded"`, want: true},
		"an output as a number":           {text: `int(operations.db.outputs.members) > 3`, want: false},
		"a name that is no word":          {text: `children["db-0"].ready == true`, want: true},
		"all children":                    {text: `children.all(name, children[name].cpus >= 4)`, want: true},
		"two variables":                   {text: `children.exists(name, child, !child.ready)`, want: true},
		"quantities as in Kubernetes":     {text: `quantity(children["db-1"].memory).isGreaterThan(quantity("7Gi"))`, want: true},
		"versions as in Kubernetes":       {text: `semver(operations.db.outputs.version).isLessThan(semver("3.7.0"))`, want: true},
		"asking first":                    {text: `has(operations.web) && operations.web.phase == "Failed"`, want: false},
		"optional":                        {text: `operations.?web.?phase.orValue("none") == "none"`, want: true},
		"what is not there":               {text: `operations.web.phase == "Failed"`, fails: "no such key: web"},
		"a number that is none":           {text: `int(operations.db.phase) > 3`, fails: "deciding the condition"},
		"costs without end":               {text: `[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, [1,2,3,4,5,6,7,8,9,10].map(f, operations.db.phase)))))).size() > 0`, fails: "costs too much"},
		"a literal, for completeness":     {text: "true", want: true},
		"cost is per evaluation, not sum": {text: `children.size() == 2`, want: true},
	}
	for name, c := range cases {
		condition, err := Compile(c.text)
		if err != nil {
			t.Errorf("%s: compiling: %v", name, err)
			continue
		}
		for range 3 {
			got, err := condition.Eval(values)
			if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) || got != c.want {
				t.Errorf("%s: gives %t, %v", name, got, err)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("%s: the message is %d bytes long", name, len(err.Error()))
			}
		}
	}
}

// TestMentions: what a condition waits for is known before it is decided.
func TestMentions(t *testing.T) {
	cases := map[string]struct {
		text            string
		operations      string
		keys            string
		whole, children bool
	}{
		"by a dot":           {text: `operations.db.phase == "Failed"`, operations: "db", keys: "phase Failed"},
		"by an index":        {text: `operations["db-1"].outputs["a.b"] == "x"`, operations: "db-1", keys: "outputs a.b x"},
		"asking first":       {text: `has(operations.db) && "k" in operations.web.outputs`, operations: "db web", keys: "outputs k"},
		"optionally":         {text: `operations.?db.?outputs.?k.orValue("n") == "n" && operations[?"web"].hasValue()`, operations: "db web", keys: "outputs k n"},
		"in a loop":          {text: `["a"].all(x, operations.db.outputs.list.contains(x))`, operations: "db", keys: "list outputs a"},
		"once":               {text: `operations.a.total > 0 && operations.a.failed == 0`, operations: "a", keys: "total failed"},
		"all of them":        {text: `operations.size() == 0`, whole: true},
		"by a computed name": {text: `operations["d" + "b"].phase == "x"`, whole: true, keys: "d b x phase"},
		"children":           {text: `children.all(c, children[c].ready)`, children: true, keys: "ready"},
		"a literal":          {text: "true"},
	}
	for name, c := range cases {
		condition, err := Compile(c.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var names, keys []string
		for _, m := range condition.Mentions() {
			names, keys = append(names, m.Operation), m.Keys
		}
		if strings.Join(names, " ") != c.operations || condition.Whole() != c.whole || condition.Children() != c.children {
			t.Errorf("%s: mentions %v, whole %t, children %t", name, names, condition.Whole(), condition.Children())
		}
		for _, key := range strings.Fields(c.keys) {
			if len(names) > 0 && !slices.Contains(keys, key) {
				t.Errorf("%s: does not see %q, only %v", name, key, keys)
			}
		}
	}
}

func TestConditionsWithoutValues(t *testing.T) {
	condition, err := Compile(`operations.size() == 0 && children.size() == 0`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := condition.Eval(Values{}); err != nil || !got {
		t.Errorf("no values give %t, %v", got, err)
	}
}

func TestConditionRefusals(t *testing.T) {
	cases := map[string]struct{ text, says string }{
		"nothing":           {" \n", "the condition is empty"},
		"not CEL":           {"operations.db ==", "line 1, column 17: Syntax error: something is missing at its end"},
		"one too many":      {"operations.db == )", "mismatched input ')'"},
		"second line":       {"true &&\n  servers.size() > 0", "line 2, column 3: undeclared reference to 'servers'"},
		"another variable":  {"self.phase == 'x'", "undeclared reference to 'self'"},
		"not a boolean":     {`operations.db.phase`, "must be true or false, and this is of type dyn"},
		"text":              {`"true"`, "must be true or false, and this is of type string"},
		"no clock":          {`now() > timestamp("2026-01-01T00:00:00Z")`, "undeclared reference to 'now'"},
		"a wrong literal":   {`duration("5 minutes") > duration("1m")`, "line 1, column "},
		"a wrong type":      {`operations + 1 == 2`, "found no matching overload"},
		"too long":          {strings.Repeat(" ", MaxCondition) + "true", "longer than 4096 bytes"},
		"nested too deeply": {strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000), "line "},
	}
	for name, c := range cases {
		_, err := Compile(c.text)
		if err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 250 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: says %v", name, err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Compile(`operations.db.phase == "Succeeded"`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	condition, err := Compile(`operations.db.phase == "Succeeded"`)
	if err != nil {
		b.Fatal(err)
	}
	values := Values{Operations: map[string]any{"db": map[string]any{"phase": "Succeeded"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := condition.Eval(values); err != nil {
			b.Fatal(err)
		}
	}
}
