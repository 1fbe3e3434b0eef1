package cli

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
)

// completion is what shells ask for: arguments so far, and the beginning of the next one.
type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

const noFiles = cobra.ShellCompDirectiveNoFileComp

// beginning keeps what begins with a text.
func beginning(names []string, with string) (kept []string) {
	for _, name := range names {
		if strings.HasPrefix(name, with) {
			kept = append(kept, name)
		}
	}
	return kept
}

func recipeNames() []string {
	all, err := catalog.Builtin()
	if err != nil {
		return nil
	}
	return all.Names()
}

func completeRecipes(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return beginning(recipeNames(), begun), noFiles
}

func completeExplain(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return beginning([]string{"recipe"}, begun), noFiles
	}
	if len(args) == 1 {
		return beginning(recipeNames(), begun), noFiles
	}
	return nil, noFiles
}

// live returns what a question to the cluster gives within a few seconds; nothing where there is no answer.
func (s *session) live(ask func(context.Context, *cluster) ([]string, error)) []string {
	c, err := s.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	names, err := ask(ctx, c)
	if err != nil {
		return nil
	}
	return names
}

// completeNames completes the first argument by the names of a kind.
func (s *session) completeNames(k kind) completion {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, noFiles
		}
		names := s.live(func(ctx context.Context, c *cluster) ([]string, error) { return c.names(ctx, k) })
		if before, _, slash := strings.Cut(begun, "/"); slash {
			if given, err := kindOf(before); err != nil || given.Kind != k.Kind {
				return nil, noFiles
			}
			for i := range names {
				names[i] = before + "/" + names[i]
			}
		}
		return beginning(names, begun), noFiles
	}
}

// completeOperations completes a workflow's name, and then names of its operations.
func (s *session) completeOperations(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return s.completeNames(kinds[0])(nil, nil, begun)
	}
	names := s.live(func(ctx context.Context, c *cluster) (names []string, err error) {
		w, err := c.workflow(ctx, args[0])
		for i := range w.Spec.Operations {
			names = append(names, w.Spec.Operations[i].Name)
		}
		return names, err
	})
	return beginning(names, begun), noFiles
}

// completeObjects completes kind/name for some kinds.
func (s *session) completeObjects(of ...string) completion {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, noFiles
		}
		names := s.live(func(ctx context.Context, c *cluster) (all []string, err error) {
			for _, name := range of {
				k := mustKind(name)
				names, err := c.names(ctx, k)
				if err != nil {
					return nil, err
				}
				for _, n := range names {
					all = append(all, k.names[0]+"/"+n)
				}
			}
			return all, nil
		})
		return beginning(names, begun), noFiles
	}
}

// completeKinds completes a kind, and then names of it.
func (s *session) completeKinds(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if before, _, slash := strings.Cut(begun, "/"); len(args) == 0 && slash {
		k, err := kindOf(before)
		if err != nil {
			return nil, noFiles
		}
		return s.completeNames(k)(nil, nil, begun)
	}
	if len(args) == 0 {
		var all []string
		for _, k := range kinds {
			all = append(all, k.resource)
		}
		return beginning(all, begun), noFiles
	}
	k, err := kindOf(args[0])
	if err != nil {
		return nil, noFiles
	}
	return s.completeNames(k)(nil, nil, begun)
}

// inKubeconfig are the flags whose values are names in the kubeconfig.
var inKubeconfig = map[string]func(*clientcmdapi.Config) iter.Seq[string]{
	"context": func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.Contexts) },
	"cluster": func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.Clusters) },
	"user":    func(c *clientcmdapi.Config) iter.Seq[string] { return maps.Keys(c.AuthInfos) },
}

func (s *session) completeKubeconfig(names func(*clientcmdapi.Config) iter.Seq[string]) completion {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		raw, err := s.config.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, noFiles
		}
		return beginning(slices.Sorted(names(&raw)), begun), noFiles
	}
}

// completeCategories completes the categories of recipes.
func completeCategories(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	all, err := catalog.Builtin()
	if err != nil {
		return nil, noFiles
	}
	var names []string
	for _, name := range all.Names() {
		if r, err := all.Get(name); err == nil {
			names = append(names, r.Category)
		}
	}
	slices.Sort(names)
	return beginning(slices.Compact(names), begun), noFiles
}

// completeServersOf completes the servers of the service that is named already.
func (s *session) completeServersOf(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, noFiles
	}
	names := s.live(func(ctx context.Context, c *cluster) (names []string, err error) {
		k, name, err := named(args[0], mustKind("run"))
		if err != nil || k.Kind != "TaskService" {
			return nil, err
		}
		t := &v1alpha1.TaskService{}
		err = c.get(ctx, k, name, t)
		for _, on := range t.Status.Servers {
			names = append(names, on.Name)
		}
		return names, err
	})
	return beginning(names, begun), noFiles
}

func (s *session) completeNamespaces(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return beginning(s.live(func(ctx context.Context, c *cluster) (names []string, err error) {
		list := &corev1.NamespaceList{}
		err = c.List(ctx, list)
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names, err
	}), begun), noFiles
}
