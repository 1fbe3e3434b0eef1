package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/nearest"
)

func (s *session) verbAbandon() *cobra.Command {
	c := &cobra.Command{
		Use: "abandon SERVER | taskservice/NAME SERVER...", Short: "Let a deletion no longer wait for a machine, and leave that as it is",
		Long: `abandon gives up a machine that cannot be reached or ended, so that the deletion of its object can come to its end. The machine is left
as it is, and whoever pays for it goes on doing so; an event keeps its id. Of a Server it is its own machine that is given up, of a
TaskService what is on the servers that are named.`,
		Example: "  keelway abandon web-1\n  keelway abandon taskservice/etcd db-3",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: s.completeObjects("server", "taskservice"),
	}
	return s.asking(c, func(ctx context.Context, args []string) (request, error) { return s.abandon(ctx, args) })
}

func (s *session) abandon(ctx context.Context, args []string) (request, error) {
	k, name, err := named(args[0], mustKind("server"))
	if err != nil {
		return request{}, err
	}
	c, err := s.connect()
	if err != nil {
		return request{}, err
	}
	machines := args[1:]
	switch k.Kind {
	case "Server":
		server := &v1alpha1.Server{}
		if err := c.get(ctx, k, name, server); err != nil {
			return request{}, err
		}
		switch {
		case len(machines) > 0:
			return request{}, invalid("a Server has one machine, its own: leave out %s", clip(strings.Join(machines, " "), 60))
		case server.Status.ID == "":
			return request{}, failed(codeFailed, "", "Server %s has no machine: there is nothing to abandon", name)
		}
		machines = []string{server.Status.ID}
	case "TaskService":
		service := &v1alpha1.TaskService{}
		if err := c.get(ctx, k, name, service); err != nil {
			return request{}, err
		}
		if err := carries(service, machines); err != nil {
			return request{}, err
		}
	default:
		return request{}, invalid("only what is on servers can be abandoned, and %s is a %s", name, k.Kind)
	}
	value := strings.Join(machines, ",")
	return request{
		kind: k, name: name, asks: "no waiting for " + value,
		patch:   map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationAbandon: value}}},
		kubectl: fmt.Sprintf("%s %s/%s %s=%s", s.kubectl("annotate --overwrite", c.namespace), k.resource, name, v1alpha1.AnnotationAbandon, value),
	}, nil
}

// carries wants servers that a service is on.
func carries(t *v1alpha1.TaskService, servers []string) error {
	var known []string
	for _, on := range t.Status.Servers {
		known = append(known, on.Name)
	}
	if len(servers) == 0 {
		return invalid("name the servers to give up: TaskService %s is on %s", t.Name, clip(strings.Join(known, ", "), 300))
	}
	for _, server := range servers {
		if !slices.Contains(known, server) {
			return failed(codeFailed, "", "TaskService %s is not on %q%s", t.Name, clip(server, 60), nearest.Hint(server, known))
		}
	}
	return nil
}
