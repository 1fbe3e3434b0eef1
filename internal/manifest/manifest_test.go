package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/catalog"
)

func recipes(t *testing.T) *catalog.Catalog {
	t.Helper()
	all, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// judge reads and validates, and writes each fault as line: field: message.
func judge(t *testing.T, text string) (said []string) {
	t.Helper()
	docs, faults := Read("f.yaml", []byte(text))
	found, err := Validate(docs, recipes(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(faults, found...) {
		if f.File != "f.yaml" {
			t.Errorf("the file is %q", f.File)
		}
		said = append(said, fmt.Sprintf("%d: %s: %s", f.Line, f.Field, f.Message))
	}
	return said
}

func TestExamplesHaveNoFaults(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if said := judge(t, string(text)); len(said) > 0 {
			t.Errorf("%s: %q", file, said)
		}
	}
}

func TestFaults(t *testing.T) {
	const head = "apiVersion: keelway.dev/v1alpha1\nkind: BatchWorkflow\nmetadata: {name: w}\n"
	cases := map[string]struct {
		reason, text string
		want         []string // each the beginning of a line
	}{
		"three faults of three rooms": {"the schema, the rules and the operator speak at once", head + `spec:
  parallelLimit: many
  operations:
  - {name: servers, type: ServerBatch, serverBatch: {
      count: 2,
      template: {spec: {providerRef: {name: p}}}}}

  # a line that says nothing
  - name: etcd
    type: TaskServiceBatch
    dependsOn:
    - operation: servrs
    taskServiceBatch:
      recipes:
      - name: etdc
      targets: {operation: servers}
`, []string{
			`5: spec.parallelLimit: must be of type integer, found string`,
			`15: spec.operations[1].dependsOn[0].operation: operation "etcd" depends on "servrs", which does not exist`,
			`18: spec.operations[1].taskServiceBatch.recipes[0]: operation "etcd": no recipe "etdc"; did you mean etcd?`}},
		"the operator's faults with their lines": {"one of each", head + `spec:
  operations:
  - name: servers
    type: ServerBatch
    serverBatch:
      count: 2
      template: {spec: {providerRef: {name: p}}}
  - name: etcd
    type: TaskServiceBatch
    dependsOn:
    - operation: servrs
    taskServiceBatch:
      recipes:
      - name: etdc
      targets: {operation: servers}
`, []string{`14: spec.operations[1].dependsOn[0].operation: operation "etcd" depends on "servrs", which does not exist`,
			`17: spec.operations[1].taskServiceBatch.recipes[0]: operation "etcd": no recipe "etdc"; did you mean etcd?`}},
		"a field that is not there": {"typos are no silence, and the rest is checked", head + `spec:
  paralelLimit: 5
  operations:
  - name: UPPER
    type: Wait
    wait: {duration: 1s, jitter: 2}
`, []string{
			`5: spec.paralelLimit: there is no such field`,
			`7: spec.operations[0].name: "UPPER": should match '^[a-z0-9]`,
			`9: spec.operations[0].wait.jitter: there is no such field`}},
		"a union": {"the rule is told once", head + "spec:\n  operations:\n  - {name: a, type: Wait}\n", []string{
			`6: spec.operations[0]: operation "a": type Wait needs the section wait`}},
		"second document": {"lines count from the beginning of the file", "# nothing\n---\n" + head + "spec: {operations: []}\n---\n\n", []string{
			`6: spec.operations: should have at least 1 items`}},
		"twice the same":    {"the second one would win silently", head + "spec: {operations: [{name: a, type: Wait, wait: {duration: 1s}}]}\n---\n" + head + "spec: {operations: [{name: a, type: Wait, wait: {duration: 1s}}]}\n", []string{`8: metadata.name: the same object stands in f.yaml:1 already`}},
		"no YAML":           {"the line is that of the file", "# a\n---\n\nb: [\n", []string{`4: : did not find expected node content`}},
		"a key twice":       {"the second one would win silently", "a: 1\nb: 2\na: 3\n", []string{`3: : key "a" already set in map`}},
		"no object":         {"a list is none", "- a\n", []string{`1: : an object with apiVersion`}},
		"a number":          {"nor is a number", "7\n", []string{`1: : an object with apiVersion`}},
		"no name":           {"nothing could be found again", "apiVersion: keelway.dev/v1alpha1\nkind: Provider\nspec: {type: Local, local: {driver: Memory}}\n", []string{`1: metadata.name: is missing`}},
		"unknown kind":      {"the nearest is named", "apiVersion: keelway.dev/v1alpha1\nkind: Batchworkflow\nmetadata: {name: a}\n", []string{`2: kind: "Batchworkflow" is not a kind of keelway.dev/v1alpha1; did you mean BatchWorkflow?`}},
		"unknown version":   {"the right one is named", "apiVersion: keelway.dev/v9\nkind: Server\nmetadata: {name: a}\n", []string{`1: apiVersion: keelway.dev/v9 is not a version of Server: use keelway.dev/v1alpha1`}},
		"somebody else's":   {"a ConfigMap beside it is fine", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", nil},
		"nothing":           {"an empty file holds nothing", "\n# only a comment\n", nil},
		"a service":         {"parameters are those of the recipe", "apiVersion: keelway.dev/v1alpha1\nkind: TaskService\nmetadata: {name: a}\nspec:\n  recipe: etcd\n  servers: {names: [s]}\n  parameters: {clientPort: 0, port: 1}\n", []string{`7: spec.parameters: parameters of recipe etcd: clientPort: `}},
		"a bad object name": {"it would never get in", "apiVersion: keelway.dev/v1alpha1\nkind: Provider\nmetadata:\n  name: A_b\nspec: {type: Local, local: {driver: Memory}}\n", []string{`4: metadata.name: "A_b": a lowercase RFC 1123 subdomain`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := judge(t, tc.text)
			ok := len(got) == len(tc.want)
			for i := range got {
				ok = ok && strings.HasPrefix(got[i], tc.want[i])
			}
			if !ok {
				t.Errorf("%s: got\n%s\nwant\n%s", tc.reason, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestReadNeverFails: whatever a file holds, it gives documents or faults with lines within it.
func TestReadNeverFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"a: 1\n", "---\n", "--- {b: 2}\n", "- x\n", "{", "}\n", "\t", "&a [*a]\n", ": \n", "\n", "'", "kind: Server\n"})).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		docs, faults := Read("f", []byte(text))
		lines := strings.Count(text, "\n") + 1
		for _, d := range docs {
			if d.Line < 1 || d.Line > lines {
				t.Fatalf("document at line %d of %d", d.Line, lines)
			}
		}
		for _, f := range faults {
			if f.Line < 1 || f.Line > lines+1 || f.Message == "" {
				t.Fatalf("fault %+v in %d lines", f, lines)
			}
		}
	})
}

func TestSteps(t *testing.T) {
	cases := map[string][]string{
		"":                                nil,
		"spec":                            {"spec"},
		"spec.operations[2].dependsOn[0]": {"spec", "operations", "2", "dependsOn", "0"},
		"metadata.labels[a.b/c]":          {"metadata", "labels", "a.b/c"},
		`spec.p["x y"].z`:                 {"spec", "p", "x y", "z"},
	}
	for field, want := range cases {
		if diff := cmp.Diff(want, steps(field)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
}
