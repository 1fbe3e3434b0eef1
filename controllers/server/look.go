package server

import (
	"context"
	"slices"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
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
	if found, err = v.detailed(ctx, found); err != nil {
		return err
	}
	v.learn(found)
	mine := func(i provider.Instance) bool {
		return i.Key == v.key() || i.Owner.UID == string(v.server.UID) || i.ID == v.server.Status.ID && i.ID != "" || i.ID == id && id != "" ||
			i.Key == "" && i.Launch.Token != "" && i.Launch == provider.Launch{Token: v.seen.Launch.Token, Index: v.seen.Launch.Index}
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
	ids := []string{v.server.Status.ID}
	if adopt := v.server.Spec.Adopt; adopt != nil {
		ids = append(ids, adopt.ID)
	}
	if launched, ok := now.ByLaunch(provider.Launch{Token: v.seen.Launch.Token, Index: v.seen.Launch.Index}); ok {
		ids = append(ids, launched.ID)
	}
	for _, id := range ids {
		if i, ok := now.ByID(id); ok {
			found = append(found, i)
		}
	}
	return found, nil
}

// detailed returns each machine once, and looks at those of ours themselves of which a list tells less than is needed.
func (v *visit) detailed(ctx context.Context, found []provider.Instance) (all []provider.Instance, err error) {
	for _, i := range found {
		if slices.ContainsFunc(all, func(have provider.Instance) bool { return have.ID == i.ID }) {
			continue // found by its key and by its name
		}
		if ours := i.Key == v.key() || i.ID == v.server.Status.ID; ours && plan.NeedsDetails(v.server, seenOf(i)) {
			whole, err := v.door.Get(ctx, i.ID)
			switch {
			case err == nil:
				i = whole
			case !fault.IsGone(err): // the list is asked again before that counts
				return nil, fault.During(err, "looking at machine %s", i.ID)
			}
		}
		all = append(all, i)
	}
	return all, nil
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
