package aws

import (
	"context"
	"net/netip"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// securityGroups are those of the options, or our own one where SSH is to be let in, or none: EC2 takes the VPC's default group then.
func (a *AWS) securityGroups(ctx context.Context, subnet string) ([]string, error) {
	if len(a.options.SecurityGroupIDs) > 0 || len(a.options.SSHFrom) == 0 {
		return a.options.SecurityGroupIDs, nil
	}
	vpc, err := a.vpc(ctx, subnet)
	if err != nil {
		return nil, err
	}
	a.shared.use()
	id, err := a.groups.get(vpc, func() (string, error) { return a.ensureGroup(ctx, vpc) })
	return []string{id}, err
}

// place is where a subnet is.
type place struct{ vpc, zone string }

// subnetFor is the one that the machine names, or the first of the options that is in its zone, or "": EC2 chooses then.
func (a *AWS) subnetFor(ctx context.Context, want provider.Machine) (string, error) {
	given := a.options.SubnetIDs
	switch {
	case len(want.Network.Private) > 0:
		return want.Network.Private[0], nil
	case len(given) == 0:
		return "", nil
	case want.Zone == "":
		return given[0], nil
	}
	var there []string
	for _, subnet := range given {
		at, err := a.placeOf(ctx, subnet)
		if err != nil {
			return "", err
		}
		if at.zone == want.Zone {
			return subnet, nil
		}
		there = append(there, subnet+" in "+at.zone)
	}
	return "", fault.New(fault.Terminal, fault.ReasonInvalid, "zone: none of the Provider's network.subnetIDs is in %.64q; %s", want.Zone, offer(want.Zone, there))
}

// vpc is where a subnet is, or the default one.
func (a *AWS) vpc(ctx context.Context, subnet string) (string, error) {
	at, err := a.placeOf(ctx, subnet)
	return at.vpc, err
}

// placeOf asks where a subnet is; "" stands for those of the default VPC.
func (a *AWS) placeOf(ctx context.Context, subnet string) (place, error) {
	return a.places.get(subnet, func() (place, error) {
		if subnet == "" {
			out, err := a.api.reads.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []types.Filter{filter("is-default", "true")}})
			switch {
			case err != nil:
				return place{}, classify("DescribeVpcs", err, fault.Retry)
			case len(out.Vpcs) == 0:
				return place{}, fault.New(fault.Terminal, fault.ReasonInvalid, "network.subnetIDs: it is empty, and the account has no default VPC in %s", a.options.Region)
			}
			return place{vpc: deref(out.Vpcs[0].VpcId)}, nil
		}
		out, err := a.api.reads.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}})
		if err == nil && len(out.Subnets) == 1 {
			return place{deref(out.Subnets[0].VpcId), deref(out.Subnets[0].AvailabilityZone)}, nil
		}
		if err == nil || strings.HasPrefix(codeOf(err), "InvalidSubnet") {
			return place{}, a.noSubnet(ctx, subnet)
		}
		return place{}, classify("DescribeSubnets", err, fault.Retry)
	})
}

func (a *AWS) noSubnet(ctx context.Context, subnet string) error {
	out, err := a.api.reads.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	if err != nil {
		return classify("DescribeSubnets", err, fault.Retry)
	}
	var there []string
	for _, s := range out.Subnets {
		there = append(there, deref(s.SubnetId)+" in "+deref(s.AvailabilityZone))
	}
	return fault.New(fault.Terminal, fault.ReasonInvalid, "network: there is no subnet %.64q in %s; %s", subnet, a.options.Region, offer(subnet, there))
}

// subnetOf is the one that a launch names.
func subnetOf(in *ec2.RunInstancesInput) string {
	if len(in.NetworkInterfaces) > 0 {
		return deref(in.NetworkInterfaces[0].SubnetId)
	}
	return deref(in.SubnetId)
}

func (a *AWS) vpcOf(in *ec2.RunInstancesInput) string {
	at, _ := a.places.peek(subnetOf(in))
	return at.vpc
}

// ensureGroup finds our group by its tag, or makes it, and opens what is not open. A group has no token: its name is derived, and AWS
// refuses a second one of that name.
func (a *AWS) ensureGroup(ctx context.Context, vpc string) (string, error) {
	name := a.groupName()
	group, err := a.findGroup(ctx, filter("group-name", name), filter("vpc-id", vpc))
	if err != nil {
		return "", err
	}
	if group == nil {
		out, err := a.api.writes.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: sdk.String(name), Description: sdk.String("Keelway: SSH to the machines of one installation"), VpcId: sdk.String(vpc),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: []types.Tag{tag(tagInstallation, a.options.Installation)}}},
		})
		switch {
		case codeOf(err) == "InvalidGroup.Duplicate":
			return "", fault.New(fault.Retry, fault.ReasonConflict, "security group %s has just been made; reading it again", name)
		case err != nil:
			return "", classify("CreateSecurityGroup", err, fault.Unknown)
		}
		group = &types.SecurityGroup{GroupId: out.GroupId, Tags: []types.Tag{tag(tagInstallation, a.options.Installation)}}
	}
	if read(group.Tags)[tagInstallation] != a.options.Installation {
		return "", fault.New(fault.Terminal, fault.ReasonNameTaken, "a security group that is not ours has the name %s in %s: rename or remove it", name, vpc)
	}
	return deref(group.GroupId), a.open(ctx, group)
}

func (a *AWS) findGroup(ctx context.Context, filters ...types.Filter) (*types.SecurityGroup, error) {
	out, err := a.api.reads.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters})
	if err != nil || len(out.SecurityGroups) == 0 {
		return nil, classify("DescribeSecurityGroups", err, fault.Retry)
	}
	return &out.SecurityGroups[0], nil
}

// groupName is that of the one group that a Provider's machines share. Those of another Provider are not among its members.
func (a *AWS) groupName() string { return derivedName(a.options.Installation, "ssh", a.options.Name) }

// Keep closes what was taken out of SSHFrom, and opens what was put in, in every VPC where the group was made.
func (a *AWS) Keep(ctx context.Context) error {
	out, err := a.api.reads.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{
		Filters: []types.Filter{filter("group-name", a.groupName()), filter("tag:"+tagInstallation, a.options.Installation)},
	})
	err = classify("DescribeSecurityGroups", err, fault.Retry)
	if len(a.options.SSHFrom) == 0 && fault.ReasonOf(err) == fault.ReasonUnauthorized {
		return nil // whoever lets no group be made needs no permission to look for one
	}
	if err != nil {
		return err
	}
	for i := range out.SecurityGroups {
		if err := a.open(ctx, &out.SecurityGroups[i]); err != nil {
			return fault.During(err, "keeping security group %s as network.sshFrom says", deref(out.SecurityGroups[i].GroupId))
		}
	}
	return nil
}

const sshPort = 22

// open lets SSH in from the networks of the options and from no others, and everything from the group's own members, as a VPC's default
// group does. Rules for other ports are somebody else's.
func (a *AWS) open(ctx context.Context, group *types.SecurityGroup) error {
	want := map[string]bool{}
	for _, network := range a.options.SSHFrom {
		if from, err := netip.ParsePrefix(network); err == nil {
			want[from.Masked().String()] = true
		}
	}
	have, members := rulesOf(group)
	stale, missing := sshFrom(have, want), sshFrom(want, have)
	if len(stale) > 0 {
		_, err := a.api.writes.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: stale})
		if err != nil && codeOf(err) != "InvalidPermission.NotFound" { // somebody else was quicker
			return classify("RevokeSecurityGroupIngress", err, fault.Unknown)
		}
	}
	if !members {
		missing = append(missing, types.IpPermission{IpProtocol: sdk.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: group.GroupId}}})
	}
	if len(missing) == 0 {
		return nil
	}
	_, err := a.api.writes.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: missing})
	if codeOf(err) == "InvalidPermission.Duplicate" { // somebody else was quicker
		return nil
	}
	return classify("AuthorizeSecurityGroupIngress", err, fault.Unknown)
}

// rulesOf tells from which networks a group lets SSH in, and whether it lets its own members in.
func rulesOf(group *types.SecurityGroup) (ssh map[string]bool, members bool) {
	ssh = map[string]bool{}
	for _, rule := range group.IpPermissions {
		for _, r := range rule.UserIdGroupPairs {
			members = members || deref(r.GroupId) == deref(group.GroupId)
		}
		if deref(rule.IpProtocol) != "tcp" || deref(rule.FromPort) != sshPort || deref(rule.ToPort) != sshPort {
			continue
		}
		for _, r := range rule.IpRanges {
			ssh[deref(r.CidrIp)] = true
		}
		for _, r := range rule.Ipv6Ranges {
			ssh[deref(r.CidrIpv6)] = true
		}
	}
	return ssh, members
}

// sshFrom is the rule for those networks that are not among the others; none where all are.
func sshFrom(networks, others map[string]bool) []types.IpPermission {
	rule := types.IpPermission{IpProtocol: sdk.String("tcp"), FromPort: sdk.Int32(sshPort), ToPort: sdk.Int32(sshPort)}
	for _, network := range sortedKeys(networks) {
		switch {
		case others[network]:
		case strings.Contains(network, ":"):
			rule.Ipv6Ranges = append(rule.Ipv6Ranges, types.Ipv6Range{CidrIpv6: sdk.String(network)})
		default:
			rule.IpRanges = append(rule.IpRanges, types.IpRange{CidrIp: sdk.String(network)})
		}
	}
	if len(rule.IpRanges)+len(rule.Ipv6Ranges) == 0 {
		return nil
	}
	return []types.IpPermission{rule}
}
