package taskservice

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// readOutputs takes parameters from what other TaskServices offer. Once a service was ready its outputs count, whatever its health
// is now: they follow from its servers and parameters. While one cannot be read, nothing here changes.
func (v *visit) readOutputs(ctx context.Context, t *v1alpha1.TaskService) error {
	for i, source := range t.Spec.ParametersFrom {
		ref := source.TaskServiceRef
		if ref == nil {
			continue
		}
		if _, twice := v.given[source.Parameter]; twice {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "spec.parametersFrom[%d]: parameter %s is in spec.parameters too: remove it from one of them", i, source.Parameter)
		}
		if path := v.circle(ctx, t, ref.Name); path != nil {
			return fault.New(fault.Terminal, fault.ReasonCycle, "spec.parametersFrom[%d]: TaskServices take parameters from each other: %s: break the circle", i, strings.Join(path, " → "))
		}
		other := &v1alpha1.TaskService{}
		err := v.kit.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: ref.Name}, other)
		switch {
		case apierrors.IsNotFound(err):
			return fault.Waiting(fault.ReasonDependency, 0, "spec.parametersFrom[%d]: there is no TaskService %s in namespace %s: create it, or take the parameter from elsewhere", i, ref.Name, t.Namespace)
		case err != nil:
			return err
		case other.Status.Version == "":
			return fault.Waiting(fault.ReasonDependency, 0, "spec.parametersFrom[%d]: TaskService %s has not been ready yet", i, ref.Name)
		}
		value, ok := other.Status.Outputs[ref.Output]
		if !ok {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "spec.parametersFrom[%d]: TaskService %s (recipe %s) has no output %s; it has %s",
				i, ref.Name, other.Spec.Recipe, ref.Output, outputNames(other))
		}
		if v.given == nil {
			v.given = map[string]any{}
		}
		v.given[source.Parameter] = value
	}
	return nil
}

func outputNames(t *v1alpha1.TaskService) string {
	var names []string
	for name := range t.Status.Outputs {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// circle follows the references from a TaskService and returns the way back to t, or nil. Who cannot be read ends the walk.
func (v *visit) circle(ctx context.Context, t *v1alpha1.TaskService, from string) []string {
	seen := map[string]bool{}
	var walk func(name string, path []string) []string
	walk = func(name string, path []string) []string {
		path = append(slices.Clone(path), name)
		if name == t.Name {
			return path
		}
		other := &v1alpha1.TaskService{}
		if seen[name] || v.kit.Client.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: name}, other) != nil {
			return nil
		}
		seen[name] = true
		for _, source := range other.Spec.ParametersFrom {
			if source.TaskServiceRef == nil {
				continue
			}
			if back := walk(source.TaskServiceRef.Name, path); back != nil {
				return back
			}
		}
		return nil
	}
	return walk(from, []string{t.Name})
}
