package manifest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/plan"
)

// Validate says everything that is wrong with documents, in the order of their lines: what the API server's schema and rules would
// refuse, and what the operator would. Documents of kinds that are not ours are no fault and are not looked at. A nil catalog
// leaves out what only recipes can tell.
func Validate(docs []*Document, recipes *catalog.Catalog) ([]Fault, error) {
	known, err := schemas()
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInternal, "reading the built-in CRDs: %w", err)
	}
	var all []Fault
	named := map[string]*Document{}
	for _, doc := range docs {
		found := doc.heads()
		if doc.Ours() {
			found = append(found, doc.validate(known, recipes)...)
		}
		if id := doc.GetAPIVersion() + "/" + doc.GetKind() + "/" + doc.GetNamespace() + "/" + doc.GetName(); doc.GetName() != "" {
			if first := named[id]; first != nil {
				found = append(found, doc.fault("metadata.name", "the same object stands in %s:%d already", first.File, first.Line))
			}
			named[id] = doc
		}
		slices.SortStableFunc(found, func(a, b Fault) int { return a.Line - b.Line })
		all = append(all, found...)
	}
	return all, nil
}

// Ours reports whether the object is of Keelway's group, whatever its version.
func (d *Document) Ours() bool {
	return strings.HasPrefix(d.GetAPIVersion(), v1alpha1.GroupVersion.Group+"/")
}

// heads checks what every object has.
func (d *Document) heads() (found []Fault) {
	if d.GetAPIVersion() == "" {
		found = append(found, d.fault("apiVersion", "is missing: %s is the one of Keelway's kinds", v1alpha1.GroupVersion))
	}
	if d.GetKind() == "" {
		found = append(found, d.fault("kind", "is missing"))
	}
	switch name := d.GetName(); {
	case name == "" && d.GetGenerateName() == "":
		found = append(found, d.fault("metadata.name", "is missing"))
	case name != "" && d.Ours():
		for _, problem := range utilvalidation.NameIsDNSSubdomain(name, false) {
			found = append(found, d.fault("metadata.name", "%q: %s", clip(name, 80), problem))
		}
	}
	return found
}

func (d *Document) validate(known map[string]*schema, recipes *catalog.Catalog) []Fault {
	s := known[d.GetAPIVersion()+"/"+d.GetKind()]
	if s == nil {
		return []Fault{d.unknownKind(known)}
	}
	object := runtime.DeepCopyJSON(d.Object)
	findings := s.check(object)
	for _, f := range findings {
		if !f.rule {
			leaveOut(object, steps(f.field)) // so that the rest can be looked at
		}
	}
	said := d.ask(object, recipes)
	var found []Fault
	for _, f := range findings {
		if !f.rule || !toldBetter(f.field, said) {
			found = append(found, d.fault(f.field, "%s", f.message))
		}
	}
	for _, f := range said {
		follows := func(cause finding) bool { return !cause.rule && within(cause.field, f.Field) }
		if !slices.ContainsFunc(findings, follows) {
			found = append(found, f)
		}
	}
	return found
}

// toldBetter reports whether the operator's own code has something to say about the field of a rule, or what is in it: its words name
// the culprit, those of the rule do not.
func toldBetter(field string, said []Fault) bool {
	return slices.ContainsFunc(said, func(f Fault) bool { return within(f.Field, field) })
}

// within reports whether a field is another one, or part of it.
func within(part, whole string) bool {
	return part == whole || strings.HasPrefix(part, whole+".") || strings.HasPrefix(part, whole+"[")
}

// leaveOut removes a field of an object; items of lists stay, because others are found by their number.
func leaveOut(at any, path []string) {
	for ; len(path) > 1; path = path[1:] {
		switch v := at.(type) {
		case map[string]any:
			at = v[path[0]]
		case []any:
			n, err := strconv.Atoi(path[0])
			if err != nil || n < 0 || n >= len(v) {
				return
			}
			at = v[n]
		default:
			return
		}
	}
	if m, ok := at.(map[string]any); ok && len(path) == 1 {
		delete(m, path[0])
	}
}

// Defaulted returns the object as the API server would keep it: with defaults, and without fields that do not exist.
func (d *Document) Defaulted() (map[string]any, error) {
	known, err := schemas()
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInternal, "reading the built-in CRDs: %w", err)
	}
	object := runtime.DeepCopyJSON(d.Object)
	if s := known[d.GetAPIVersion()+"/"+d.GetKind()]; s != nil {
		s.check(object)
	}
	return object, nil
}

func (d *Document) unknownKind(known map[string]*schema) Fault {
	var kinds, versions []string
	for name := range known {
		group, kind := name[:strings.LastIndexByte(name, '/')], name[strings.LastIndexByte(name, '/')+1:]
		if kind == d.GetKind() {
			versions = append(versions, group)
		}
		if kind != "Checkpoint" {
			kinds = append(kinds, kind)
		}
	}
	if len(versions) > 0 {
		return d.fault("apiVersion", "%s is not a version of %s: use %s", clip(d.GetAPIVersion(), 80), d.GetKind(), strings.Join(versions, " or "))
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	return d.fault("kind", "%q is not a kind of %s%s", clip(d.GetKind(), 80), v1alpha1.GroupVersion, nearest.Hint(d.GetKind(), kinds))
}

// ask hears the operator's own code about an object with its defaults. What has not the shape of its kind, the schema has refused.
func (d *Document) ask(object map[string]any, recipes *catalog.Catalog) (found []Fault) {
	switch d.GetKind() {
	case "BatchWorkflow":
		w := &v1alpha1.BatchWorkflow{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(object, w) != nil {
			return nil
		}
		_, err := plan.Compile(w, recipes)
		for _, f := range plan.FaultsIn(err) {
			found = append(found, d.fault(f.Field, "%s", strings.TrimPrefix(f.Err.Error(), "spec.operations: ")))
		}
	case "TaskService":
		t := &v1alpha1.TaskService{}
		if recipes != nil && runtime.DefaultUnstructuredConverter.FromUnstructured(object, t) == nil {
			return d.askRecipe(t, recipes)
		}
	}
	return found
}

func (d *Document) askRecipe(t *v1alpha1.TaskService, recipes *catalog.Catalog) (found []Fault) {
	recipe, err := recipes.Get(t.Spec.Recipe)
	if err != nil {
		return []Fault{d.fault("spec.recipe", "%v", err)}
	}
	if _, err := recipe.Resolve(t.Spec.Version); err != nil {
		found = append(found, d.fault("spec.version", "%v", err))
	}
	given := map[string]any{}
	if p := t.Spec.Parameters; p != nil && len(p.Raw) > 0 {
		if err := json.Unmarshal(p.Raw, &given); err != nil {
			return append(found, d.fault("spec.parameters", "%v", err))
		}
	}
	var elsewhere []string
	for _, source := range t.Spec.ParametersFrom {
		elsewhere = append(elsewhere, source.Parameter)
	}
	if _, err := recipe.Validate(given, elsewhere...); err != nil {
		found = append(found, d.fault("spec.parameters", "%v", err))
	}
	return found
}
