package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
)

// TestFaultsKnowTheirFields: who reads a file is led to each line that is wrong, all at once.
func TestFaultsKnowTheirFields(t *testing.T) {
	recipes, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	const server = `{name: s, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}`
	cases := map[string]struct {
		reason, operations string
		want               []string // field: a part of the message
	}{
		"nothing": {"an empty list", `[]`, []string{"spec.operations: at least one operation"}},
		"a graph with three faults": {"each edge and each name is told", `
- ` + server + `
- {name: s, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: x}, {operation: s}]}`, []string{
			"spec.operations[1].name: two operations", "spec.operations[1].dependsOn[0].operation: does not exist", "spec.operations[1].dependsOn[1].operation: on itself"}},
		"a cycle": {"it is printed where its first operation waits", `
- {name: a, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: b}]}
- {name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: a}]}`, []string{"spec.operations[0].dependsOn: a → b → a"}},
		"recipes besides a broken graph": {"what recipes say does not wait for the graph; a reference is no value that could be wrong", `
- ` + server + `
- {name: e, type: TaskServiceBatch, dependsOn: [{operation: t}], taskServiceBatch: {targets: {operation: s}, recipes: [
    {name: etdc}, {name: etcd, parameters: {clientPort: "${operations.s.outputs.names}"}}]}}`, []string{
			"spec.operations[1].dependsOn[0].operation: does not exist", "spec.operations[1].taskServiceBatch.recipes[0]: did you mean etcd"}},
		"parameters": {"they have a place of their own", `
- ` + server + `
- {name: e, type: TaskServiceBatch, dependsOn: [{operation: s}], taskServiceBatch: {targets: {operation: s}, recipes: [{name: etcd, parameters: {clientPort: x}}]}}`, []string{
			"spec.operations[1].taskServiceBatch.recipes[0].parameters: clientPort"}},
		"conditions and targets": {"every section that can be wrong", `
- {name: w, type: Wait, wait: {duration: 1s}, when: "1 +"}
- {name: c, type: Command, command: {script: "true", target: {operation: w}}}`, []string{
			"spec.operations[1].command.target: only a ServerBatch", "spec.operations[0].when: when"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &v1alpha1.BatchWorkflow{}
			if err := yaml.UnmarshalStrict([]byte(tc.operations), &w.Spec.Operations); err != nil {
				t.Fatal(err)
			}
			_, err := Compile(w, recipes)
			found := FaultsIn(err)
			if len(found) != len(tc.want) {
				t.Fatalf("%s: got %v", tc.reason, err)
			}
			for i, want := range tc.want {
				field, text, _ := strings.Cut(want, ": ")
				if found[i].Field != field || !strings.Contains(found[i].Err.Error(), text) {
					t.Errorf("%s: got %s: %v, want %s", tc.reason, found[i].Field, found[i].Err, want)
				}
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	w := &v1alpha1.BatchWorkflow{}
	for i := range 400 {
		w.Spec.Operations = append(w.Spec.Operations, v1alpha1.Operation{Name: fmt.Sprint("o", i), Type: "Odd"})
	}
	_, err := Compile(w, nil)
	if n := len(FaultsIn(err)); n != maxFaults {
		t.Errorf("%d faults are kept, want %d", n, maxFaults)
	}
	if diff := cmp.Diff(maxListed, strings.Count(err.Error(), "; ")); diff != "" {
		t.Errorf("the message lists another number (-want +got):\n%s", diff)
	}
}
