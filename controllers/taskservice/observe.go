package taskservice

import (
	"context"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
)

// seenHost is a server with the run that it is asked about.
type seenHost struct {
	plan.Host
	asks string
}

// observe asks every machine that has a run under way how it stands. The answers are redacted before anything else sees them.
func (v *visit) observe(ctx context.Context, t *v1alpha1.TaskService) error {
	names := slices.Clone(v.wanted)
	recorded := map[string]v1alpha1.ServiceOnServer{}
	for _, s := range t.Status.Servers {
		recorded[s.Name] = s
		names = append(names, s.Name)
	}
	slices.Sort(names)
	v.hosts = nil
	abandoned := plan.NamedIn(t.Annotations[v1alpha1.AnnotationAbandon])
	for _, name := range slices.Compact(names) {
		host := v.host(name, abandoned)
		host.Recorded = recorded[name]
		v.hosts = append(v.hosts, seenHost{Host: host, asks: host.Asks(string(t.UID))})
	}
	hidden := v.hidden()
	each(v.hosts, func(h *seenHost) {
		if h.asks == "" {
			return
		}
		h.Err = v.on(ctx, h.Name, func(ctx context.Context, tr transport.Transport) error {
			status, err := runner.Poll(ctx, tr, h.asks, hidden...)
			if err == nil {
				h.Said = &plan.RunSaid{State: plan.RunState(status.State), Code: status.Code, Tail: status.Tail, TimedOut: status.TimedOut}
			}
			return err
		})
	})
	return ctx.Err()
}
