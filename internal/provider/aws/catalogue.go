package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/provider"
)

// Zones are the availability zones of the region.
func (a *AWS) Zones(ctx context.Context) ([]provider.Choice, error) {
	return a.zones.get("", func() ([]provider.Choice, error) {
		out, err := a.api.reads.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
		if err != nil {
			return nil, classify("DescribeAvailabilityZones", err, fault.Retry)
		}
		var all []provider.Choice
		for _, zone := range out.AvailabilityZones {
			if zone.State == types.AvailabilityZoneStateAvailable && deref(zone.ZoneType) == "availability-zone" {
				all = append(all, provider.Choice{Name: deref(zone.ZoneName), Description: deref(zone.ZoneId)})
			}
		}
		return byName(all), nil
	})
}

// Sizes are the instance types that a zone offers, or the region for "". What they cost is for Price: a list of all prices is long.
func (a *AWS) Sizes(ctx context.Context, zone string) ([]provider.Choice, error) {
	return a.sizes.get(zone, func() ([]provider.Choice, error) {
		offered, err := a.offered(ctx, zone)
		if err != nil {
			return nil, err
		}
		var all []provider.Choice
		in := &ec2.DescribeInstanceTypesInput{MaxResults: sdk.Int32(100)}
		for {
			out, err := a.api.reads.DescribeInstanceTypes(ctx, in)
			if err != nil {
				return nil, classify("DescribeInstanceTypes", err, fault.Retry)
			}
			for _, kind := range out.InstanceTypes {
				if zone == "" || offered[kind.InstanceType] {
					all = append(all, sizeOf(kind))
				}
			}
			if deref(out.NextToken) == "" {
				return byName(all), nil
			}
			in.NextToken = out.NextToken
		}
	})
}

func (a *AWS) offered(ctx context.Context, zone string) (map[types.InstanceType]bool, error) {
	offered := map[types.InstanceType]bool{}
	if zone == "" {
		return offered, nil
	}
	in := &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{filter("location", zone)}, MaxResults: sdk.Int32(1000),
	}
	for {
		out, err := a.api.reads.DescribeInstanceTypeOfferings(ctx, in)
		if err != nil {
			return nil, classify("DescribeInstanceTypeOfferings", err, fault.Retry)
		}
		for _, offering := range out.InstanceTypeOfferings {
			offered[offering.InstanceType] = true
		}
		if deref(out.NextToken) == "" {
			return offered, nil
		}
		in.NextToken = out.NextToken
	}
}

func sizeOf(kind types.InstanceTypeInfo) provider.Choice {
	size := provider.Choice{Name: string(kind.InstanceType)}
	if kind.VCpuInfo != nil {
		size.CPUs = deref(kind.VCpuInfo.DefaultVCpus)
	}
	if kind.MemoryInfo != nil {
		size.MemoryMiB = deref(kind.MemoryInfo.SizeInMiB)
	}
	if kind.ProcessorInfo != nil {
		var names []string
		for _, arch := range kind.ProcessorInfo.SupportedArchitectures {
			names = append(names, string(arch))
		}
		size.Description = strings.Join(names, ", ")
	}
	return size
}

// Images are the aliases that we know. Every AMI that the account may use can be named besides, by its id.
func (a *AWS) Images(context.Context, string) ([]provider.Choice, error) {
	var all []provider.Choice
	for name, known := range aliases {
		all = append(all, provider.Choice{Name: name, Description: known.about})
	}
	return byName(all), nil
}

// architecture asks for one type only: the whole list is long, and needed only to help with a wrong name.
func (a *AWS) architecture(ctx context.Context, size string) (string, error) {
	return a.archs.get(size, func() (string, error) {
		out, err := a.api.reads.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: []types.InstanceType{types.InstanceType(size)}})
		switch code := codeOf(err); {
		case code == "InvalidInstanceType" || code == "InvalidParameterValue" || err == nil && len(out.InstanceTypes) == 0:
			return "", a.noSize(ctx, size, "")
		case err != nil:
			return "", classify("DescribeInstanceTypes", err, fault.Retry)
		}
		arch := types.ArchitectureTypeX8664
		if p := out.InstanceTypes[0].ProcessorInfo; p != nil && !slices.Contains(p.SupportedArchitectures, arch) && len(p.SupportedArchitectures) > 0 {
			arch = p.SupportedArchitectures[0]
		}
		return string(arch), nil
	})
}

func (a *AWS) noSize(ctx context.Context, size, zone string) error {
	there, err := a.Sizes(ctx, zone)
	if err != nil {
		return err
	}
	where := a.options.Region
	if zone != "" {
		where = zone
	}
	return fault.New(fault.Terminal, fault.ReasonInvalid, "size: there is no instance type %.64q in %s; %s", size, where, offer(size, names(there)))
}

func (a *AWS) checkZone(ctx context.Context, zone string) error {
	if zone == "" {
		return nil
	}
	there, err := a.Zones(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names(there), zone) {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "zone: there is no %.64q in %s; %s", zone, a.options.Region, offer(zone, names(there)))
	}
	return nil
}

func byName(all []provider.Choice) []provider.Choice {
	slices.SortFunc(all, func(x, y provider.Choice) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// offer says what there is instead: all of it where that is little, else what is spelled most like it.
func offer(asked string, there []string) string {
	const few = 8
	near := nearest.Names(asked, there)
	switch {
	case len(there) == 0:
		return "there is none"
	case len(there) <= few:
		return "there are: " + strings.Join(there, ", ")
	case len(near) > 0:
		return "the nearest are: " + strings.Join(near, ", ")
	}
	return fmt.Sprintf("there are %d, such as %s", len(there), strings.Join(there[:few], ", "))
}

func names(all []provider.Choice) (names []string) {
	for _, choice := range all {
		names = append(names, choice.Name)
	}
	return names
}
