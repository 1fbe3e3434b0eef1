package upcloud

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// details is a server as its own page shows it, with the time of creation that the SDK leaves out.
type details struct {
	upcloud.ServerDetails
	Created int64 // seconds since 1970
	brief   bool  // it is the list's entry: disks and addresses are not told
}

// UnmarshalJSON reads both.
func (d *details) UnmarshalJSON(b []byte) error {
	var more struct {
		Server struct {
			Created int64 `json:"created"`
		} `json:"server"`
	}
	if err := json.Unmarshal(b, &more); err != nil {
		return err
	}
	d.Created = more.Server.Created
	return json.Unmarshal(b, &d.ServerDetails)
}

// Get returns a server of ours. What is unfinished about it is finished first.
func (u *UpCloud) Get(ctx context.Context, id string) (provider.Instance, error) {
	d, err := u.read(ctx, id)
	if err != nil {
		return provider.Instance{}, err
	}
	return u.attend(ctx, d), nil
}

// read reads the page of a server of ours. Gone is certain: of a server that the list shows and whose page is missing the answer
// is Retry, and so is that of one which was deleted and which UpCloud therefore forbids to look at.
func (u *UpCloud) read(ctx context.Context, id string) (details, error) {
	if !isUUID(id) {
		return details{}, gone(id)
	}
	d, err := u.page(ctx, id)
	switch {
	case err == nil && !u.ours(d.Labels):
		return details{}, fault.New(fault.Gone, fault.ReasonNotFound, "server %s is %w", id, errStranger)
	case err == nil:
		return d, nil
	case !fault.IsGone(err) && fault.ReasonOf(err) != fault.ReasonUnauthorized:
		return details{}, fault.During(err, "reading server %s", id)
	}
	listed, listErr := u.pages(ctx, exactly{labelInstallation, encode(u.o.Installation)})
	if listErr != nil {
		return details{}, fault.During(listErr, "looking whether server %s is gone", id)
	}
	u.forget(id)
	for _, s := range listed {
		if s.UUID == id {
			return details{}, fault.New(fault.Retry, fault.ReasonTransient, "server %s is in UpCloud's list, and its own page is not there: %w", id, err)
		}
	}
	if u.justSeen(id) { // a list that lags and a page that is missing together are no proof yet
		return details{}, fault.New(fault.Retry, fault.ReasonTransient, "server %s was there a moment ago, and neither its page nor UpCloud's list shows it now: %w", id, err)
	}
	return details{}, gone(id)
}

// errStranger is in the chain of a Gone whose server is there and somebody else's.
var errStranger = errors.New("not one that this installation made")

func (u *UpCloud) page(ctx context.Context, id string) (details, error) {
	var d details
	body, err := u.door.Get(ctx, (&request.GetServerDetailsRequest{UUID: id}).RequestURL())
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(body, &d); err != nil || d.UUID != id {
		return d, fault.New(fault.Retry, fault.ReasonTransient, "UpCloud's page of server %s cannot be read (%v)", id, err)
	}
	u.saw(id)
	u.keep(d)
	return d, nil
}

// shown is a server as people see it here.
func (u *UpCloud) shown(d details) provider.Instance {
	got := provider.Instance{
		ID: d.UUID, Key: decode(valueOf(d.Labels, labelKey)), Owner: ownerOf(d.Labels), CreatedAt: time.Unix(d.Created, 0).UTC(),
		Size: sizeOf(d.Server), Zone: d.Zone, Image: decode(valueOf(d.Labels, labelImage)), Disks: disksOf(d), Labels: map[string]string{}, Brief: d.brief,
	}
	for _, label := range d.Labels {
		if !strings.HasPrefix(strings.ToLower(label.Key), reserved) {
			got.Labels[label.Key] = label.Value
		}
	}
	got.State, got.Message = stateOf(d)
	got.Addresses = addressesOf(d)
	if got.State == provider.Running && len(got.Addresses) > 0 {
		got.Access = transport.Access{Transport: u.o.Transport, Address: got.Addresses[0].Address}
		if u.o.Transport == transport.SSH {
			got.Access.User = u.o.User
		} else {
			got.Access.Target = d.UUID
		}
	}
	return got
}

func stateOf(d details) (provider.State, string) {
	switch {
	case has(d.Labels, labelTwin):
		return provider.Terminating, "it was made twice: server " + valueOf(d.Labels, labelTwin) + " is kept, and this one is removed"
	case has(d.Labels, labelEnding):
		return provider.Terminating, ""
	case d.State == upcloud.ServerStateStarted && !has(d.Labels, labelMaking):
		return provider.Running, ""
	case d.State == upcloud.ServerStateStarted:
		return provider.Pending, "it runs, and its storages and firewall are not set up yet"
	case d.State == upcloud.ServerStateStopped && has(d.Labels, labelResizing): // whoever waits for its new size waits for its disk, too
		return provider.Pending, "its size is being changed"
	case d.State == upcloud.ServerStateStopped:
		return provider.Stopped, ""
	case d.State == upcloud.ServerStateError:
		return provider.Pending, "UpCloud says that the server has an error; it comes back by itself when that is resolved"
	}
	return provider.Pending, "UpCloud works on the server (" + d.State + ")"
}

// sizeOf is the plan, or "custom-<cores>-<MiB>".
func sizeOf(s upcloud.Server) string {
	if s.Plan != "" && s.Plan != customPlan {
		return s.Plan
	}
	return customSize(s.CoreNumber, s.MemoryAmount)
}

// addressesOf lists addresses, those first that the operator is most likely to reach.
func addressesOf(d details) (all []provider.Address) {
	for _, iface := range d.Networking.Interfaces {
		for _, ip := range iface.IPAddresses {
			if address, ok := addressOf(iface.Type, ip.Address); ok {
				all = append(all, address)
			}
		}
	}
	order := []provider.AddressType{provider.LoopbackIP, provider.PublicIPv4, provider.PublicIPv6, provider.PrivateIPv4}
	slices.SortStableFunc(all, func(a, b provider.Address) int { return slices.Index(order, a.Type) - slices.Index(order, b.Type) })
	return all
}

func addressOf(network, text string) (provider.Address, bool) {
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return provider.Address{}, false
	case ip.IsLoopback():
		return provider.Address{Type: provider.LoopbackIP, Address: text}, true
	case network != upcloud.NetworkTypePublic && ip.Is4():
		return provider.Address{Type: provider.PrivateIPv4, Address: text}, true
	case network != upcloud.NetworkTypePublic:
		return provider.Address{}, false
	case ip.Is4():
		return provider.Address{Type: provider.PublicIPv4, Address: text}, true
	}
	return provider.Address{Type: provider.PublicIPv6, Address: text}, true
}

// disksOf lists disks, that on the first address first.
func disksOf(d details) (all []provider.Disk) {
	for i, device := range disks(d) {
		name := device.Title
		if has(device.Labels, labelDisk) {
			name = decode(valueOf(device.Labels, labelDisk))
		}
		if i == 0 {
			name = ""
		}
		all = append(all, provider.Disk{Name: name, SizeGiB: int32(device.Size), Tier: device.Tier, Encrypted: device.Encrypted.Bool()})
	}
	return all
}

func disks(d details) (all []upcloud.ServerStorageDevice) {
	for _, device := range d.StorageDevices {
		if device.Type == upcloud.StorageTypeDisk {
			all = append(all, device)
		}
	}
	slices.SortStableFunc(all, func(a, b upcloud.ServerStorageDevice) int { return place(a.Address) - place(b.Address) })
	return all
}

// place reads the number in an address as virtio:1; others come last.
func place(address string) int {
	_, number, _ := strings.Cut(address, ":")
	if n, err := strconv.Atoi(number); err == nil && strings.HasPrefix(address, "virtio:") {
		return n
	}
	return 1 << 10
}

func gone(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "there is no server %.64q of this installation at UpCloud", id)
}
