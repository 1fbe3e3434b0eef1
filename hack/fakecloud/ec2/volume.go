package ec2

import (
	"slices"
	"time"
)

type volumeXML struct {
	ID        string          `xml:"volumeId"`
	Size      int             `xml:"size"`
	Type      string          `xml:"volumeType"`
	Zone      string          `xml:"availabilityZone"`
	State     string          `xml:"status"`
	Encrypted bool            `xml:"encrypted"`
	Attached  set[attachment] `xml:"attachmentSet"`
	Tags      set[tagXML]     `xml:"tagSet"`
}

type attachment struct {
	Volume     string `xml:"volumeId"`
	Instance   string `xml:"instanceId"`
	Device     string `xml:"device"`
	State      string `xml:"status"`
	DeleteWith bool   `xml:"deleteOnTermination"`
}

type volumesReply struct {
	Volumes   set[volumeXML] `xml:"volumeSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

func describeVolumes(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("tag:", "volume-id")
	if err != nil {
		return nil, err
	}
	page, err := p.page(5, 500)
	if err != nil {
		return nil, err
	}
	return func(now time.Time) (any, error) {
		var all []volumeXML
		for _, i := range c.order {
			if i.state(now) == terminated || now.Before(i.hiddenUntil) {
				continue
			}
			for _, v := range i.volumes {
				if v.fits(filters) {
					all = append(all, volumeXML{
						ID: v.ID, Size: v.SizeGiB, Type: v.Type, Zone: i.Zone, State: "in-use", Encrypted: v.Encrypted, Tags: tagSet(v.tags),
						Attached: set[attachment]{[]attachment{{v.ID, i.ID, v.Device, "attached", v.DeleteWith}}},
					})
				}
			}
		}
		var reply volumesReply
		reply.Volumes.Items, reply.NextToken = cut(all, page)
		return reply, nil
	}, nil
}

func (v volume) fits(filters []filter) bool {
	return !slices.ContainsFunc(filters, func(f filter) bool {
		if key, tagged := cutTag(f.name); tagged {
			value, has := v.tags[key]
			return !has || !f.matches(value)
		}
		return !f.matches(v.ID)
	})
}

// Grow lets another hand make a volume of an instance larger, as a person does at the console.
func (c *Cloud) Grow(instance, device string, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, v := range c.machines[instance].volumes {
		if v.Device == device {
			c.machines[instance].volumes[at].SizeGiB = size
		}
	}
}
