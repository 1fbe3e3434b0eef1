package upcloud

import (
	"context"
	"strconv"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// busyPause is when to look again at a server that UpCloud works on.
const busyPause = 5 * time.Second

// attend finishes what is unfinished about a server and shows it. What does not succeed is in the instance's message and tried again
// by the next look: a crash in between changes nothing, because the server's own labels say what is missing.
func (u *UpCloud) attend(ctx context.Context, d details) provider.Instance {
	var err error
	switch {
	case has(d.Labels, labelTwin):
		err = u.end(ctx, d.UUID, upcloud.Label{Key: labelTwin, Value: valueOf(d.Labels, labelTwin)})
	case has(d.Labels, labelEnding):
	case d.State == upcloud.ServerStateStarted && has(d.Labels, labelMaking),
		(d.State == upcloud.ServerStateStarted || d.State == upcloud.ServerStateStopped) && has(d.Labels, labelResizing):
		d, err = u.finish(ctx, d.UUID, d)
	}
	got := u.shown(d)
	if err != nil && !fault.IsGone(err) && !fault.IsWait(err) {
		got.Message = provider.Clip(err.Error())
	}
	return got
}

func (u *UpCloud) finish(ctx context.Context, id string, seen details) (details, error) {
	release, err := u.ids.take(ctx, id)
	if err != nil {
		return seen, err
	}
	defer release()
	d, err := u.read(ctx, id) // somebody else may have finished it meanwhile
	if err != nil {
		return seen, err
	}
	if has(d.Labels, labelEnding) || has(d.Labels, labelTwin) {
		return d, nil
	}
	if has(d.Labels, labelMaking) {
		if d, err = u.finishMaking(ctx, d); err != nil {
			return d, err
		}
	}
	if has(d.Labels, labelResizing) {
		return u.finishResizing(ctx, d)
	}
	return d, nil
}

// finishMaking gives the storages their labels and the firewall its rules, in that order, and takes the mark away.
func (u *UpCloud) finishMaking(ctx context.Context, d details) (details, error) {
	if err := u.claimDisks(ctx, d); err != nil {
		return d, err
	}
	if d.Firewall == firewallOn {
		order := &request.CreateFirewallRulesRequest{ServerUUID: d.UUID, FirewallRules: rulesOf(u.o.Firewall)}
		if err := u.svc.CreateFirewallRules(ctx, order); err != nil {
			return d, fault.During(err, "setting the firewall's rules")
		}
	}
	return u.relabel(ctx, d, with(d.Labels, nil, labelMaking))
}

// claimDisks writes onto each disk whose it is. A disk that says so already is left alone.
func (u *UpCloud) claimDisks(ctx context.Context, d details) error {
	for i, disk := range disks(d) {
		if u.ours(disk.Labels) && valueOf(disk.Labels, labelServer) == d.UUID {
			continue
		}
		name := disk.Title
		if i == 0 {
			name = ""
		}
		labels := []upcloud.Label(with(disk.Labels, []upcloud.Label{
			{Key: labelInstallation, Value: encode(u.o.Installation)}, {Key: labelServer, Value: d.UUID}, {Key: labelDisk, Value: encode(name)},
		}))
		_, err := u.svc.ModifyStorage(ctx, &request.ModifyStorageRequest{UUID: disk.UUID, Labels: &labels})
		if err != nil {
			return fault.During(err, "labelling storage %s", disk.UUID)
		}
	}
	return nil
}

// finishResizing grows the root disk, its partition and its file system where the mark says so, removes the backup that UpCloud makes
// of it and bills, and takes the mark away. Growing needs a stopped server; one that runs keeps its disk as it is.
func (u *UpCloud) finishResizing(ctx context.Context, d details) (details, error) {
	size, _ := strconv.Atoi(valueOf(d.Labels, labelResizing))
	if all := disks(d); size > 0 && len(all) > 0 && d.State == upcloud.ServerStateStopped {
		if err := u.grow(ctx, all[0], size); err != nil && !fault.IsTerminal(err) { // one that can never grow stays as it is
			return d, err
		}
	}
	if err := u.dropBackups(ctx, d); err != nil {
		return d, err
	}
	d, err := u.relabel(ctx, d, with(d.Labels, nil, labelResizing))
	if err != nil {
		return d, err
	}
	now, err := u.page(ctx, d.UUID)
	if err != nil {
		return d, err
	}
	return now, nil
}

func (u *UpCloud) grow(ctx context.Context, disk upcloud.ServerStorageDevice, size int) error {
	if disk.Size < size {
		if _, err := u.svc.ModifyStorage(ctx, &request.ModifyStorageRequest{UUID: disk.UUID, Size: size}); err != nil {
			return fault.During(err, "growing storage %s to %d GiB", disk.UUID, size)
		}
	}
	_, err := u.svc.ResizeStorageFilesystem(ctx, &request.ResizeStorageFilesystemRequest{UUID: disk.UUID})
	if says(err, upcloud.ErrCodeResizeFailed) { // a file system that UpCloud does not know
		return nil
	}
	return fault.During(err, "growing the file system of storage %s", disk.UUID)
}

// resizeBackup is the title that UpCloud gives to what it makes before it grows a file system.
const resizeBackup = "Resize Backup"

func (u *UpCloud) dropBackups(ctx context.Context, d details) error {
	backups, err := u.svc.GetStorages(ctx, &request.GetStoragesRequest{Type: upcloud.StorageTypeBackup})
	if err != nil {
		return fault.During(err, "looking for backups of the resizing")
	}
	for _, backup := range backups.Storages {
		if backup.Title != resizeBackup || d.StorageDevice(backup.Origin) == nil {
			continue
		}
		if err := u.svc.DeleteStorage(ctx, &request.DeleteStorageRequest{UUID: backup.UUID}); err != nil && !fault.IsGone(err) {
			return fault.During(err, "deleting storage %s, a backup of the resizing", backup.UUID)
		}
	}
	return nil
}
