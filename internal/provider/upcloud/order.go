package upcloud

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/provider"
)

const (
	defaultImage  = "debian-12"
	defaultDisk   = 25 // GiB of a root disk where neither request nor plan says
	defaultTier   = upcloud.StorageTierMaxIOPS
	smallestDisk  = 1
	largestDisk   = 4096
	mostDisks     = 14 // besides the root disk
	titleLimit    = 64 // of a storage
	archive       = "archive"
	userDataLimit = 64 << 10
)

// order turns what is wanted into what UpCloud is asked for. What it does not offer is Invalid and names our own field.
func (u *UpCloud) order(ctx context.Context, want provider.Machine) (*request.CreateServerRequest, error) {
	zone, err := u.zoneNamed(ctx, want.Zone)
	if err != nil {
		return nil, err
	}
	size, err := u.sizeNamed(ctx, zone, orDefault(want.Size, defaultSize))
	if err != nil {
		return nil, err
	}
	image, err := u.imageNamed(ctx, zone, orDefault(want.Image, defaultImage))
	if err != nil {
		return nil, err
	}
	storages, err := storagesOf(want, size, image)
	if err != nil {
		return nil, err
	}
	networking, err := networkingOf(want.Network)
	if err != nil {
		return nil, err
	}
	labels, err := u.labelsOf(want)
	if err != nil {
		return nil, err
	}
	if len(want.UserData) > userDataLimit {
		return nil, invalid("userData has %d bytes, at most %d are possible", len(want.UserData), userDataLimit)
	}
	order := &request.CreateServerRequest{
		Zone: zone, Plan: size.plan, Hostname: hostname(want.Owner.Name), Title: title(want.Owner), Labels: &labels,
		Metadata: upcloud.True, Networking: networking, StorageDevices: storages, Firewall: firewallOff,
		LoginUser:        &request.LoginUser{CreatePassword: "no", Username: u.o.User, SSHKeys: want.Keys},
		PasswordDelivery: request.PasswordDeliveryNone, ServerGroup: u.o.ServerGroup, UserData: string(want.UserData), TimeZone: "UTC",
	}
	if len(u.o.Firewall) > 0 {
		order.Firewall = firewallOn
	}
	if size.plan == customPlan {
		order.CoreNumber, order.MemoryAmount = size.cores, size.memory
	}
	return order, nil
}

func orDefault(value, standard string) string {
	if value == "" {
		return standard
	}
	return value
}

func (u *UpCloud) labelsOf(want provider.Machine) (upcloud.LabelSlice, error) {
	labels, err := u.identity(want.Key, want.Owner)
	if err != nil {
		return nil, err
	}
	theirs, err := peoples(want.Labels)
	if err != nil {
		return nil, err
	}
	image := encode(orDefault(want.Image, defaultImage))
	labels = append(labels, upcloud.Label{Key: labelImage, Value: image}, upcloud.Label{Key: labelMaking, Value: "yes"})
	return append(labels, theirs...), nil
}

// storagesOf are a clone of the template and the extra disks, each titled by its name.
func storagesOf(want provider.Machine, size size, image upcloud.Storage) (request.CreateServerStorageDeviceSlice, error) {
	root := want.RootDisk
	if root.SizeGiB == 0 {
		root.SizeGiB = int32(max(size.disk, image.Size))
		if size.disk == 0 {
			root.SizeGiB = int32(max(defaultDisk, image.Size))
		}
	}
	if root.Tier == "" {
		root.Tier = size.tier
	}
	if int(root.SizeGiB) < image.Size {
		return nil, invalid("rootDisk.sizeGiB: %d GiB are fewer than the %d GiB of image %s", root.SizeGiB, image.Size, image.Title)
	}
	first, err := storageOf("rootDisk", root)
	if err != nil {
		return nil, err
	}
	first.Action, first.Storage, first.Title = request.CreateServerStorageDeviceActionClone, image.UUID, "root"
	all := request.CreateServerStorageDeviceSlice{first}
	if len(want.Disks) > mostDisks {
		return nil, invalid("disks: %d are wanted, at most %d are possible", len(want.Disks), mostDisks)
	}
	for i, disk := range want.Disks {
		field := fmt.Sprintf("disks[%d]", i)
		made, err := storageOf(field, disk)
		switch {
		case err != nil:
			return nil, err
		case disk.SizeGiB == 0:
			return nil, invalid("%s.sizeGiB is missing", field)
		case disk.Name == "" || len(disk.Name) > titleLimit:
			return nil, invalid("%s.name has %d bytes, 1 to %d are possible", field, len(disk.Name), titleLimit)
		case slices.ContainsFunc(want.Disks[:i], func(d provider.Disk) bool { return d.Name == disk.Name }):
			return nil, invalid("%s.name: there are two disks %.64q", field, disk.Name)
		}
		made.Action, made.Title = request.CreateServerStorageDeviceActionCreate, disk.Name
		all = append(all, made)
	}
	for i := range all {
		all[i].Address = fmt.Sprintf("virtio:%d", i)
	}
	return all, nil
}

func storageOf(field string, disk provider.Disk) (request.CreateServerStorageDevice, error) {
	tier := orDefault(disk.Tier, defaultTier)
	if tier == archive { // the name on UpCloud's price list; its API says hdd
		tier = upcloud.StorageTierHDD
	}
	switch {
	case !slices.Contains([]string{upcloud.StorageTierMaxIOPS, upcloud.StorageTierStandard, upcloud.StorageTierHDD}, tier):
		return request.CreateServerStorageDevice{}, invalid("%s.tier: UpCloud has no %.32q; there are maxiops, standard, archive", field, tier)
	case disk.SizeGiB != 0 && (disk.SizeGiB < smallestDisk || disk.SizeGiB > largestDisk):
		return request.CreateServerStorageDevice{}, invalid("%s.sizeGiB: %d is not within %d and %d", field, disk.SizeGiB, smallestDisk, largestDisk)
	}
	made := request.CreateServerStorageDevice{Size: int(disk.SizeGiB), Tier: tier}
	if disk.Encrypted {
		made.Encrypted = upcloud.True
	}
	return made, nil
}

// networkingOf is the utility network, which every server has, the public ones, and private ones in order. IPv4 is public unless it
// is disabled; IPv6 only when it is enabled.
func networkingOf(want provider.Network) (*request.CreateServerNetworking, error) {
	iface := func(network, family, id string) request.CreateServerInterface {
		return request.CreateServerInterface{
			Type: network, Network: id, IPAddresses: request.CreateServerIPAddressSlice{{Family: family}},
		}
	}
	all := request.CreateServerInterfaceSlice{}
	if want.PublicIPv4 != provider.Disabled {
		all = append(all, iface(upcloud.NetworkTypePublic, upcloud.IPAddressFamilyIPv4, ""))
	}
	all = append(all, iface(upcloud.NetworkTypeUtility, upcloud.IPAddressFamilyIPv4, ""))
	if want.PublicIPv6 == provider.Enabled {
		all = append(all, iface(upcloud.NetworkTypePublic, upcloud.IPAddressFamilyIPv6, ""))
	}
	for i, id := range want.Private {
		if !isUUID(id) {
			return nil, invalid("network.privateNetworks[%d]: %.64q is no UUID of a network", i, id)
		}
		all = append(all, iface(upcloud.NetworkTypePrivate, upcloud.IPAddressFamilyIPv4, id))
	}
	return &request.CreateServerNetworking{Interfaces: all}, nil
}

var notHost = regexp.MustCompile(`[^a-z0-9-]+`)

// hostname makes a host name of an object's name. Nothing is ever found by it.
func hostname(name string) string {
	plain := strings.Trim(notHost.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(plain) > 63 {
		plain = strings.TrimRight(plain[:63], "-")
	}
	return orDefault(plain, "server")
}

// title is for people in UpCloud's control panel.
func title(owner provider.Owner) string {
	text := strings.ToValidUTF8(fmt.Sprintf("%.80s/%.160s", owner.Namespace, owner.Name), "")
	return text
}
