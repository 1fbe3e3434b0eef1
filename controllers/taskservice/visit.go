package taskservice

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// visit is one look at one TaskService: what each step learns for the next.
type visit struct {
	*Reconciler
	memo *memo
	wake time.Duration

	recipe     *catalog.Recipe
	given      map[string]any    // spec.parameters as they stand
	parameters map[string]any    // checked, with defaults
	secrets    map[string]string // by parameter
	marks      []string          // which Secrets, at which versions

	wanted  []string
	servers map[string]*v1alpha1.Server
	nodes   []catalog.Node // of the wanted servers that enough is known of
	unknown []string       // the others
	peers   bool           // one server's input depends on the others
	digests map[string]string

	hosts []seenHost
}

const (
	machinesAtOnce = 8
	tripTimeout    = 30 * time.Second // of everything that one look does on one machine
)

// each does something on several machines at once. A machine that does not answer costs its own time and nobody else's.
func each[T any](ctx context.Context, all []T, do func(context.Context, *T)) {
	var group errgroup.Group
	group.SetLimit(machinesAtOnce)
	for i := range all {
		group.Go(func() error {
			bounded, stop := context.WithTimeout(ctx, tripTimeout)
			defer stop()
			do(bounded, &all[i])
			return nil
		})
	}
	_ = group.Wait() // failures stay with their machine
}

// on opens the way to a server's machine for one call.
func (v *visit) on(ctx context.Context, name string, do func(transport.Transport) error) error {
	server, ok := v.servers[name]
	if !ok || server.Status.Access == nil {
		return fault.Waiting(fault.ReasonServerNotFound, 0, "there is no Server %s", name)
	}
	a := server.Status.Access
	tr, err := v.dialer.Dial(ctx, transport.Access{Transport: a.Transport, Target: a.Target, Address: a.Address})
	if err != nil {
		return err
	}
	defer func() { _ = tr.Close() }() // what was done is done
	return do(tr)
}
