package server

import (
	"context"
	"slices"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// look asks the account what there is. The first look of a visit reads the inventory's List, one for all who ask, as long as it
// began after our last deed. A second one must not repeat the first one's mistake, so it asks in another way.
func (v *visit) look(ctx context.Context, id string) error {
	var found []provider.Instance
	var err error
	switch {
	case !v.seen.Looked:
		found, err = v.listed(ctx)
	case id != "":
		found, err = v.get(ctx, id)
	default:
		found, err = v.door.List(ctx, provider.Owner{Installation: v.r.options.Installation, Namespace: v.name.Namespace, Name: v.name.Name})
	}
	if err != nil {
		return fault.During(err, "looking for the machine of this Server")
	}
	v.learn(found)
	mine := func(i provider.Instance) bool {
		return i.Key == v.key() || i.Owner.UID == string(v.server.UID) || i.ID == v.server.Status.ID
	}
	if slices.ContainsFunc(found, mine) {
		v.r.memory.shown(v.name)
	} else {
		v.seen.Absences++
	}
	return nil
}

func (v *visit) listed(ctx context.Context) ([]provider.Instance, error) {
	now, err := v.r.Inventory.Refresh(ctx, v.door.account.ID, v.door.Provider, v.r.memory.lastDeed(v.name))
	if err != nil {
		return nil, err
	}
	found := slices.Concat(now.ByKey(v.key()), now.ByName(v.name.Namespace, v.name.Name))
	if recorded, ok := now.ByID(v.server.Status.ID); ok {
		found = append(found, recorded)
	}
	return found, nil
}

// get asks for one machine. An id of ours that now belongs to somebody else would not be ours to touch, so it does not count.
func (v *visit) get(ctx context.Context, id string) ([]provider.Instance, error) {
	found, err := v.door.Get(ctx, id)
	switch {
	case fault.IsGone(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []provider.Instance{found}, nil
}
