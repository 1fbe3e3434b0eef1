package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

const (
	pageSize     = 1000 // instances; the most that EC2 gives
	filterValues = 100  // in one call; EC2 admits 200 over all filters
)

// living are the states of what has not ended. A terminated instance shows for about an hour.
var living = []string{"pending", "running", "shutting-down", "stopping", "stopped"}

// Get returns an instance of ours. Many at once are one call.
func (a *AWS) Get(ctx context.Context, id string) (provider.Instance, error) {
	found, err := a.look(ctx, id)
	if err != nil {
		return provider.Instance{}, err
	}
	if stateOf(found) == types.InstanceStateNameTerminated {
		return provider.Instance{}, gone(id)
	}
	return a.shown(found), nil
}

// look returns an instance of ours as EC2 shows it, also a terminated one. What this process has just made exists, whatever EC2's reads
// say: they lag by seconds.
func (a *AWS) look(ctx context.Context, id string) (types.Instance, error) {
	if err := notSent(ctx); err != nil {
		return types.Instance{}, err
	}
	if !instanceID.MatchString(id) {
		return types.Instance{}, gone(id)
	}
	found, seen, err := a.byID.ask(ctx, id)
	if err != nil {
		return types.Instance{}, err
	}
	if !seen {
		if found, seen = a.fresh.get(id); !seen {
			return types.Instance{}, gone(id)
		}
	}
	found = a.fresh.complete(found)
	if read(found.Tags)[tagInstallation] != a.options.Installation {
		return types.Instance{}, gone(id)
	}
	return found, nil
}

// List returns what carries the owner's tags and has not ended.
func (a *AWS) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	if err := notSent(ctx); err != nil {
		return nil, err
	}
	filters := []types.Filter{filter("tag:"+tagInstallation, owner.Installation), filter("instance-state-name", living...)}
	if owner.Namespace != "" {
		filters = append(filters, filter("tag:"+tagNamespace, owner.Namespace))
	}
	if owner.Name != "" {
		filters = append(filters, filter("tag:"+tagName, owner.Name))
	}
	found, err := a.describe(ctx, filters...)
	if err != nil {
		return nil, err
	}
	late, err := a.late(ctx, found)
	if err != nil {
		return nil, err
	}
	found = append(found, late...)
	if owner.Namespace == "" && owner.Name == "" {
		a.readVolumes(ctx, found)
	}
	var all []provider.Instance
	for _, i := range found {
		if shown := a.shown(a.fresh.complete(i)); owner.Covers(shown.Owner) {
			all = append(all, shown)
		}
	}
	slices.SortFunc(all, func(x, y provider.Instance) int { return strings.Compare(x.ID, y.ID) })
	return slices.CompactFunc(all, func(x, y provider.Instance) bool { return x.ID == y.ID }), nil // a page may repeat one
}

// late are the instances that this process made and a list does not show: because it lags, or because they have ended, which a look at
// each tells apart.
func (a *AWS) late(ctx context.Context, found []types.Instance) (late []types.Instance, err error) {
	for ids := range slices.Chunk(a.fresh.unseen(found), filterValues) {
		shown, err := a.describeIDs(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			i, visible := shown[id]
			if visible && stateOf(i) == types.InstanceStateNameTerminated {
				a.fresh.forget(id)
				continue
			}
			if known, ok := a.fresh.get(id); !visible && ok {
				i, visible = known, true
			}
			if visible {
				late = append(late, i)
			}
		}
	}
	return late, nil
}

// describe reads all pages.
func (a *AWS) describe(ctx context.Context, filters ...types.Filter) (all []types.Instance, err error) {
	in := &ec2.DescribeInstancesInput{Filters: filters, MaxResults: sdk.Int32(pageSize)}
	for {
		out, err := a.api.reads.DescribeInstances(ctx, in)
		if err != nil {
			return nil, classify("DescribeInstances", err, fault.Retry)
		}
		for _, reservation := range out.Reservations {
			all = append(all, reservation.Instances...)
		}
		if deref(out.NextToken) == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
}

// describeIDs asks by a filter and not by InstanceIds, where one id that does not exist fails the whole call.
func (a *AWS) describeIDs(ctx context.Context, ids []string) (map[string]types.Instance, error) {
	found, err := a.describe(ctx, filter("instance-id", ids...))
	byID := map[string]types.Instance{}
	for _, i := range found {
		byID[deref(i.InstanceId)] = i
	}
	return byID, err
}

func (a *AWS) describeKeys(ctx context.Context, keys []string) (map[string][]types.Instance, error) {
	found, err := a.describe(ctx, filter("tag:"+tagInstallation, a.options.Installation), filter("tag:"+tagKey, keys...), filter("instance-state-name", living...))
	byKey := map[string][]types.Instance{}
	for _, i := range found {
		key := read(i.Tags)[tagKey]
		byKey[key] = append(byKey[key], i)
	}
	return byKey, err
}

func stateOf(i types.Instance) types.InstanceStateName {
	if i.State == nil {
		return types.InstanceStateNamePending
	}
	return i.State.Name
}

// states: a machine that stops still runs, and the message says more.
var states = map[types.InstanceStateName]provider.State{
	types.InstanceStateNamePending: provider.Pending, types.InstanceStateNameRunning: provider.Running, types.InstanceStateNameStopping: provider.Running,
	types.InstanceStateNameStopped: provider.Stopped, types.InstanceStateNameShuttingDown: provider.Terminating, types.InstanceStateNameTerminated: provider.Terminating,
}

// shown is an instance as a machine.
func (a *AWS) shown(i types.Instance) provider.Instance {
	t := read(i.Tags)
	m := provider.Instance{
		ID: deref(i.InstanceId), Key: t[tagKey], Owner: t.owner(), State: states[stateOf(i)], Labels: t.labels(),
		Size: string(i.InstanceType), Image: deref(i.ImageId), CreatedAt: madeAt(i), Addresses: addresses(i), Disks: a.volumes.disksOf(i, t),
	}
	if t[tagLaunch] != "" {
		m.Launch = provider.Launch{Token: t[tagLaunch], Index: int(deref(i.AmiLaunchIndex))}
	}
	if i.Placement != nil {
		m.Zone = deref(i.Placement.AvailabilityZone)
	}
	switch state := stateOf(i); {
	case m.State == "":
		m.State = provider.Pending
	case state == types.InstanceStateNameStopping:
		m.Message = "it is stopping"
	case m.State == provider.Terminating && i.StateReason != nil:
		m.Message = provider.Clip(deref(i.StateReason.Message))
	case m.Key == "" && m.Launch.Token != "":
		m.Message = "it was made by a launch of many, and its own tags are not written yet"
	}
	if stateOf(i) == types.InstanceStateNameRunning {
		m.Access = a.access(i, t[tagUser])
	}
	return m
}

// madeAt is when its network interface was attached: EC2's own launch time is that of the last start.
func madeAt(i types.Instance) time.Time {
	for _, nic := range i.NetworkInterfaces {
		if at := nic.Attachment; at != nil && deref(at.DeviceIndex) == 0 && at.AttachTime != nil {
			return at.AttachTime.UTC()
		}
	}
	return deref(i.LaunchTime).UTC()
}

func addresses(i types.Instance) (all []provider.Address) {
	add := func(kind provider.AddressType, address string) {
		if address != "" {
			all = append(all, provider.Address{Type: kind, Address: address})
		}
	}
	add(provider.PublicIPv4, deref(i.PublicIpAddress))
	for _, nic := range i.NetworkInterfaces {
		for _, six := range nic.Ipv6Addresses {
			add(provider.PublicIPv6, deref(six.Ipv6Address))
		}
	}
	add(provider.PrivateIPv4, deref(i.PrivateIpAddress))
	return all
}

// access: services listen on the private address, since EC2 translates the public one on the way; SSH goes to the public one.
func (a *AWS) access(i types.Instance, user string) transport.Access {
	private, public := deref(i.PrivateIpAddress), deref(i.PublicIpAddress)
	switch {
	case private == "":
		return transport.Access{}
	case a.options.Transport == transport.Script:
		return transport.Access{Transport: transport.Script, Target: deref(i.InstanceId), Address: private}
	}
	return transport.Access{Transport: transport.SSH, Address: private, Host: public, User: user, Sudo: user != "" && user != "root"}
}
