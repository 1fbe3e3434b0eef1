package upcloud

import (
	"context"
	"errors"
	"slices"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
)

// Delete ends a server of ours with its storages, a step a call: its storages are labelled, so that they are found when the server
// is gone; it is marked; stopped; deleted; and what storages are left are deleted one by one. Gone: nothing of it is left.
func (u *UpCloud) Delete(ctx context.Context, id string) error {
	if !isUUID(id) {
		return gone(id)
	}
	return fault.During(u.end(ctx, id, upcloud.Label{Key: labelEnding, Value: "yes"}), "deleting server %s", id)
}

func (u *UpCloud) end(ctx context.Context, id string, mark upcloud.Label) error {
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	d, err := u.read(ctx, id)
	switch {
	case fault.IsGone(err) && !errors.Is(err, errStranger):
		return u.sweep(ctx, id)
	case err != nil:
		return err
	}
	if !has(d.Labels, mark.Key) {
		if d, err = u.condemn(ctx, d, mark); err != nil {
			return err
		}
	}
	switch d.State {
	case upcloud.ServerStateStarted:
		err = u.stop(ctx, id, upcloud.StopTypeHard)
	case upcloud.ServerStateStopped, upcloud.ServerStateError:
		err = u.svc.DeleteServerAndStorages(ctx, &request.DeleteServerAndStoragesRequest{UUID: id})
		u.ended(id)
	}
	if fault.IsGone(err) || fault.IsWait(err) && err != nil {
		return nil // another call was quicker, or UpCloud is at work on it: the next call sees what became of it
	}
	return err
}

// condemn makes the intent durable before anything is taken away. A server that UpCloud works on cannot be marked: Wait.
func (u *UpCloud) condemn(ctx context.Context, d details, mark upcloud.Label) (details, error) {
	if d.State == upcloud.ServerStateMaintenance {
		return d, fault.Waiting(fault.ReasonInProgress, busyPause, "UpCloud works on the server: its end is asked for when that is over")
	}
	if err := u.claimDisks(ctx, d); err != nil {
		return d, err
	}
	if has(d.Labels, labelResizing) {
		if err := u.dropBackups(ctx, d); err != nil {
			return d, err
		}
	}
	return u.relabel(ctx, d, with(d.Labels, []upcloud.Label{mark}))
}

// sweep deletes what storages of a server that is gone are left. nil: there were some; Gone: there are none.
func (u *UpCloud) sweep(ctx context.Context, id string) error {
	left, err := u.svc.GetStorages(ctx, &request.GetStoragesRequest{Filters: []request.QueryFilter{exactly{labelServer, id}}})
	if err != nil {
		return fault.During(err, "looking for storages that are left")
	}
	ours := slices.DeleteFunc(left.Storages, func(s upcloud.Storage) bool { return !u.ours(s.Labels) || valueOf(s.Labels, labelServer) != id })
	if len(ours) == 0 {
		return gone(id)
	}
	var all []error
	for _, s := range ours {
		err := u.svc.DeleteStorage(ctx, &request.DeleteStorageRequest{UUID: s.UUID})
		if err != nil && !fault.IsGone(err) && !fault.IsWait(err) {
			all = append(all, fault.During(err, "deleting storage %s, which was left", s.UUID))
		}
	}
	return errors.Join(all...)
}

// relabel writes all labels of a server, and returns it as it is then. The caller holds its lock.
func (u *UpCloud) relabel(ctx context.Context, d details, labels upcloud.LabelSlice) (details, error) {
	if _, err := u.svc.ModifyServer(ctx, &request.ModifyServerRequest{UUID: d.UUID, Labels: &labels}); err != nil {
		return d, fault.During(err, "labelling the server")
	}
	d.Labels = labels
	u.keep(d)
	return d, nil
}
