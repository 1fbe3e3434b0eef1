package docs

import (
	"bufio"
	"bytes"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/plan"
)

// strict decodes our kinds and refuses fields that they do not have. That the API server accepts the examples, with its rules and
// bounds, the tests of api/v1alpha1 show.
func strict(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// documents splits a YAML text.
func documents(t *testing.T, text string) (all [][]byte) {
	t.Helper()
	reader := kyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if err != nil {
			return all
		}
		if len(bytes.TrimSpace(document)) > 0 {
			all = append(all, document)
		}
	}
}

// TestExamplesDecodeAndCompile reads every example as its type. A workflow must compile too, with the recipes that there are,
// and a TaskService give its recipe what that takes.
func TestExamplesDecodeAndCompile(t *testing.T) {
	recipes, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	decoder, seen := strict(t), map[string]int{}
	err = filepath.WalkDir(filepath.Join(root, "examples"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		for _, document := range documents(t, read(t, path)) {
			object, kind, err := decoder.Decode(document, nil, nil)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			seen[kind.Kind]++
			if w, ok := object.(*v1alpha1.BatchWorkflow); ok {
				if _, err := plan.Compile(w, recipes); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
			if s, ok := object.(*v1alpha1.TaskService); ok {
				if err := checkService(recipes, s); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind, page := range pages {
		if kind != "Checkpoint" && seen[kind] < 2 {
			t.Errorf("%d examples of kind %s: %s promises a minimal and a full one", seen[kind], kind, page)
		}
	}
}

// TestSnippetsDecode reads the blocks of the pages that are objects of ours.
func TestSnippetsDecode(t *testing.T) {
	decoder, decoded := strict(t), 0
	for _, page := range append(markdown(t), filepath.Join(root, "README.md")) {
		for _, block := range fence.FindAllString(read(t, page), -1) {
			text, isYAML := strings.CutPrefix(strings.Trim(block, "`"), "yaml\n")
			if !isYAML {
				continue
			}
			for _, document := range documents(t, text) {
				if !bytes.Contains(document, []byte("apiVersion: "+v1alpha1.GroupVersion.String())) || bytes.Contains(document, []byte("kind: Recipe\n")) {
					continue
				}
				decoded++
				if _, _, err := decoder.Decode(document, nil, nil); err != nil {
					t.Errorf("%s: %v\n%s", page, err, document)
				}
			}
		}
	}
	if decoded < 4 {
		t.Errorf("%d snippets were read: the search is broken", decoded)
	}
}
