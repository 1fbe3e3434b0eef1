package server

import (
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/inventory"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/reconcile"
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
	now, err := v.snapshot(ctx)
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

// snapshot is what the account showed after our last deed. Where that is not known yet, it comes with the account's next List, and not with
// one of our own: a hundred Servers that all did something ask for no more than one does. Only where machines end at once is that
// looked for at once.
func (v *visit) snapshot(ctx context.Context) (inventory.Snapshot, error) {
	after := v.r.memory.lastDeed(v.name)
	if v.seen.Can.EndsAtOnce {
		return v.r.Inventory.Refresh(ctx, v.door.account.ID, v.door.Provider, after)
	}
	now, wait, err := v.r.Inventory.Look(ctx, v.door.account.ID, v.door.Provider, after)
	if wait > 0 {
		return now, &unseen{wait: wait}
	}
	return now, err
}

// unseen ends a visit that needs to look and is too early: nothing is known that was not known before.
type unseen struct{ wait time.Duration }

func (u *unseen) Error() string { return "what was done last shows with the next list of the account" }

// postponed is the outcome of a visit that is too early. What the condition says of a thing under way, or of this very generation, still
// holds, and is not written anew.
func (v *visit) postponed(early *unseen) error {
	said := reconcile.Condition(v.server, v1alpha1.ProvisionedCondition)
	switch {
	case said != nil && said.Status == metav1.ConditionTrue && said.ObservedGeneration == v.server.Generation && v.server.DeletionTimestamp.IsZero():
		v.again = early.wait
		return nil
	case said != nil && said.Status == metav1.ConditionFalse && !fault.Reason(said.Reason).Stops() &&
		(said.Reason == string(fault.ReasonInProgress) || said.ObservedGeneration == v.server.Generation):
		return fault.Waiting(fault.Reason(said.Reason), early.wait, "%s", said.Message)
	}
	return fault.Waiting(fault.ReasonInProgress, early.wait, "%w", early)
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
