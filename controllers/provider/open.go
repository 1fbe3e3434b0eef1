package provider

import (
	"context"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// defaultInFlight is the API's default, for objects that were written before it.
const defaultInFlight = 20

// open reaches the account, puts its limit into force and sees that it answers. Whoever asks again within the interval is
// answered by the same List.
func (r *visit) open(ctx context.Context, p *v1alpha1.Provider) error {
	door, account, err := r.Opener.Open(ctx, p)
	if err != nil {
		r.soon = p.Spec.Credentials != nil // they may be mended, and nobody watches Secrets
		return err
	}
	if before := p.Status.Account; before != "" && before != account.ID && p.Status.Servers > 0 {
		return fault.New(fault.Terminal, fault.ReasonInvalid,
			"this Provider reached account %s and now reaches %s, while the machines of %d Servers are at the former: restore the operator's settings, or delete those Servers",
			before, account.ID, p.Status.Servers)
	}
	if p.Status.Account != account.ID {
		if err := r.forget(ctx, p); err != nil {
			return err
		}
	}
	limit := int(p.Spec.Limits.MaxInFlight)
	if limit <= 0 {
		limit = defaultInFlight
	}
	r.Turnstile.SetLimit(account.ID, source(p), limit)
	r.Inventory.Track(account.ID, door)
	if _, err := r.Inventory.Refresh(ctx, account.ID, door, r.Kit.Now().Add(-r.options.Interval/2)); err != nil {
		r.soon = p.Spec.Credentials != nil
		return err
	}
	if keeper, ok := provider.As[provider.Keeper](door); ok {
		if err := keeper.Keep(ctx); err != nil {
			r.soon = p.Spec.Credentials != nil
			return err
		}
	}
	r.door = door
	p.Status.Account, p.Status.Location = account.ID, account.Location
	if teller, ok := provider.As[provider.Describer](door); ok {
		r.words = teller.Describe(ctx)
	}
	return nil
}

// source names a Provider object at the turnstile. A UID: a later object of the same name is another.
func source(p *v1alpha1.Provider) string { return string(p.UID) }
