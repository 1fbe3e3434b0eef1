package server

import (
	"context"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/reconcile"
)

// maxAddresses is the API's bound.
const maxAddresses = 16

// publish writes what was seen of the machine into the status. Another id than the recorded one means another machine, of which
// nothing is known yet.
func (v *visit) publish(id string) {
	i, ok := v.shown[id]
	if !ok {
		return
	}
	status := &v.server.Status
	if status.ID != i.ID {
		status.ID, status.Access, status.Facts, status.HostKeys, status.Addresses = i.ID, nil, nil, nil, nil
		status.Replacing = nil
	}
	status.Account = v.door.account.ID
	if i.Brief { // what was recorded of it stays
		return
	}
	status.Addresses = nil
	for _, a := range i.Addresses[:min(len(i.Addresses), maxAddresses)] {
		status.Addresses = append(status.Addresses, v1alpha1.ServerAddress{Type: string(a.Type), Address: a.Address})
	}
	if access := connect.Publish(i.Access); access != nil {
		connect.Complete(access, v.door.object)
		status.Access = access
	}
}

// adopt records a machine that an earlier visit made and could not record, before anything else is done with it.
func (v *visit) adopt(ctx context.Context, id string) error {
	v.seen.Recorded = id
	if a := v.server.Spec.Adopt; a == nil || a.ID != id { // it was made with them
		made, _ := v.labels()
		v.writes(made)
	}
	v.publish(id)
	if !v.seen.Deleting {
		return nil // nothing is done any more: the visit's own write records it
	}
	return reconcile.Record(ctx, v.server)
}
