package server

import (
	"context"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

// price writes what the machine costs as it is. A price that cannot be had now leaves what was known, and where nothing was, says so.
func (v *visit) price(ctx context.Context) {
	pricer, ok := provider.As[provider.Pricer](v.door.Provider)
	status := &v.server.Status
	made, seen := v.shown[status.ID]
	if !ok || !seen || made.State == provider.Terminating || made.Brief && status.Cost != nil {
		return
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	found, err := pricer.Price(calling, v.priced(made))
	if err != nil {
		if status.Cost == nil {
			status.Cost = plan.Cost("", nil, "the prices of this account cannot be had now", v.r.Kit.Now())
		}
		return
	}
	var parts []v1alpha1.CostComponent
	for _, c := range found.Components {
		parts = append(parts, v1alpha1.CostComponent{Name: c.Name, Hourly: c.Hourly})
	}
	if cost := plan.Cost(found.Currency, parts, found.Source, found.AsOf); !plan.SameCost(cost, status.Cost) {
		status.Cost = cost
	}
}

// priced is a request for a machine like the one that is there. What its provider does not show of it is taken from the spec.
func (v *visit) priced(made provider.Instance) provider.Machine {
	spec := &v.server.Spec
	like := provider.Machine{Size: made.Size, Zone: made.Zone, Image: made.Image}
	if n := spec.Network; n != nil {
		like.Network = provider.Network{PublicIPv4: provider.Switch(n.PublicIPv4), PublicIPv6: provider.Switch(n.PublicIPv6)}
	}
	if len(made.Disks) > 0 {
		like.RootDisk, like.Disks = made.Disks[0], made.Disks[1:]
		return like
	}
	like.RootDisk = disk("", spec.RootDisk)
	for i := range spec.Disks {
		like.Disks = append(like.Disks, disk(spec.Disks[i].Name, &spec.Disks[i].Disk))
	}
	return like
}
