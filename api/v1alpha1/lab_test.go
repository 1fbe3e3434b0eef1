package v1alpha1_test

import (
	"os"
	"path/filepath"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/hack/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// strictly refuses fields that the schema does not know, as kubectl does.
var strictly = &client.CreateOptions{FieldValidation: metav1.FieldValidationStrict}

// example reads one of testdata/ and merges a change into it, both YAML. A list in the change replaces the example's.
func example(t *testing.T, file, change string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	data = merge(t, data, change)
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return u
}

func merge(t *testing.T, data []byte, change string) []byte {
	t.Helper()
	if change == "" {
		return data
	}
	patch, err := yaml.YAMLToJSON([]byte(change))
	if err != nil {
		t.Fatalf("the change: %v", err)
	}
	if data, err = jsonpatch.MergePatch(data, patch); err != nil {
		t.Fatalf("the change: %v", err)
	}
	return data
}

// create sends an example, changed, to the API server.
func create(t *testing.T, l *lab.Lab, namespace, file, change string) (*unstructured.Unstructured, error) {
	t.Helper()
	u := example(t, file, change)
	u.SetNamespace(namespace)
	return u, l.Client.Create(t.Context(), u, strictly)
}
