package convert

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/manifest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestConvert compares what each file of testdata becomes with what somebody has read and found right, and hears what the operator
// says about it.
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/*.[jt][so][om]*")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			result, err := Convert(text)
			if err != nil {
				t.Fatal(err)
			}
			docs, faults := manifest.Read("out.yaml", result.YAML)
			found, err := manifest.Validate(docs, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := string(result.YAML)
			for _, f := range append(faults, found...) {
				got += "# still wrong: " + f.Error() + "\n"
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden.yaml"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got; accept with -update):\n%s", golden, diff)
			}
			for _, note := range result.Notes {
				if _, text, ok := strings.Cut(note, ": "); ok && !strings.Contains(got, "# "+note) && !strings.Contains(got, "# "+text) {
					t.Errorf("no comment says %q", note)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	const op = `{"id": "a", "type": "server_batch", "provider": "p"}`
	wrap := func(fields string) string { return `{"batch_workflow": {"name": "w", ` + fields + `}}` }
	cases := map[string]struct {
		reason, text string
		want         []string
	}{
		"unknown fields":    {"by name with their path, all at once", wrap(`"paralel_limit": 3, "operations": [{"id": "a", "type": "server_batch", "provider": "p", "zone": "x"}]`), []string{"batch_workflow.operations[0].zone: this field is not known", "batch_workflow.paralel_limit: this field is not known; did you mean parallel_limit?"}},
		"unknown words":     {"a word is no guess", wrap(`"on_failure": "explode", "operations": [{"id": "a", "type": "servers", "provider": "p"}]`), []string{`batch_workflow.on_failure: "explode" is not known; there are fail, continue, rollback`, `batch_workflow.operations[0].type: "servers" is not known`}},
		"types":             {"values of the wrong type", wrap(`"timeout": "soon", "rollback_enabled": 1, "operations": [` + op + `]`), []string{"batch_workflow.timeout: a whole number", "batch_workflow.rollback_enabled: true or false"}},
		"no workflow":       {"it says what is missing", `{"workflow": {}}`, []string{"batch_workflow: this field is missing", "workflow: this field is not known; there are batch_workflow"}},
		"nothing":           {"an empty file is TOML of nothing", ``, []string{"batch_workflow: this field is missing"}},
		"no JSON":           {"a brace begins JSON", `{"a": `, []string{"it begins like JSON and is none"}},
		"no TOML":           {"with its place", "a = = 1\n", []string{"line 1, column 5"}},
		"no operations":     {"nothing to run", wrap(`"operations": []`), []string{"at least one operation"}},
		"twice":             {"names that become the same are told", wrap(`"operations": [{"id": "a_b", "type": "server_batch", "provider": "p"}, {"id": "a-b", "type": "server_batch", "provider": "p"}]`), []string{"another operation is called a-b"}},
		"no counterpart":    {"deletion", wrap(`"operations": [{"id": "a", "type": "server_batch", "action": "delete"}]`), []string{"delete has no counterpart"}},
		"nowhere to act":    {"services need servers", wrap(`"operations": [{"id": "a", "type": "taskserv_batch", "services": ["etcd"]}]`), []string{"none of them makes servers"}},
		"no object":         {"an operation is fields", wrap(`"operations": [7]`), []string{"batch_workflow.operations[0]: an operation is expected, found 7"}},
		"a dependency":      {"its faults have a path, too", wrap(`"operations": [` + op + `, {"id": "b", "type": "server_batch", "provider": "p", "dependencies": [{"source": "a", "kind": "hard"}, 3]}]`), []string{"operations[1].dependencies[0].kind: this field", "operations[1].dependencies[1]: the id of an operation"}},
		"nothing to verify": {"a check looks at what comes before", wrap(`"operations": [{"id": "a", "type": "custom", "action": "check"}]`), []string{"check needs dependencies"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			result, err := Convert([]byte(tc.text))
			if err == nil {
				t.Fatalf("%s: it became\n%s", tc.reason, result.YAML)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got\n%v\nwant %s", tc.reason, err, want)
				}
			}
		})
	}
}

// TestConvertNeverFails: whatever it is given, there is YAML or an error.
func TestConvertNeverFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`1`, `"x"`, `[]`, `{}`, `null`, `[{"id": "a"}]`, `true`, `-1.5`})
		text := `{"batch_workflow": {`
		for i, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"name", "operations", "timeout", "rollback_strategy", "retry_policy", "on_failure"}), rapid.ID[string]).Draw(t, "fields") {
			if i > 0 {
				text += ","
			}
			text += `"` + name + `":` + value.Draw(t, "value")
		}
		result, err := Convert([]byte(text + `}}`))
		if err == nil && len(result.YAML) == 0 {
			t.Fatalf("%s gave nothing", text)
		}
	})
}
