package aws

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// parts are what a machine's request needs besides its own fields, looked up or made before.
type parts struct {
	image    ami
	subnet   string
	groups   []string
	keyPair  string
	userData []byte
}

// prepare looks up and makes what a launch needs and returns its request, without a token, counts and tags of one machine. What is
// looked up is kept for an hour, so that a repetition asks for the very same.
func (a *AWS) prepare(ctx context.Context, want provider.Machine) (*ec2.RunInstancesInput, error) {
	if err := checkShape(want); err != nil {
		return nil, err
	}
	var p parts
	arch, err := a.architecture(ctx, want.Size)
	if err != nil {
		return nil, err
	}
	if err := a.checkZone(ctx, want.Zone); err != nil {
		return nil, err
	}
	if p.image, err = a.image(ctx, want.Image, arch); err != nil {
		return nil, err
	}
	importable, others := splitKeys(want.Keys)
	if p.userData, err = withKeys(want.UserData, others); err != nil {
		return nil, err
	}
	if p.subnet, err = a.subnetFor(ctx, want); err != nil {
		return nil, err
	}
	if p.groups, err = a.securityGroups(ctx, p.subnet); err != nil {
		return nil, err
	}
	if p.keyPair, err = a.importKey(ctx, importable); err != nil {
		return nil, err
	}
	return a.request(want, p), nil
}

// checkShape refuses what no call to AWS could make better.
func checkShape(want provider.Machine) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	const most = 15 // devices /dev/sdf to /dev/sdt
	switch {
	case want.Size == "":
		return invalid("size: it is empty: name an instance type such as t3.small")
	case want.Image == "":
		return invalid("image: it is empty: name an alias such as debian-12, or an AMI's id")
	case len(want.Network.Private) > 1:
		return invalid("network.privateNetworks: a machine of AWS is in one subnet, and %d are named", len(want.Network.Private))
	case len(want.Disks) > most:
		return invalid("disks: %d are named, at most %d are possible", len(want.Disks), most)
	}
	for _, disk := range want.Disks {
		if disk.SizeGiB <= 0 {
			return invalid("disks: %.64q has no size: sizeGiB is needed", disk.Name)
		}
	}
	return checkLabels(want.Labels)
}

// request is pure: the same machine and parts give the same bytes.
func (a *AWS) request(want provider.Machine, p parts) *ec2.RunInstancesInput {
	in := &ec2.RunInstancesInput{
		ImageId: sdk.String(p.image.ID), InstanceType: types.InstanceType(want.Size),
		MetadataOptions:     &types.InstanceMetadataOptionsRequest{HttpTokens: types.HttpTokensStateRequired, HttpEndpoint: types.InstanceMetadataEndpointStateEnabled},
		BlockDeviceMappings: disks(want, p.image),
	}
	if want.Zone != "" {
		in.Placement = &types.Placement{AvailabilityZone: sdk.String(want.Zone)}
	}
	if p.keyPair != "" {
		in.KeyName = sdk.String(p.keyPair)
	}
	if len(p.userData) > 0 {
		in.UserData = sdk.String(base64.StdEncoding.EncodeToString(p.userData))
	}
	if a.options.Spot {
		in.InstanceMarketOptions = &types.InstanceMarketOptionsRequest{MarketType: types.MarketTypeSpot}
	}
	if want.Network.PublicIPv4 == "" && want.Network.PublicIPv6 != provider.Enabled {
		in.SecurityGroupIds = p.groups
		if p.subnet != "" {
			in.SubnetId = sdk.String(p.subnet)
		}
		return in
	}
	nic := types.InstanceNetworkInterfaceSpecification{DeviceIndex: sdk.Int32(0), Groups: p.groups}
	if p.subnet != "" {
		nic.SubnetId = sdk.String(p.subnet)
	}
	if want.Network.PublicIPv4 != "" {
		nic.AssociatePublicIpAddress = sdk.Bool(want.Network.PublicIPv4 == provider.Enabled)
	}
	if want.Network.PublicIPv6 == provider.Enabled {
		nic.Ipv6AddressCount = sdk.Int32(1)
	}
	in.NetworkInterfaces = []types.InstanceNetworkInterfaceSpecification{nic}
	return in
}

// disks all end with their machine, also a root disk whose image says otherwise.
func disks(want provider.Machine, image ami) []types.BlockDeviceMapping {
	all := []types.BlockDeviceMapping{{DeviceName: sdk.String(image.Root), Ebs: volume(want.RootDisk)}}
	for i, disk := range want.Disks {
		all = append(all, types.BlockDeviceMapping{DeviceName: sdk.String(device(i)), Ebs: volume(disk)})
	}
	return all
}

const defaultTier = "gp3"

func volume(disk provider.Disk) *types.EbsBlockDevice {
	v := &types.EbsBlockDevice{DeleteOnTermination: sdk.Bool(true), VolumeType: types.VolumeType(defaultTier)}
	if disk.SizeGiB > 0 {
		v.VolumeSize = sdk.Int32(disk.SizeGiB)
	}
	if disk.Tier != "" {
		v.VolumeType = types.VolumeType(disk.Tier)
	}
	if disk.Encrypted { // not said otherwise: the account may encrypt everything
		v.Encrypted = sdk.Bool(true)
	}
	return v
}

// mark puts tags onto the machine and, but for the name, onto its disks: nobody may have to guess whose a disk is.
func mark(in *ec2.RunInstancesInput, want provider.Machine, identity ...types.Tag) {
	all := slices.Clone(identity)
	for _, key := range sortedKeys(want.Labels) {
		all = append(all, tag(key, want.Labels[key]))
	}
	if user := aliases[want.Image].user; user != "" {
		all = append(all, tag(tagUser, user))
	}
	volumes := slices.DeleteFunc(slices.Clone(all), func(t types.Tag) bool { return deref(t.Key) == nameForPeople })
	all = append(all, diskTags(want.Disks)...)
	in.TagSpecifications = []types.TagSpecification{
		{ResourceType: types.ResourceTypeInstance, Tags: all}, {ResourceType: types.ResourceTypeVolume, Tags: volumes},
	}
}

// namedFor adds the name that people see, unless they gave one themselves.
func namedFor(owner provider.Owner, labels map[string]string) []types.Tag {
	if _, given := labels[nameForPeople]; given {
		return nil
	}
	return []types.Tag{tag(nameForPeople, displayName(owner))}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
