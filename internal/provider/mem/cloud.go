// Package mem knows how to be a cloud: a strict one, in memory, whose machines are only entries and whose faults can be ordered by name.
// It must not know who calls it nor run anything: time passes only as its clock says, and no goroutine is ever started.
package mem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Options say how a cloud behaves. The zero value is a cloud whose machines run and end at once.
type Options struct {
	Clock      func() time.Time // default time.Now
	BootTime   time.Duration    // from Create to Running
	DeleteTime time.Duration    // from Delete to Gone
	Sizes      []string         // the first is the default; default small, medium, large
	Zones      []string         // the first is the default; default zone-1, zone-2
	Images     []string         // the first is the default; default debian-12, debian-13
	Networks   []string         // ids of private ones; default net-1, net-2
	LogLimit   int              // mutating calls that Report keeps, the newest; default 4096
}

// Cloud is a provider.Provider for all installations at once. It is safe for concurrent use.
type Cloud struct {
	options Options

	mu       sync.Mutex
	machines map[string]*machine // by id, those that are not gone
	byKey    map[string]*machine // the same, by key
	newest   map[string]*machine // the last one made for each object and for each name, see witness
	booting  []*machine          // in order of creation, which is the order in which they come up
	ending   []*machine          // in the order in which their end was asked for
	doomed   []*machine          // those that a fault will end by another hand
	batches  map[string]string   // what each token of a call for many stood for
	orders   []*Order            // faults still to be produced, oldest first
	made     int
	log      record
}

var _ provider.Provider = (*Cloud)(nil)

type machine struct {
	instance    provider.Instance // as it was asked for; State is derived
	endedAt     time.Time         // zero while it lives
	hiddenUntil time.Time         // List does not show it before
	deniedUntil time.Time         // Get says NotFound before
	diesAt      time.Time         // it ends by another hand; zero for never
	spoilt      bool              // it ends up Failed instead of Running
	off         bool              // it is powered off
}

// New returns an empty cloud.
func New(options Options) *Cloud {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.LogLimit <= 0 {
		options.LogLimit = 4096
	}
	defaults := func(list *[]string, names ...string) {
		if len(*list) == 0 {
			*list = names
		}
	}
	defaults(&options.Sizes, "small", "medium", "large")
	defaults(&options.Zones, "zone-1", "zone-2")
	defaults(&options.Images, "debian-12", "debian-13")
	defaults(&options.Networks, "net-1", "net-2")
	return &Cloud{options: options, machines: map[string]*machine{}, byKey: map[string]*machine{}, newest: map[string]*machine{}, batches: map[string]string{}}
}

// Create makes a machine. The Key is looked up first, as real clouds look up their client tokens.
func (c *Cloud) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	order, err := c.meet(ctx, Create)
	if err != nil {
		return provider.Instance{}, c.noted(Entry{Verb: Create, Key: want.Key, Owner: want.Owner}, err)
	}
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	entry := Entry{Verb: Create, Key: want.Key, Owner: want.Owner}
	m := c.byKey[want.Key]
	if m == nil {
		if err := c.check(want); err != nil {
			c.log.add(c.options.LogLimit, now, entry, err)
			return provider.Instance{}, err
		}
		m = c.build(want, now, order)
		entry.Effect = true
	}
	entry.ID = m.instance.ID
	if order != nil && order.What == ReplyLost {
		err = fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the reply to the create call was lost")
		c.log.add(c.options.LogLimit, now, entry, err)
		return provider.Instance{}, err
	}
	c.log.add(c.options.LogLimit, now, entry, nil)
	return c.show(m, now), nil
}

// build adds the machine and checks the invariants that a cloud can see: one living machine per owner.
func (c *Cloud) build(want provider.Machine, now time.Time, order *Order) *machine {
	c.made++
	m := &machine{instance: provider.Instance{
		ID: fmt.Sprintf("mem-%06d", c.made), Key: want.Key, Owner: want.Owner, CreatedAt: now,
		Disks: disks(want), Size: first(want.Size, c.options.Sizes), Zone: first(want.Zone, c.options.Zones), Image: first(want.Image, c.options.Images),
		Addresses: []provider.Address{{Type: provider.LoopbackIP, Address: address(c.made)}},
	}}
	if order != nil {
		switch order.What {
		case Hidden:
			m.hiddenUntil = now.Add(order.For)
		case Denied:
			m.deniedUntil = now.Add(order.For)
		case Dies:
			m.diesAt = now.Add(order.For)
			c.doomed = append(c.doomed, m)
		case BootFails:
			m.spoilt = true
		}
	}
	c.machines[m.instance.ID] = m
	if want.Key != "" { // else nobody labelled it yet
		c.log.witness(m, c.newest)
		c.byKey[want.Key] = m
	}
	c.booting = append(c.booting, m)
	c.advance() // with no BootTime it is up already
	c.log.reached(len(c.booting))
	return m
}

// Get returns the machine of that id.
func (c *Cloud) Get(ctx context.Context, id string) (provider.Instance, error) {
	if _, err := c.meet(ctx, Get); err != nil {
		return provider.Instance{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	m := c.machines[id]
	if m == nil || now.Before(m.deniedUntil) {
		return provider.Instance{}, gone(id)
	}
	return c.show(m, now), nil
}

// Delete asks for the end of a machine; the same call later says Gone.
func (c *Cloud) Delete(ctx context.Context, id string) error {
	order, err := c.meet(ctx, Delete)
	if err != nil {
		return c.noted(Entry{Verb: Delete, ID: id}, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	entry := Entry{Verb: Delete, ID: id}
	m := c.machines[id]
	if m == nil {
		err = gone(id)
	} else {
		entry.Key, entry.Owner, entry.Effect = m.instance.Key, m.instance.Owner, m.endedAt.IsZero()
		c.end(m, now)
	}
	if order != nil && order.What == ReplyLost {
		err = fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the reply to the delete call was lost")
	}
	c.log.add(c.options.LogLimit, now, entry, err)
	return err
}

// List returns the installation's machines in order of id.
func (c *Cloud) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if _, err := c.meet(ctx, List); err != nil {
		return nil, err
	}
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	var found []provider.Instance
	for _, m := range c.machines {
		if owner.Covers(m.instance.Owner) && !now.Before(m.hiddenUntil) {
			found = append(found, c.show(m, now))
		}
	}
	slices.SortFunc(found, func(a, b provider.Instance) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// Vanish ends a machine by another hand, as clouds do with spot instances and broken hosts. It reports whether it lived.
func (c *Cloud) Vanish(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	m := c.machines[id]
	return m != nil && c.end(m, now)
}

func (c *Cloud) end(m *machine, now time.Time) bool {
	if !m.endedAt.IsZero() {
		return false
	}
	m.endedAt = now
	c.booting = slices.DeleteFunc(c.booting, func(b *machine) bool { return b == m })
	c.ending = append(c.ending, m)
	return true
}

// advance lets pass what time has brought: machines come up, and those that have ended long enough are forgotten.
func (c *Cloud) advance() time.Time {
	now := c.options.Clock()
	for len(c.booting) > 0 && now.Sub(c.booting[0].instance.CreatedAt) >= c.options.BootTime {
		c.booting = c.booting[1:]
	}
	c.doomed = slices.DeleteFunc(c.doomed, func(m *machine) bool {
		due := !now.Before(m.diesAt)
		if due {
			c.end(m, now)
		}
		return due
	})
	for len(c.ending) > 0 && now.Sub(c.ending[0].endedAt) >= c.options.DeleteTime {
		m := c.ending[0]
		c.ending = c.ending[1:]
		delete(c.machines, m.instance.ID)
		if c.byKey[m.instance.Key] == m {
			delete(c.byKey, m.instance.Key)
		}
		for _, identity := range identities(m.instance.Owner) {
			if c.newest[identity] == m {
				delete(c.newest, identity)
			}
		}
	}
	return now
}

// show derives what a caller sees of a machine now. Its access appears once it runs.
func (c *Cloud) show(m *machine, now time.Time) provider.Instance {
	shown := m.instance
	shown.Addresses, shown.Disks = slices.Clone(m.instance.Addresses), slices.Clone(m.instance.Disks)
	switch {
	case !m.endedAt.IsZero():
		shown.State = provider.Terminating
	case now.Sub(m.instance.CreatedAt) < c.options.BootTime:
		shown.State = provider.Pending
	case m.spoilt:
		shown.State, shown.Message = provider.Failed, "the host of this machine broke while it booted"
	case m.off:
		shown.State = provider.Stopped
	default:
		shown.State = provider.Running
		shown.Access = transport.Access{Transport: "Script", Target: shown.ID, Address: shown.Addresses[0].Address}
	}
	return shown
}

func gone(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "there is no machine %s", quote(id))
}
