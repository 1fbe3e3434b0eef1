package upcloud

import (
	"context"
	"strconv"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Power starts a server or shuts it down. While UpCloud works on it the request is repeated by whoever wants it.
func (u *UpCloud) Power(ctx context.Context, id string, want provider.Power) error {
	d, err := u.read(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case has(d.Labels, labelEnding), has(d.Labels, labelTwin):
		return fault.New(fault.Terminal, fault.ReasonInvalid, "server %s is being deleted", id)
	case want == provider.PowerOn && d.State == upcloud.ServerStateStopped:
		_, err = u.svc.StartServer(ctx, &request.StartServerRequest{UUID: id})
	case want == provider.PowerOff && d.State == upcloud.ServerStateStarted:
		return fault.During(u.stop(ctx, id, upcloud.StopTypeSoft), "switching server %s to %s", id, want)
	}
	if fault.IsWait(err) {
		return nil
	}
	return fault.During(err, "switching server %s to %s", id, want)
}

// Resize gives a stopped server another plan. A root disk that has just the size which the former plan included follows to that of
// the new one where it is larger; disks never shrink.
func (u *UpCloud) Resize(ctx context.Context, id, size string) error {
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	d, err := u.read(ctx, id)
	if err != nil {
		return err
	}
	to, err := u.sizeNamed(ctx, d.Zone, size)
	if err != nil {
		return err
	}
	switch {
	case sizeOf(d.Server) == size && !has(d.Labels, labelResizing):
		return nil
	case d.State != upcloud.ServerStateStopped:
		return fault.Waiting(fault.ReasonInProgress, busyPause, "server %s is %s: it must be stopped before its size is changed", id, d.State)
	}
	if sizeOf(d.Server) != size {
		if d, err = u.replan(ctx, d, to); err != nil {
			return fault.During(err, "changing server %s to size %s", id, size)
		}
	}
	if _, err = u.finishResizing(ctx, d); err != nil {
		u.forget(id)
	}
	return fault.During(err, "changing server %s to size %s", id, size)
}

// replan writes the new plan and the mark of what follows in one call.
func (u *UpCloud) replan(ctx context.Context, d details, to size) (details, error) {
	follow := 0
	if all := disks(d); len(all) > 0 {
		from, err := u.sizeNamed(ctx, d.Zone, sizeOf(d.Server))
		if err == nil && from.disk > 0 && all[0].Size == from.disk && to.disk > from.disk {
			follow = to.disk
		}
	}
	labels := with(d.Labels, []upcloud.Label{{Key: labelResizing, Value: strconv.Itoa(follow)}})
	order := &request.ModifyServerRequest{UUID: d.UUID, Labels: &labels, Plan: to.plan}
	if to.plan == customPlan {
		order.CoreNumber, order.MemoryAmount = to.cores, to.memory
	}
	if _, err := u.svc.ModifyServer(ctx, order); err != nil {
		return d, err
	}
	return u.page(ctx, d.UUID)
}

// Adopt writes whose a server is from now on onto one that nobody of this kind has. One that was made for an object of the same
// installation, namespace and name may get the UID of a later one: so is a fleet taken over by a cluster that was rebuilt.
func (u *UpCloud) Adopt(ctx context.Context, id, key string, owner provider.Owner) (provider.Instance, error) {
	want := provider.Machine{Key: key, Owner: owner}
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if !isUUID(id) {
		return provider.Instance{}, gone(id)
	}
	identity, err := u.identity(key, owner)
	if err != nil {
		return provider.Instance{}, err
	}
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return provider.Instance{}, err
	}
	defer release()
	d, err := u.page(ctx, id)
	switch {
	case fault.IsGone(err), err != nil && fault.ReasonOf(err) == fault.ReasonUnauthorized:
		return provider.Instance{}, gone(id)
	case err != nil:
		return provider.Instance{}, fault.During(err, "reading server %s", id)
	}
	if has(d.Labels, labelInstallation) {
		was := ownerOf(d.Labels)
		if was.UID = owner.UID; was != owner {
			return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonIdentityConflict,
				"server %s belongs to Server %.64s/%.64s of installation %.64s, and is left as it is", id, was.Namespace, was.Name, was.Installation)
		}
	}
	if d, err = u.relabel(ctx, d, with(d.Labels, identity)); err != nil {
		return provider.Instance{}, fault.During(err, "adopting server %s", id)
	}
	return u.shown(d), nil
}
