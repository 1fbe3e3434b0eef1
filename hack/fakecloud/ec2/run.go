package ec2

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// request is a RunInstances call that has been read.
type request struct {
	shape    instance
	least    int
	most     int
	token    string
	hash     string
	tags     map[string]map[string]string
	disks    []volume
	publicly string // "", "true", "false"
	ipv6     int
}

func runInstances(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	q := request{token: p.get("ClientToken"), hash: p.hash()}
	q.least, _ = strconv.Atoi(p.get("MinCount"))
	q.most, _ = strconv.Atoi(p.get("MaxCount"))
	q.shape = instance{Type: p.get("InstanceType"), Image: p.get("ImageId"), Zone: p.get("Placement.AvailabilityZone"), Key: p.get("KeyName"), Token: q.token}
	q.shape.Subnet, q.shape.Groups = p.get("SubnetId"), p.list("SecurityGroupId")
	if err := q.interfaces(p); err != nil {
		return nil, err
	}
	if kind := p.get("InstanceMarketOptions.MarketType"); kind != "" && kind != "spot" {
		return nil, refuse("InvalidParameterValue", "Invalid value '"+kind+"' for MarketType.")
	}
	q.shape.Spot = p.get("InstanceMarketOptions.MarketType") == "spot"
	p.get("MetadataOptions.HttpEndpoint")
	if p.get("MetadataOptions.HttpTokens") != "required" && p.has("MetadataOptions.HttpTokens") {
		return nil, refuse("InvalidParameterValue", "this account enforces IMDSv2: HttpTokens must be required")
	}
	if data, err := base64.StdEncoding.DecodeString(p.get("UserData")); err != nil {
		return nil, refuse("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	} else if len(data) > 16<<10 {
		return nil, refuse("InvalidParameterValue", "User data is limited to 16384 bytes")
	}
	var err error
	if q.tags, err = p.tagSpecifications("instance", "volume", "network-interface", "spot-instances-request"); err != nil {
		return nil, err
	}
	if err := q.volumes(p); err != nil {
		return nil, err
	}
	switch {
	case q.least < 1 || q.most < q.least:
		return nil, refuse("InvalidParameterValue", "Invalid value for MinCount or MaxCount")
	case len(q.token) > 64:
		return nil, refuse("InvalidParameterValue", "The client token has a maximum length of 64 ASCII characters")
	}
	return func(now time.Time) (any, error) { return c.run(&q, now) }, nil
}

func (q *request) interfaces(p *params) error {
	nics := p.elements("NetworkInterface")
	if len(nics) == 0 {
		return nil
	}
	if p.has("SubnetId") || p.has("SecurityGroupId.1") {
		return refuse("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
	}
	nic := nics[0]
	q.publicly = p.get(nic + "AssociatePublicIpAddress")
	if len(nics) > 1 && q.publicly != "" {
		return refuse("InvalidParameterCombination", "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.")
	}
	if p.get(nic+"DeviceIndex") != "0" {
		return refuse("InvalidParameterValue", "Each network interface requires a device index.")
	}
	q.shape.Subnet, q.shape.Groups = p.get(nic+"SubnetId"), p.list(nic+"SecurityGroupId")
	q.ipv6, _ = strconv.Atoi(p.get(nic + "Ipv6AddressCount"))
	return nil
}

var device = regexp.MustCompile(`^/dev/(xvda|sda1|sd[b-z]|xvd[b-z])$`)

func (q *request) volumes(p *params) error {
	for _, prefix := range p.elements("BlockDeviceMapping") {
		v := volume{
			Device: p.get(prefix + "DeviceName"), Type: p.get(prefix + "Ebs.VolumeType"), Encrypted: p.bool(prefix + "Ebs.Encrypted"),
			DeleteWith: p.bool(prefix + "Ebs.DeleteOnTermination"), tags: q.tags["volume"],
		}
		v.SizeGiB, _ = strconv.Atoi(p.get(prefix + "Ebs.VolumeSize"))
		switch {
		case !device.MatchString(v.Device):
			return refuse("InvalidBlockDeviceMapping", "Invalid device name "+v.Device)
		case v.Type != "" && !slices.Contains([]string{"gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"}, v.Type):
			return refuse("InvalidParameterValue", "Invalid value '"+v.Type+"' for VolumeType.")
		case v.SizeGiB < 0 || v.SizeGiB > 65536:
			return refuse("InvalidParameterValue", fmt.Sprintf("Volume of %dGiB is not supported", v.SizeGiB))
		case slices.ContainsFunc(q.disks, func(d volume) bool { return d.Device == v.Device }):
			return refuse("InvalidBlockDeviceMapping", "The device '"+v.Device+"' is used in more than one block-device mapping")
		}
		q.disks = append(q.disks, v)
	}
	return nil
}

// run looks at the token first, as EC2 does: what was asked for before is answered before anything else is judged.
func (c *Cloud) run(q *request, now time.Time) (any, error) {
	if done := c.tokens[q.token]; done != nil && q.token != "" {
		if done.hash != q.hash {
			return nil, refusals[IdempotentParameterMismatch]
		}
		if !slices.ContainsFunc(done.instances, func(i *instance) bool { return i.state(now) != terminated }) {
			return nil, refusals[IdempotentInstanceTerminated]
		}
		return c.reservation(done.instances, now), nil
	}
	if err := c.judge(q); err != nil {
		return nil, err
	}
	n := q.most
	if order, struck := c.Board.Take("RunInstances", []string{q.shape.Zone, q.shape.Type, q.token}, PartialFulfilment); struck {
		n = max(q.least, min(n, order.Amount))
	}
	if over := c.quota(q, n, now); over != nil {
		return nil, over
	}
	made := c.build(q, n, now)
	if q.token != "" {
		c.tokens[q.token] = &launch{hash: q.hash, instances: made}
	}
	return c.reservation(made, now), nil
}

// spend makes a token say again what an ordered fault had it say: AWS remembers tokens, and one that is spent stays spent.
func (c *Cloud) spend(fault, token, hash string) {
	if fault == IdempotentParameterMismatch {
		hash = "other parameters"
	} else if fault != IdempotentInstanceTerminated {
		return
	}
	if c.tokens[token] == nil && token != "" {
		c.tokens[token] = &launch{hash: hash}
	}
}

// judge refuses what there is not.
func (c *Cloud) judge(q *request) error {
	kind, known := types[q.shape.Type]
	if !known {
		return refuse("InvalidParameterValue", "Invalid value '"+q.shape.Type+"' for InstanceType.")
	}
	if !strings.HasPrefix(q.shape.Image, "ami-") {
		return refuse("InvalidAMIID.Malformed", "Invalid id: \""+q.shape.Image+"\" (expecting \"ami-...\")")
	}
	image, known := images[q.shape.Image]
	if !known {
		return refuse("InvalidAMIID.NotFound", "The image id '["+q.shape.Image+"]' does not exist")
	}
	if image.Arch != kind.Arch {
		return refuse("InvalidParameterValue", fmt.Sprintf("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI.", kind.Arch, image.Arch))
	}
	if q.shape.Zone != "" && !slices.Contains(zones, q.shape.Zone) {
		return refuse("InvalidParameterValue", "Invalid availability zone: ["+q.shape.Zone+"]")
	}
	if q.shape.Subnet == "" {
		if q.shape.Zone == "" {
			q.shape.Zone = zones[0]
		}
		q.shape.Subnet = subnetIn(q.shape.Zone)
	}
	zone, known := subnets[q.shape.Subnet]
	switch {
	case !known:
		return refuse("InvalidSubnetID.NotFound", "The subnet ID '"+q.shape.Subnet+"' does not exist")
	case q.shape.Zone != "" && q.shape.Zone != zone:
		return refuse("InvalidParameterValue", "The subnet "+q.shape.Subnet+" is not in the Availability Zone "+q.shape.Zone)
	case slices.Contains(kind.NotIn, zone):
		return refuse("Unsupported", fmt.Sprintf("Your requested instance type (%s) is not supported in your requested Availability Zone (%s).", q.shape.Type, zone))
	}
	q.shape.Zone, q.shape.rootDevice = zone, image.Root
	if len(q.shape.Groups) == 0 {
		q.shape.Groups = []string{defaultGroup}
	}
	for _, id := range q.shape.Groups {
		if c.groups[id] == nil {
			return refuse("InvalidGroup.NotFound", "The security group '"+id+"' does not exist")
		}
	}
	if q.shape.Key != "" && c.keys[q.shape.Key] == nil {
		return refuse("InvalidKeyPair.NotFound", "The key pair '"+q.shape.Key+"' does not exist")
	}
	root := slices.IndexFunc(q.disks, func(v volume) bool { return v.Device == image.Root })
	if root < 0 {
		q.disks = append([]volume{{Device: image.Root, DeleteWith: true, tags: q.tags["volume"]}}, q.disks...)
		root = 0
	}
	if size := q.disks[root].SizeGiB; size == 0 {
		q.disks[root].SizeGiB = image.SizeGiB
	} else if size < image.SizeGiB {
		return refuse("InvalidBlockDeviceMapping", fmt.Sprintf("Volume of size %dGB is smaller than snapshot 'snap-%s', expect size >= %dGB", size, q.shape.Image, image.SizeGiB))
	}
	for _, v := range q.disks {
		if v.SizeGiB == 0 {
			return refuse("MissingParameter", "The request must contain the parameter size or snapshotId")
		}
	}
	return nil
}

func (c *Cloud) quota(q *request, n int, now time.Time) error {
	living, cpus := n, n*types[q.shape.Type].CPUs
	for _, i := range c.order {
		if i.state(now) != terminated {
			living++
			cpus += types[i.Type].CPUs
		}
	}
	switch {
	case living > c.options.Instances:
		return refusals[InstanceLimitExceeded]
	case cpus > c.options.CPUs:
		return refusals[VcpuLimitExceeded]
	}
	return nil
}

func (c *Cloud) build(q *request, n int, now time.Time) (made []*instance) {
	take := func(name string) (faults.Order, bool) {
		return c.Board.Take("RunInstances", []string{q.shape.Zone, q.shape.Type, q.token}, name)
	}
	hidden, boot, dies := now.Add(c.options.Lag), bootTime, time.Time{}
	if order, struck := take(DescribeLag); struck {
		hidden = now.Add(order.For.Duration())
	}
	if order, struck := take(SlowBoot); struck {
		boot = order.For.Duration()
	}
	if order, struck := take(DiesAfter); struck {
		dies = now.Add(order.For.Duration())
	}
	reservation := c.next("r")
	for index := range n {
		c.made++
		i := q.shape
		i.ID, i.Reservation, i.Index, i.LaunchedAt, i.startedAt, i.boot = c.next("i"), reservation, index, now.Truncate(time.Second), now, boot
		i.attachedAt, i.hiddenUntil, i.diesAt, i.tags, i.Groups = i.LaunchedAt, hidden, dies, copyOf(q.tags["instance"]), slices.Clone(q.shape.Groups)
		if i.tags == nil {
			i.tags = map[string]string{}
		}
		i.Private = address(32, c.made)
		if q.publicly != "false" {
			i.Public = address(16, c.made)
		}
		if q.ipv6 > 0 {
			i.IPv6 = fmt.Sprintf("2001:db8::%x", c.made)
		}
		for _, v := range q.disks {
			v.ID, v.tags = c.next("vol"), copyOf(v.tags)
			i.volumes = append(i.volumes, v)
		}
		c.machines[i.ID] = &i
		c.order = append(c.order, &i)
		made = append(made, &i)
	}
	return made
}
