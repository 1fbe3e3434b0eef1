package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// refused is the answer to a launch that AWS refused. When it never will succeed, and no other machine needs them, the group and the key
// pair that were made for it go again: nobody will come to end a machine that never was.
func (a *AWS) refused(ctx context.Context, want provider.Machine, in *ec2.RunInstancesInput, err error) error {
	err = a.explain(ctx, want, in, err)
	if made := len(a.options.SecurityGroupIDs) == 0 && len(a.options.SSHFrom) > 0 || in.KeyName != nil; made && fault.IsTerminal(err) {
		_ = a.tidied(ctx, nil) // what was asked for is what has to be told
	}
	return err
}

// explain says which field a refused launch is about, and forgets what turned out not to be there any more.
func (a *AWS) explain(ctx context.Context, want provider.Machine, in *ec2.RunInstancesInput, err error) error {
	text := err.Error()
	name := func(field string) error { return fault.During(err, "%s", field) }
	if !strings.HasPrefix(text, "RunInstances: ") {
		return err
	}
	switch code, _, _ := strings.Cut(strings.TrimPrefix(text, "RunInstances: "), " "); strings.TrimSuffix(code, ":") {
	case "InvalidGroup.NotFound", "InvalidGroupId.Malformed", "InvalidGroupId.NotFound", "InvalidSecurityGroupID.NotFound":
		if len(a.options.SecurityGroupIDs) > 0 {
			return name("network.securityGroupIDs")
		}
		a.groups.forget(a.vpcOf(in))
		return fault.New(fault.Retry, fault.ReasonConflict, "the security group of this installation has gone meanwhile: %w", err)
	case "InvalidKeyPair.NotFound":
		a.imported.forget(deref(in.KeyName))
		return fault.New(fault.Retry, fault.ReasonConflict, "the key pair of this installation has gone meanwhile: %w", err)
	case "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "InvalidSubnet":
		if named := a.noSubnet(ctx, subnetOf(in)); fault.IsTerminal(named) {
			return named
		}
		return name("network: subnet")
	case "InvalidAMIID.NotFound", "InvalidAMIID.Malformed", "InvalidAMIID.Unavailable":
		return name("image")
	case "Unsupported", "InvalidInstanceType":
		if offered, asked := a.offered(ctx, want.Zone); asked == nil && want.Zone != "" && !offered[types.InstanceType(want.Size)] {
			return a.noSize(ctx, want.Size, want.Zone)
		}
		return name("size")
	case "InvalidBlockDeviceMapping":
		return name("rootDisk or disks")
	}
	return err
}
