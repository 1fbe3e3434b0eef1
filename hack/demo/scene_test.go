package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

// example is the workflow that people apply.
func example(t *testing.T) *v1alpha1.BatchWorkflow {
	t.Helper()
	text, err := os.ReadFile("../../examples/demo/workflow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &v1alpha1.BatchWorkflow{}
	if err := yaml.UnmarshalStrict(text, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// scene is the example as it stands with that many servers, and a service on them where one is given.
func scene(t *testing.T, version string, servers int, services ...v1alpha1.TaskService) *snapshot {
	s := &snapshot{view.Snapshot{Workflow: example(t), Servers: make([]v1alpha1.Server, servers), Services: services}}
	s.Workflow.ResourceVersion = version
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name + ".golden")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
