package ec2

import (
	"slices"
	"strings"
	"time"
)

// What this region offers. The names and sizes are AWS's; ids and prices are invented.

type typeOf struct {
	CPUs      int
	MemoryMiB int
	Arch      string
	NotIn     []string // zones that do not have it
	Price     string   // USD an hour
}

type image struct {
	Name, Owner, Arch, Root, Parameter, Created string
	SizeGiB                                     int
}

var (
	zones = []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}

	types = map[string]typeOf{
		"t3.micro": {2, 1024, "x86_64", nil, "0.0100000000"}, "t3.small": {2, 2048, "x86_64", nil, "0.0200000000"},
		"t3.medium": {2, 4096, "x86_64", nil, "0.0400000000"}, "t3.large": {2, 8192, "x86_64", nil, "0.0800000000"},
		"m7i.large": {2, 8192, "x86_64", nil, "0.1000000000"}, "m7i.xlarge": {4, 16384, "x86_64", nil, "0.2000000000"},
		"t4g.small": {2, 2048, "arm64", nil, "0.0160000000"}, "m7g.large": {2, 8192, "arm64", []string{"eu-west-1c"}, ""},
	}

	images = map[string]image{
		"ami-0000000000debian12": {"debian-12-amd64-20260101-1", "136693071363", "x86_64", "/dev/xvda", "/aws/service/debian/release/12/latest/amd64", "2026-01-01T00:00:00.000Z", 8},
		"ami-0000000000deb12arm": {"debian-12-arm64-20260101-1", "136693071363", "arm64", "/dev/xvda", "/aws/service/debian/release/12/latest/arm64", "2026-01-01T00:00:00.000Z", 8},
		"ami-0000000000debian13": {"debian-13-amd64-20260101-1", "136693071363", "x86_64", "/dev/xvda", "", "2026-01-01T00:00:00.000Z", 8},
		"ami-0000000000debold13": {"debian-13-amd64-20250901-1", "136693071363", "x86_64", "/dev/xvda", "", "2025-09-01T00:00:00.000Z", 8},
		"ami-000000000ubuntu244": {"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101", "099720109477", "x86_64", "/dev/sda1", "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id", "2026-01-01T00:00:00.000Z", 8},
		"ami-00000000000al2023x": {"al2023-ami-2023.1.20260101.0-kernel-6.1-x86_64", "137112412989", "x86_64", "/dev/xvda", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "2026-01-01T00:00:00.000Z", 8},
	}
)

type typeXML struct {
	Name   string      `xml:"instanceType"`
	Arch   set[string] `xml:"processorInfo>supportedArchitectures"`
	CPUs   int         `xml:"vCpuInfo>defaultVCpus"`
	Memory int         `xml:"memoryInfo>sizeInMiB"`
}

type typesReply struct {
	Types     set[typeXML] `xml:"instanceTypeSet"`
	NextToken string       `xml:"nextToken,omitempty"`
}

func describeInstanceTypes(_ *Cloud, p *params) (func(time.Time) (any, error), error) {
	wanted := p.list("InstanceType")
	at, err := p.page(5, 100)
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		var unknown []string
		for _, name := range wanted {
			if types[name].Arch == "" {
				unknown = append(unknown, name)
			}
		}
		if len(unknown) > 0 {
			return nil, refuse("InvalidInstanceType", "The following supplied instance types do not exist: ["+strings.Join(unknown, ", ")+"]")
		}
		var reply typesReply
		for _, name := range keysOf(types) {
			if len(wanted) == 0 || slices.Contains(wanted, name) {
				t := types[name]
				reply.Types.Items = append(reply.Types.Items, typeXML{name, set[string]{[]string{t.Arch}}, t.CPUs, t.MemoryMiB})
			}
		}
		reply.Types.Items, reply.NextToken = cut(reply.Types.Items, at)
		return reply, nil
	}, nil
}

type offeringXML struct {
	Type     string `xml:"instanceType"`
	Location string `xml:"location"`
	Kind     string `xml:"locationType"`
}

type offeringsReply struct {
	Offerings set[offeringXML] `xml:"instanceTypeOfferingSet"`
	NextToken string           `xml:"nextToken,omitempty"`
}

func describeInstanceTypeOfferings(_ *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("location", "instance-type")
	if err != nil {
		return nil, err
	}
	if p.get("LocationType") != "availability-zone" {
		return nil, refuse("InvalidParameterValue", "this cloud knows LocationType availability-zone")
	}
	at, err := p.page(5, 1000)
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		var reply offeringsReply
		for _, name := range keysOf(types) {
			for _, zone := range zones {
				fits := !slices.ContainsFunc(filters, func(f filter) bool {
					return f.name == "location" && !f.matches(zone) || f.name == "instance-type" && !f.matches(name)
				})
				if fits && !slices.Contains(types[name].NotIn, zone) {
					reply.Offerings.Items = append(reply.Offerings.Items, offeringXML{name, zone, "availability-zone"})
				}
			}
		}
		reply.Offerings.Items, reply.NextToken = cut(reply.Offerings.Items, at)
		return reply, nil
	}, nil
}

type imageXML struct {
	ID      string           `xml:"imageId"`
	Name    string           `xml:"name"`
	Owner   string           `xml:"imageOwnerId"`
	Arch    string           `xml:"architecture"`
	Root    string           `xml:"rootDeviceName"`
	Created string           `xml:"creationDate"`
	State   string           `xml:"imageState"`
	Devices set[snapshotXML] `xml:"blockDeviceMapping"`
}

type snapshotXML struct {
	Device string `xml:"deviceName"`
	Size   int    `xml:"ebs>volumeSize"`
}

type imagesReply struct {
	Images set[imageXML] `xml:"imagesSet"`
}

func describeImages(_ *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("name", "architecture", "state")
	if err != nil {
		return nil, err
	}
	ids, owners := p.list("ImageId"), p.list("Owner")
	return func(time.Time) (any, error) {
		for _, id := range ids {
			if !strings.HasPrefix(id, "ami-") {
				return nil, refuse("InvalidAMIID.Malformed", "Invalid id: \""+id+"\" (expecting \"ami-...\")")
			}
			if images[id].Name == "" {
				return nil, refuse("InvalidAMIID.NotFound", "The image id '["+id+"]' does not exist")
			}
		}
		var reply imagesReply
		for _, id := range keysOf(images) {
			m := images[id]
			fits := !slices.ContainsFunc(filters, func(f filter) bool {
				return !f.matches(map[string]string{"name": m.Name, "architecture": m.Arch, "state": "available"}[f.name])
			})
			if fits && (len(ids) == 0 || slices.Contains(ids, id)) && (len(owners) == 0 || slices.Contains(owners, m.Owner)) {
				reply.Images.Items = append(reply.Images.Items, imageXML{id, m.Name, m.Owner, m.Arch, m.Root, m.Created, "available", set[snapshotXML]{[]snapshotXML{{m.Root, m.SizeGiB}}}})
			}
		}
		return reply, nil
	}, nil
}
