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

// machinesAtOnce is how many machines one look talks to at the same time.
const machinesAtOnce = 8

// each does something on several machines at once. Failures stay with their machine.
func each[T any](all []T, do func(*T)) {
	var group errgroup.Group
	group.SetLimit(machinesAtOnce)
	for i := range all {
		group.Go(func() error {
			do(&all[i])
			return nil
		})
	}
	_ = group.Wait() // nothing returns an error
}

// on opens the way to a server's machine for one call. A machine that did not answer lately is not asked: it would hold up the
// others, whose next step waits for the end of this look.
func (v *visit) on(ctx context.Context, name string, do func(context.Context, transport.Transport) error) error {
	server, ok := v.servers[name]
	if !ok || server.Status.Access == nil {
		return fault.Waiting(fault.ReasonServerNotFound, 0, "there is no Server %s", name)
	}
	machine := server.Status.ID
	if err := v.memo.avoid(machine, v.kit.Now()); err != nil {
		return err
	}
	patience := v.memo.patience(machine, len(v.servers))
	bounded, stop := context.WithTimeout(ctx, patience)
	defer stop()
	err := v.dial(bounded, server, do)
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // we are stopping: this says nothing about the machine
	case bounded.Err() != nil:
		err = fault.New(fault.Retry, fault.ReasonUnreachable, "its machine does not answer")
	}
	return v.memo.heard(machine, err, v.kit.Now())
}

func (v *visit) dial(ctx context.Context, s *v1alpha1.Server, do func(context.Context, transport.Transport) error) error {
	tr, err := v.connector.Open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = tr.Close() }() // what was done is done
	return do(ctx, tr)
}
