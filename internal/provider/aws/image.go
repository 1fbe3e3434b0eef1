package aws

import (
	"context"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/keelway/keelway/internal/fault"
)

// alias is a name for whatever AMI of a system is the newest. Who publishes it says where: in a public parameter, or under an account
// and a pattern of names. %s is the architecture in the publisher's own words.
type alias struct {
	about     string
	user      string // who logs in
	parameter string // "" = none is published
	owner     string
	pattern   string
	arch      [2]string // for x86_64 and arm64
}

var debianArch = [2]string{"amd64", "arm64"}

// aliases, with what their publishers document: Debian at wiki.debian.org/Cloud/AmazonEC2Image, Canonical at
// documentation.ubuntu.com/aws, Amazon in the guide of AL2023, Rocky Linux and AlmaLinux on their pages of cloud images.
var aliases = map[string]alias{
	"debian-12":         {"Debian 12 (bookworm)", "admin", "/aws/service/debian/release/12/latest/%s", "136693071363", "debian-12-%s-*", debianArch},
	"debian-13":         {"Debian 13 (trixie)", "admin", "/aws/service/debian/release/13/latest/%s", "136693071363", "debian-13-%s-*", debianArch},
	"ubuntu-22.04":      {"Ubuntu 22.04 LTS", "ubuntu", "/aws/service/canonical/ubuntu/server/22.04/stable/current/%s/hvm/ebs-gp2/ami-id", "099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-%s-server-*", debianArch},
	"ubuntu-24.04":      {"Ubuntu 24.04 LTS", "ubuntu", "/aws/service/canonical/ubuntu/server/24.04/stable/current/%s/hvm/ebs-gp3/ami-id", "099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-%s-server-*", debianArch},
	"amazon-linux-2023": {"Amazon Linux 2023", "ec2-user", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-%s", "137112412989", "al2023-ami-2023.*-%s", [2]string{"x86_64", "arm64"}},
	"rocky-9":           {"Rocky Linux 9", "rocky", "", "792107900819", "Rocky-9-EC2-Base-9.*.%s", [2]string{"x86_64", "aarch64"}},
	"almalinux-9":       {"AlmaLinux OS 9", "ec2-user", "", "764336703387", "AlmaLinux OS 9.* %s", [2]string{"x86_64", "aarch64"}},
}

// ami is what a launch must know of its image.
type ami struct {
	ID   string
	Root string // the name of its root device
	GiB  int32  // of its root disk
}

type imageKey struct{ name, arch string }

// image resolves an alias or an AMI's id.
func (a *AWS) image(ctx context.Context, name, arch string) (ami, error) {
	return a.images.get(imageKey{name, arch}, func() (ami, error) {
		if strings.HasPrefix(name, "ami-") {
			return a.imageByID(ctx, name)
		}
		known, ok := aliases[name]
		if !ok {
			return ami{}, fault.New(fault.Terminal, fault.ReasonInvalid, "image: there is no %.64q; %s, and every AMI by its id ami-…",
				name, offer(name, sortedKeys(aliases)))
		}
		word := known.arch[0]
		if arch == string(types.ArchitectureTypeArm64) {
			word = known.arch[1]
		}
		return a.newest(ctx, name, known, word, arch)
	})
}

func (a *AWS) imageByID(ctx context.Context, id string) (ami, error) {
	out, err := a.api.reads.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err == nil && len(out.Images) == 1 {
		return amiOf(out.Images[0]), nil
	}
	if err == nil || strings.HasPrefix(codeOf(err), "InvalidAMIID") {
		return ami{}, fault.New(fault.Terminal, fault.ReasonInvalid, "image: there is no AMI %.64q that this account may use in %s; by name there are: %s",
			id, a.options.Region, strings.Join(sortedKeys(aliases), ", "))
	}
	return ami{}, classify("DescribeImages", err, fault.Retry)
}

// newest asks the publisher's parameter first. Where there is none, or this account may not read it, the newest AMI of the publisher's
// own account counts.
func (a *AWS) newest(ctx context.Context, name string, known alias, word, arch string) (ami, error) {
	if known.parameter != "" {
		parameter := strings.Replace(known.parameter, "%s", word, 1)
		out, err := a.api.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{parameter}})
		if err == nil && len(out.Parameters) == 1 {
			return a.imageByID(ctx, deref(out.Parameters[0].Value))
		}
		if refused := classify("GetParameters", err, fault.Retry); err != nil && fault.ReasonOf(refused) != fault.ReasonUnauthorized {
			return ami{}, refused
		}
	}
	out, err := a.api.reads.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{known.owner},
		Filters: []types.Filter{
			{Name: sdk.String("name"), Values: []string{strings.Replace(known.pattern, "%s", word, 1)}}, filter("architecture", arch), filter("state", "available"),
		},
	})
	if err != nil {
		return ami{}, classify("DescribeImages", err, fault.Retry)
	}
	if len(out.Images) == 0 {
		return ami{}, fault.New(fault.Terminal, fault.ReasonInvalid, "image: %s is not published for %s in %s", name, arch, a.options.Region)
	}
	return amiOf(slices.MaxFunc(out.Images, func(x, y types.Image) int {
		return strings.Compare(deref(x.CreationDate)+deref(x.ImageId), deref(y.CreationDate)+deref(y.ImageId))
	})), nil
}

func amiOf(i types.Image) ami {
	got := ami{ID: deref(i.ImageId), Root: deref(i.RootDeviceName)}
	for _, device := range i.BlockDeviceMappings {
		if deref(device.DeviceName) == got.Root && device.Ebs != nil {
			got.GiB = deref(device.Ebs.VolumeSize)
		}
	}
	return got
}
