package taskservice

import (
	"context"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
)

// fit refuses the whole service when one machine lacks what the recipe needs: nothing is half-made.
func (v *visit) fit(_ context.Context, _ *v1alpha1.TaskService) error {
	for _, name := range v.wanted {
		node, known := v.node(name)
		if !known {
			v.unknown = append(v.unknown, name)
			continue
		}
		v.nodes = append(v.nodes, node)
		if err := v.recipe.Fits(node); err != nil {
			return err
		}
	}
	return nil
}

// relate compares the service with the others on the same servers: an older one that excludes it keeps its place, and what it
// requires has to be ready first.
func (v *visit) relate(ctx context.Context, t *v1alpha1.TaskService) error {
	neighbours, err := v.neighbours(ctx, t)
	if err != nil {
		return err
	}
	for _, n := range neighbours {
		if before(n.service, t) && (n.service.Spec.Recipe == t.Spec.Recipe || excludes(v.recipe, n.recipe) || excludes(n.recipe, v.recipe)) {
			class := fault.Terminal
			if !n.service.DeletionTimestamp.IsZero() {
				class = fault.Wait
			}
			return fault.New(class, fault.ReasonRecipeConflict, "recipe %s cannot be on server %s together with TaskService %s (recipe %s): choose other servers, or delete one of them",
				t.Spec.Recipe, n.shared[0], n.service.Name, n.service.Spec.Recipe)
		}
	}
	for _, required := range v.recipe.Requires {
		if err := v.require(t, required, neighbours); err != nil {
			return err
		}
	}
	return nil
}

// neighbour is another TaskService on at least one of our servers.
type neighbour struct {
	service *v1alpha1.TaskService
	recipe  *catalog.Recipe // nil when the catalog has none of that name
	shared  []string
}

func (v *visit) neighbours(ctx context.Context, t *v1alpha1.TaskService) ([]neighbour, error) {
	var list v1alpha1.TaskServiceList
	if err := v.kit.Client.List(ctx, &list, client.InNamespace(t.Namespace)); err != nil {
		return nil, err
	}
	var all []neighbour
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == t.UID {
			continue
		}
		n := neighbour{service: other}
		for _, name := range v.wanted {
			if concerns(other, v.servers[name], name) {
				n.shared = append(n.shared, name)
			}
		}
		if len(n.shared) > 0 {
			n.recipe, _ = v.catalog.Get(other.Spec.Recipe) // that it does not exist is for the other one to say
			all = append(all, n)
		}
	}
	return all, nil
}

// concerns reports whether a service is, or is to be, on a server.
func concerns(t *v1alpha1.TaskService, server *v1alpha1.Server, name string) bool {
	if slices.Contains(t.Spec.Servers.Names, name) {
		return true
	}
	if server != nil && t.Spec.Servers.Selector != nil && matches(t, server) {
		return true
	}
	return slices.ContainsFunc(t.Status.Servers, func(s v1alpha1.ServiceOnServer) bool { return s.Name == name && s.Round > 0 })
}

func before(a, b *v1alpha1.TaskService) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}

// excludes reports whether recipe a does not bear recipe b.
func excludes(a, b *catalog.Recipe) bool {
	return a != nil && b != nil && slices.ContainsFunc(a.Conflicts, func(name string) bool { return provides(b, name) })
}

func provides(r *catalog.Recipe, name string) bool {
	return r != nil && (r.Name == name || slices.Contains(r.Provides, name))
}

// require waits until what the recipe requires is ready on every server on which the service is not installed yet. A service
// that is installed is not called unwell because another one is.
func (v *visit) require(t *v1alpha1.TaskService, required string, neighbours []neighbour) error {
	var missing []string
	for _, name := range v.wanted {
		if !installed(t, name) && !slices.ContainsFunc(neighbours, func(n neighbour) bool { return provides(n.recipe, required) && readyOn(n.service, name) }) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, n := range neighbours {
		if provides(n.recipe, required) {
			return fault.Waiting(fault.ReasonDependency, 0, "recipe %s requires %s, and TaskService %s is not ready on server %s", t.Spec.Recipe, required, n.service.Name, missing[0])
		}
	}
	return fault.Waiting(fault.ReasonDependency, 0, "recipe %s requires %s, and no TaskService brings it to server %s: make one",
		t.Spec.Recipe, required, strings.Join(missing[:min(3, len(missing))], ", "))
}

func installed(t *v1alpha1.TaskService, name string) bool {
	return slices.ContainsFunc(t.Status.Servers, func(s v1alpha1.ServiceOnServer) bool { return s.Name == name && s.Digest != "" })
}

func readyOn(t *v1alpha1.TaskService, name string) bool {
	return slices.ContainsFunc(t.Status.Servers, func(s v1alpha1.ServiceOnServer) bool {
		return s.Name == name && s.Phase == v1alpha1.ServiceReady
	})
}
