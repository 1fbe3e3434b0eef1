package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/lab"
)

// graph is a workflow of n operations, each depending on up to so many before it, as a person would write it.
func graph(t *testing.T, name string, n, edges int) string {
	t.Helper()
	operations := make([]map[string]any, n)
	for i := range operations {
		var on []map[string]string
		for e := 1; e <= min(edges, i); e++ {
			on = append(on, map[string]string{"operation": fmt.Sprintf("op-%d", i-e)})
		}
		operations[i] = map[string]any{"name": fmt.Sprintf("op-%d", i), "type": "Wait", "wait": map[string]any{"duration": "0s"}}
		if on != nil {
			operations[i]["dependsOn"] = on
		}
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": "keelway.dev/v1alpha1", "kind": "BatchWorkflow", "metadata": map[string]string{"name": name},
		"spec": map[string]any{"operations": operations},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLargeWorkflows(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for name, tc := range map[string]struct {
		reason   string
		n, edges int
		refused  string
	}{
		"most":      {"as many operations as the schema allows", 5000, 2, ""},
		"densest":   {"as many edges as the schema allows an operation", 1500, 16, ""},
		"too-many":  {"one operation more than that", 5001, 0, "must have at most 5000 items"},
		"too-dense": {"one edge more than that", 40, 17, "must have at most 16 items"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.ControlPlane.Kubectl(t.Context(), strings.NewReader(graph(t, name, tc.n, tc.edges)),
				"apply", "--server-side", "--namespace", namespace, "--filename", "-")
			if tc.refused == "" && err != nil {
				t.Errorf("%s: refused: %v", tc.reason, err)
			}
			if tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("%s: %v, want %q", tc.reason, err, tc.refused)
			}
		})
	}
}
