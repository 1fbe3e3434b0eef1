package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/config/crd"
)

// strangers names the CRDs of the cluster whose schemas are not those of this program. Who may not read CRDs learns nothing of that.
func strangers(ctx context.Context, c client.Reader) (names []string, err error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ours := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, ours); err != nil {
			return nil, fmt.Errorf("reading the built-in %s: %w", file, err)
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		if err := c.Get(ctx, client.ObjectKey{Name: ours.Name}, live); err != nil {
			return nil, err
		}
		theirs := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, theirs); err != nil {
			return nil, fmt.Errorf("reading the CRD %s: %w", ours.Name, err)
		}
		same, err := sameSchemas(ours, theirs)
		if err != nil {
			return nil, err
		}
		if !same {
			names = append(names, strings.TrimSuffix(ours.Name, "."+ours.Spec.Group))
		}
	}
	return names, nil
}

// sameSchemas reports whether each version of ours has the same schema there.
func sameSchemas(ours, theirs *apiextensionsv1.CustomResourceDefinition) (bool, error) {
	for _, version := range ours.Spec.Versions {
		found := false
		for _, other := range theirs.Spec.Versions {
			if other.Name != version.Name {
				continue
			}
			a, err := json.Marshal(version.Schema)
			if err != nil {
				return false, err
			}
			b, err := json.Marshal(other.Schema)
			if err != nil {
				return false, err
			}
			found = bytes.Equal(a, b)
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}
