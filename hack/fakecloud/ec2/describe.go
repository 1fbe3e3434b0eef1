package ec2

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// set is a list in EC2's XML.
type set[T any] struct {
	Items []T `xml:"item"`
}

type tagXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type groupXML struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

type instanceXML struct {
	ID    string `xml:"instanceId"`
	Image string `xml:"imageId"`
	State struct {
		Code int    `xml:"code"`
		Name string `xml:"name"`
	} `xml:"instanceState"`
	Reason      string `xml:"reason"`
	KeyName     string `xml:"keyName,omitempty"`
	Index       int    `xml:"amiLaunchIndex"`
	Type        string `xml:"instanceType"`
	LaunchTime  string `xml:"launchTime"`
	Zone        string `xml:"placement>availabilityZone"`
	Subnet      string `xml:"subnetId,omitempty"`
	VPC         string `xml:"vpcId,omitempty"`
	Private     string `xml:"privateIpAddress,omitempty"`
	Public      string `xml:"ipAddress,omitempty"`
	StateReason *struct {
		Code string `xml:"code"`
		Text string `xml:"message"`
	} `xml:"stateReason"`
	Arch       string          `xml:"architecture"`
	RootDevice string          `xml:"rootDeviceName"`
	Lifecycle  string          `xml:"instanceLifecycle,omitempty"`
	Token      string          `xml:"clientToken"`
	Groups     set[groupXML]   `xml:"groupSet"`
	Devices    set[deviceXML]  `xml:"blockDeviceMapping"`
	Interfaces set[interfaceX] `xml:"networkInterfaceSet"`
	Tags       set[tagXML]     `xml:"tagSet"`
}

type deviceXML struct {
	Name       string `xml:"deviceName"`
	Volume     string `xml:"ebs>volumeId"`
	AttachTime string `xml:"ebs>attachTime"`
	DeleteWith bool   `xml:"ebs>deleteOnTermination"`
}

type interfaceX struct {
	AttachTime string        `xml:"attachment>attachTime"`
	Index      int           `xml:"attachment>deviceIndex"`
	IPv6       set[addressX] `xml:"ipv6AddressesSet"`
}

type addressX struct {
	Address string `xml:"ipv6Address"`
}

type reservationXML struct {
	ID        string           `xml:"reservationId"`
	Owner     string           `xml:"ownerId"`
	Instances set[instanceXML] `xml:"instancesSet"`
}

// show is an instance as a reply has it. A fresh one has no addresses yet, and what has ended has neither network nor disks.
func (c *Cloud) show(i *instance, now time.Time) instanceXML {
	state := i.state(now)
	x := instanceXML{
		ID: i.ID, Image: i.Image, Index: i.Index, Type: i.Type, LaunchTime: i.LaunchedAt.Format(timeFormat), Zone: i.Zone, KeyName: i.Key,
		Arch: types[i.Type].Arch, RootDevice: i.rootDevice, Token: i.Token, Tags: tagSet(i.tags),
	}
	x.State.Code, x.State.Name = stateCodes[state], state
	if i.Spot {
		x.Lifecycle = "spot"
	}
	if code, text, has := strings.Cut(i.reason, ": "); has {
		x.StateReason = &struct {
			Code string `xml:"code"`
			Text string `xml:"message"`
		}{code, i.reason}
		x.Reason = text
	}
	if state == terminated {
		return x
	}
	x.Subnet, x.VPC, x.Private = i.Subnet, defaultVPC, i.Private
	if state == running {
		x.Public = i.Public
	}
	for _, id := range i.Groups {
		if g := c.groups[id]; g != nil {
			x.Groups.Items = append(x.Groups.Items, groupXML{g.ID, g.Name})
		}
	}
	first := i.attachedAt.Format(timeFormat)
	nic := interfaceX{AttachTime: first}
	if i.IPv6 != "" {
		nic.IPv6.Items = []addressX{{i.IPv6}}
	}
	x.Interfaces.Items = []interfaceX{nic}
	if state != pending {
		for _, v := range i.volumes {
			x.Devices.Items = append(x.Devices.Items, deviceXML{v.Device, v.ID, first, v.DeleteWith})
		}
	}
	return x
}

func tagSet(tags map[string]string) (s set[tagXML]) {
	for _, key := range keysOf(tags) {
		s.Items = append(s.Items, tagXML{key, tags[key]})
	}
	return s
}

func (c *Cloud) reservation(instances []*instance, now time.Time) reservationXML {
	r := reservationXML{ID: instances[0].Reservation, Owner: AccountID}
	for _, i := range instances {
		r.Instances.Items = append(r.Instances.Items, c.show(i, now))
	}
	return r
}

type instancesReply struct {
	Reservations set[reservationXML] `xml:"reservationSet"`
	NextToken    string              `xml:"nextToken,omitempty"`
}

func describeInstances(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("instance-id", "tag:", "tag-key", "client-token", "instance-state-name", "instance.group-id", "vpc-id")
	if err != nil {
		return nil, err
	}
	ids := p.list("InstanceId")
	page, err := p.page(5, 1000)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 && p.has("MaxResults") {
		return nil, refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	return func(now time.Time) (any, error) {
		for _, id := range ids {
			if i := c.machines[id]; i == nil || now.Before(i.hiddenUntil) {
				return nil, refuse("InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
			}
		}
		var found []*instance
		for _, i := range c.order {
			if !now.Before(i.hiddenUntil) && (len(ids) == 0 || slices.Contains(ids, i.ID)) && i.fits(filters, now) {
				found = append(found, i)
			}
		}
		var reply instancesReply
		found, reply.NextToken = cut(found, page)
		for start := 0; start < len(found); {
			end := start + 1
			for end < len(found) && found[end].Reservation == found[start].Reservation {
				end++
			}
			reply.Reservations.Items = append(reply.Reservations.Items, c.reservation(found[start:end], now))
			start = end
		}
		return reply, nil
	}, nil
}

func (i *instance) fits(filters []filter, now time.Time) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool {
		switch key, tagged := strings.CutPrefix(f.name, "tag:"); {
		case tagged:
			value, has := i.tags[key]
			return !has || !f.matches(value)
		case f.name == "tag-key":
			return !slices.ContainsFunc(keysOf(i.tags), f.matches)
		case f.name == "instance-id":
			return !f.matches(i.ID)
		case f.name == "client-token":
			return !f.matches(i.Token)
		case f.name == "instance-state-name":
			return !f.matches(i.state(now))
		case f.name == "instance.group-id":
			return i.state(now) == terminated || !slices.ContainsFunc(i.Groups, f.matches)
		}
		return !f.matches(defaultVPC)
	})
}

// page is where a list goes on and how much of it is wanted.
type page struct{ from, most int }

func (p *params) page(least, most int) (page, error) {
	got := page{most: 1 << 30}
	if text := p.get("MaxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return got, refuse("InvalidParameterValue", "Value ( "+text+" ) for parameter maxResults is invalid.")
		}
		got.most = n
	}
	if text := p.get("NextToken"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		from, bad := strconv.Atoi(strings.TrimPrefix(string(raw), "from:"))
		if err != nil || bad != nil {
			return got, refuse("InvalidNextToken", "The nextToken is invalid")
		}
		got.from = from
	}
	return got, nil
}

func cut[T any](all []T, p page) (part []T, next string) {
	from := min(p.from, len(all))
	end := min(from+p.most, len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte("from:" + strconv.Itoa(end)))
	}
	return all[from:end], next
}
