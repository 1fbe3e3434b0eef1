package manifest

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/config/crd"
)

// schema is what the API server checks objects of one kind with, built from the same CRD.
type schema struct {
	structural *structural.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// schemas by apiVersion and kind.
var schemas = sync.OnceValues(func() (map[string]*schema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	all := map[string]*schema{}
	for _, file := range files {
		text, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := load(all, text); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(file), err)
		}
	}
	return all, nil
})

func load(all map[string]*schema, text []byte) error {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return err
	}
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&definition, internal, nil); err != nil {
		return err
	}
	for _, version := range definition.Spec.Versions {
		s, err := apiextensions.GetSchemaForVersion(internal, version.Name)
		if err != nil || s == nil {
			return fmt.Errorf("version %s has no schema: %w", version.Name, err)
		}
		shape, err := structural.NewStructural(s.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		values, _, err := validation.NewSchemaValidator(s.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		all[definition.Spec.Group+"/"+version.Name+"/"+definition.Spec.Names.Kind] = &schema{
			structural: shape, values: values, rules: cel.NewValidator(shape, true, celconfig.PerCallLimit),
		}
	}
	return nil
}

// finding is one fault that the schema sees; a rule is written in CEL and may be told better by the operator's own code.
type finding struct {
	field, message string
	rule           bool
}

// check looks at an object as the API server would when it is created, and fills in defaults.
func (s *schema) check(object map[string]any) (found []finding) {
	for _, unknown := range pruning.PruneWithOptions(object, s.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		found = append(found, finding{field: unknown, message: "there is no such field"})
	}
	defaulting.Default(object, s.structural)
	errs := validation.ValidateCustomResource(nil, object, s.values)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	for _, err := range errs {
		found = append(found, finding{field: err.Field, message: describe(err)})
	}
	if len(errs) > 0 || s.rules == nil {
		return found // rules are written for objects of the right shape
	}
	rules, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range rules {
		found = append(found, finding{field: err.Field, message: strings.TrimPrefix(err.Detail, "failed rule: "), rule: true})
	}
	return found
}

// describe says what was found and what is wanted, without the field, which stands before it.
func describe(err *field.Error) string {
	wanted := strings.TrimPrefix(err.Detail, err.Field+" in body ")
	switch err.Type {
	case field.ErrorTypeRequired:
		return "is missing"
	case field.ErrorTypeTypeInvalid:
		wanted, found, _ := strings.Cut(wanted, ": ")
		return wanted + ", found " + strings.Trim(found, `"`)
	case field.ErrorTypeTooMany, field.ErrorTypeTooLong:
		return clip(wanted, 400)
	case field.ErrorTypeDuplicate:
		return fmt.Sprintf("%s stands there twice", clip(fmt.Sprint(err.BadValue), 80))
	}
	if text, ok := err.BadValue.(string); ok {
		return clip(fmt.Sprintf("%q: %s", clip(text, 80), wanted), 400)
	}
	return clip(wanted, 400)
}

func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
