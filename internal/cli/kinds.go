package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/nearest"
)

// object is what clients carry, and what has conditions.
type object interface {
	v1alpha1.Object
	client.Object
}

// kind is one of ours, with all the names that people give it.
type kind struct {
	schema.GroupVersionKind
	resource string
	names    []string
	empty    func() object
	list     func() client.ObjectList
}

func ours(name, resource string, empty func() object, list func() client.ObjectList, short ...string) kind {
	return kind{v1alpha1.GroupVersion.WithKind(name), resource, append([]string{strings.ToLower(name), resource}, short...), empty, list}
}

// kinds that can be asked for, the most important one first.
var kinds = []kind{
	ours("BatchWorkflow", "batchworkflows", func() object { return &v1alpha1.BatchWorkflow{} }, func() client.ObjectList { return &v1alpha1.BatchWorkflowList{} }, "bwf", "workflow", "workflows"),
	ours("Server", "servers", func() object { return &v1alpha1.Server{} }, func() client.ObjectList { return &v1alpha1.ServerList{} }, "ksrv"),
	ours("TaskService", "taskservices", func() object { return &v1alpha1.TaskService{} }, func() client.ObjectList { return &v1alpha1.TaskServiceList{} }, "ktsv", "service", "services"),
	ours("Run", "runs", func() object { return &v1alpha1.Run{} }, func() client.ObjectList { return &v1alpha1.RunList{} }, "krun"),
	ours("Provider", "providers", func() object { return &v1alpha1.Provider{} }, func() client.ObjectList { return &v1alpha1.ProviderList{} }, "kprov"),
}

// kindOf finds a kind by any of its names.
func kindOf(name string) (kind, error) {
	var known, resources []string
	for _, k := range kinds {
		for _, n := range k.names {
			if strings.EqualFold(n, name) || strings.EqualFold(n+"."+v1alpha1.GroupVersion.Group, name) {
				return k, nil
			}
			known = append(known, n)
		}
		resources = append(resources, k.resource)
	}
	if len(nearest.Names(strings.ToLower(name), known)) == 0 {
		known = resources // their other names would be noise
	}
	return kind{}, invalid("%q is no kind of Keelway%s", clip(name, 60), nearest.Hint(strings.ToLower(name), known))
}

func mustKind(name string) kind {
	k, err := kindOf(name)
	if err != nil {
		panic(err)
	}
	return k
}

// named splits kind/name; without a kind it is fallback.
func named(text string, fallback kind) (kind, string, error) {
	before, name, slash := strings.Cut(text, "/")
	if !slash {
		return fallback, text, nil
	}
	k, err := kindOf(before)
	return k, name, err
}

// of makes a verb on an object of one kind take its name also with the kind before it, as get -o name and kubectl print it.
func of(k kind, c *cobra.Command) *cobra.Command {
	do := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			given, name, err := named(args[0], k)
			switch {
			case err != nil:
				return err
			case given.Kind != k.Kind:
				return invalid("%s is about a %s, and %s is a %s", cmd.Name(), k.Kind, clip(args[0], 80), given.Kind)
			}
			args = slices.Concat([]string{name}, args[1:])
		}
		return do(cmd, args)
	}
	return c
}
