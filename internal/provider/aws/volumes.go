package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

const (
	// An instance names its volumes and does not tell what they are. They are read in pages for the whole account, by a List that comes so
	// long after the last one that did: quick ticks never do.
	volumesEvery = 5 * time.Minute
	volumesAgain = time.Minute // after it failed, where that may pass
	volumesPage  = 500         // the most that EC2 gives
)

// volumes is what was read of the volumes of our instances, by id. Without it nothing is said about disks.
type volumes struct {
	now func() time.Time

	mu  sync.Mutex
	due time.Time
	all map[string]types.Volume
}

// takes reports whether it is the caller's turn to read.
func (v *volumes) takes() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if now.Before(v.due) {
		return false
	}
	v.due = now.Add(volumesEvery)
	return true
}

// readVolumes reads those that carry our tag, and those of the instances found that do not: of machines that were adopted. That they
// cannot be read takes nothing from the evidence of the List.
func (a *AWS) readVolumes(ctx context.Context, found []types.Instance) {
	if !a.volumes.takes() {
		return
	}
	all := map[string]types.Volume{}
	err := a.describeVolumes(ctx, all, filter("tag:"+tagInstallation, a.options.Installation))
	var others []string
	for _, i := range found {
		for _, d := range i.BlockDeviceMappings {
			if id := volumeOf(d); id != "" && all[id].VolumeId == nil {
				others = append(others, id)
			}
		}
	}
	for ids := range slices.Chunk(others, filterValues) {
		if err == nil {
			err = a.describeVolumes(ctx, all, filter("volume-id", ids...))
		}
	}
	a.volumes.mu.Lock()
	defer a.volumes.mu.Unlock()
	switch {
	case err == nil:
		a.volumes.all = all
	case !fault.IsTerminal(err): // what only a person can mend is not asked for more often than what works
		a.volumes.due = a.volumes.now().Add(volumesAgain)
	}
}

func (a *AWS) describeVolumes(ctx context.Context, into map[string]types.Volume, filters ...types.Filter) error {
	in := &ec2.DescribeVolumesInput{Filters: filters, MaxResults: sdk.Int32(volumesPage)}
	for {
		out, err := a.api.reads.DescribeVolumes(ctx, in)
		if err != nil {
			return classify("DescribeVolumes", err, fault.Retry)
		}
		for _, v := range out.Volumes {
			into[deref(v.VolumeId)] = v
		}
		if deref(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

func volumeOf(d types.InstanceBlockDeviceMapping) string {
	if d.Ebs == nil {
		return ""
	}
	return deref(d.Ebs.VolumeId)
}

// disksOf are an instance's disks, the root disk first and the others in order of their devices; nil while not all of them are known.
func (v *volumes) disksOf(i types.Instance, t tags) (disks []provider.Disk) {
	v.mu.Lock()
	defer v.mu.Unlock()
	devices := slices.SortedFunc(slices.Values(i.BlockDeviceMappings), func(x, y types.InstanceBlockDeviceMapping) int {
		root := func(d types.InstanceBlockDeviceMapping) int {
			if deref(d.DeviceName) == deref(i.RootDeviceName) {
				return 0
			}
			return 1
		}
		return cmp.Or(root(x)-root(y), strings.Compare(deref(x.DeviceName), deref(y.DeviceName)))
	})
	for _, d := range devices {
		known, ok := v.all[volumeOf(d)]
		if !ok {
			return nil
		}
		device := deref(d.DeviceName)
		name := cmp.Or(t[tagDisk+device], device)
		if device == deref(i.RootDeviceName) {
			name = ""
		}
		disks = append(disks, provider.Disk{Name: name, SizeGiB: deref(known.Size), Tier: string(known.VolumeType), Encrypted: deref(known.Encrypted)})
	}
	return disks
}

// device is where a disk besides the root disk is attached, in order.
func device(n int) string { return "/dev/sd" + string(rune('f'+n)) }

// diskTags keep the names of disks: a volume has none, and all volumes of a launch get the same tags.
func diskTags(disks []provider.Disk) (all []types.Tag) {
	for n, d := range disks {
		all = append(all, tag(tagDisk+device(n), d.Name))
	}
	return all
}
