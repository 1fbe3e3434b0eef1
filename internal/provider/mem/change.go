package mem

import (
	"context"
	"slices"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

var (
	_ provider.Powerer    = (*Cloud)(nil)
	_ provider.Resizer    = (*Cloud)(nil)
	_ provider.Adopter    = (*Cloud)(nil)
	_ provider.Cataloguer = (*Cloud)(nil)
	_ provider.Prompt     = (*Cloud)(nil)
)

// change does something to a living machine, in the frame that all calls share: faults first, and an entry of the log last.
func (c *Cloud) change(ctx context.Context, verb Verb, id string, do func(*machine) (bool, error)) (provider.Instance, error) {
	order, err := c.meet(ctx, verb)
	if err != nil {
		return provider.Instance{}, c.noted(Entry{Verb: verb, ID: id}, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	entry, m := Entry{Verb: verb, ID: id}, c.machines[id]
	var shown provider.Instance
	switch {
	case m == nil || now.Before(m.deniedUntil):
		err = gone(id)
	case !m.endedAt.IsZero():
		err = fault.Waiting(fault.ReasonInProgress, 0, "machine %s is ending", quote(id))
	default:
		entry.Effect, err = do(m)
		entry.Key, entry.Owner = m.instance.Key, m.instance.Owner
		shown = c.show(m, now)
	}
	if order != nil && order.What == ReplyLost && err == nil {
		err = fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the reply to the %s call was lost", verb)
	}
	c.log.add(c.options.LogLimit, now, entry, err)
	return shown, err
}

// Power switches a machine on or off.
func (c *Cloud) Power(ctx context.Context, id string, want provider.Power) error {
	_, err := c.change(ctx, Power, id, func(m *machine) (bool, error) {
		off := want == provider.PowerOff
		changed := m.off != off
		m.off = off
		return changed, nil
	})
	return err
}

// Resize gives a machine that is off another size.
func (c *Cloud) Resize(ctx context.Context, id, size string) error {
	_, err := c.change(ctx, Resize, id, func(m *machine) (bool, error) {
		if err := c.check(provider.Machine{Size: size}); err != nil {
			return false, err
		}
		if m.instance.Size == size {
			return false, nil
		}
		if !m.off {
			return false, fault.Waiting(fault.ReasonInProgress, 0, "machine %s runs: it is resized when it is off", quote(id))
		}
		m.instance.Size = size
		return true, nil
	})
	return err
}

// Adopt writes an identity onto a machine that has none, or that of an earlier object of the same name, or was made by a call for many.
func (c *Cloud) Adopt(ctx context.Context, id, key string, owner provider.Owner) (provider.Instance, error) {
	if err := (provider.Machine{Key: key, Owner: owner}).Validate(); err != nil {
		return provider.Instance{}, err
	}
	return c.change(ctx, Adopt, id, func(m *machine) (bool, error) {
		has := m.instance.Owner
		stranger := has != provider.Owner{} && (has.Installation != owner.Installation || has.Name != "" && (has.Namespace != owner.Namespace || has.Name != owner.Name))
		if other := c.byKey[key]; stranger || other != nil && other != m {
			return false, fault.New(fault.Terminal, fault.ReasonIdentityConflict, "machine %s or its key belongs to %s/%s of installation %s", quote(id), has.Namespace, has.Name, quote(has.Installation))
		}
		changed := has != owner || m.instance.Key != key
		if c.byKey[m.instance.Key] == m {
			delete(c.byKey, m.instance.Key)
		}
		for _, identity := range identities(has) {
			if c.newest[identity] == m {
				delete(c.newest, identity)
			}
		}
		m.instance.Key, m.instance.Owner = key, owner
		c.byKey[key] = m
		if changed {
			c.log.witness(m, c.newest)
		}
		return changed, nil
	})
}

// Foreign makes a machine that nobody labelled, as a person does at a cloud's console.
func (c *Cloud) Foreign(want provider.Machine) provider.Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	want.Key, want.Owner = "", provider.Owner{}
	now := c.advance()
	return c.show(c.build(want, now, nil), now)
}

// Meddle lets another hand change a machine: its size, and whether it is on.
func (c *Cloud) Meddle(id, size string, power provider.Power) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.machines[id]; m != nil {
		if size != "" {
			m.instance.Size = size
		}
		m.off = power == provider.PowerOff
	}
}

// EndsAtOnce implements provider.Prompt.
func (c *Cloud) EndsAtOnce() bool { return c.options.DeleteTime == 0 }

// Zones implements provider.Cataloguer.
func (c *Cloud) Zones(context.Context) ([]provider.Choice, error) {
	return choices(c.options.Zones), nil
}

// Sizes implements provider.Cataloguer.
func (c *Cloud) Sizes(context.Context, string) ([]provider.Choice, error) {
	return choices(c.options.Sizes), nil
}

// Images implements provider.Cataloguer.
func (c *Cloud) Images(context.Context, string) ([]provider.Choice, error) {
	return choices(c.options.Images), nil
}

func choices(names []string) []provider.Choice {
	out := make([]provider.Choice, 0, len(names))
	for _, name := range slices.Sorted(slices.Values(names)) {
		out = append(out, provider.Choice{Name: name})
	}
	return out
}
