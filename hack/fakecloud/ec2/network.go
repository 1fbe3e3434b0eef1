package ec2

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	defaultVPC   = "vpc-0000000000000defa"
	defaultGroup = "sg-0000000000000defa"
)

// subnets are those of the default VPC, by zone, and one more in the first zone.
var subnets = map[string]string{
	"subnet-0000000000000000a": "eu-west-1a", "subnet-0000000000000000b": "eu-west-1b", "subnet-0000000000000000c": "eu-west-1c",
	"subnet-000000000000extra": "eu-west-1a",
}

func subnetIn(zone string) string { return "subnet-0000000000000000" + zone[len(zone)-1:] }

type group struct {
	ID, Name, About, VPC string
	tags                 map[string]string
	rules                []string // "tcp 22 22 192.0.2.0/24"
}

func keysOf[V any](all map[string]V) []string {
	return slices.SortedFunc(maps.Keys(all), cmp.Compare[string])
}

type zonesReply struct {
	Zones set[zoneXML] `xml:"availabilityZoneInfo"`
}

type zoneXML struct {
	Name  string `xml:"zoneName"`
	State string `xml:"zoneState"`
	Kind  string `xml:"zoneType"`
}

func describeAvailabilityZones(*Cloud, *params) (func(time.Time) (any, error), error) {
	return func(time.Time) (any, error) {
		var reply zonesReply
		for _, zone := range zones {
			reply.Zones.Items = append(reply.Zones.Items, zoneXML{zone, "available", "availability-zone"})
		}
		return reply, nil
	}, nil
}

type subnetXML struct {
	ID      string `xml:"subnetId"`
	VPC     string `xml:"vpcId"`
	Zone    string `xml:"availabilityZone"`
	Default bool   `xml:"defaultForAz"`
	Public  bool   `xml:"mapPublicIpOnLaunch"`
}

type subnetsReply struct {
	Subnets set[subnetXML] `xml:"subnetSet"`
}

func describeSubnets(_ *Cloud, p *params) (func(time.Time) (any, error), error) {
	ids := p.list("SubnetId")
	return func(time.Time) (any, error) {
		var reply subnetsReply
		for _, id := range ids {
			if subnets[id] == "" {
				return nil, refuse("InvalidSubnetID.NotFound", "The subnet ID '"+id+"' does not exist")
			}
		}
		for _, id := range keysOf(subnets) {
			if len(ids) == 0 || slices.Contains(ids, id) {
				reply.Subnets.Items = append(reply.Subnets.Items, subnetXML{id, defaultVPC, subnets[id], id == subnetIn(subnets[id]), true})
			}
		}
		return reply, nil
	}, nil
}

type vpcsReply struct {
	VPCs set[vpcXML] `xml:"vpcSet"`
}

type vpcXML struct {
	ID      string `xml:"vpcId"`
	Default bool   `xml:"isDefault"`
}

func describeVpcs(_ *Cloud, p *params) (func(time.Time) (any, error), error) {
	if _, err := p.filters("is-default"); err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) { return vpcsReply{set[vpcXML]{[]vpcXML{{defaultVPC, true}}}}, nil }, nil
}

type securityGroupXML struct {
	ID    string      `xml:"groupId"`
	Name  string      `xml:"groupName"`
	VPC   string      `xml:"vpcId"`
	Tags  set[tagXML] `xml:"tagSet"`
	Rules set[ruleX]  `xml:"ipPermissions"`
}

type ruleX struct {
	Protocol string       `xml:"ipProtocol"`
	From     string       `xml:"fromPort,omitempty"`
	To       string       `xml:"toPort,omitempty"`
	Ranges   set[rangeX]  `xml:"ipRanges"`
	Ranges6  set[range6X] `xml:"ipv6Ranges"`
	Groups   set[pairX]   `xml:"groups"`
}

type (
	rangeX struct {
		CIDR string `xml:"cidrIp"`
	}
	range6X struct {
		CIDR string `xml:"cidrIpv6"`
	}
	pairX struct {
		ID string `xml:"groupId"`
	}
)

type groupsReply struct {
	Groups set[securityGroupXML] `xml:"securityGroupInfo"`
}

func describeSecurityGroups(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	filters, err := p.filters("tag:", "vpc-id", "group-name", "group-id")
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		var reply groupsReply
		for _, g := range sorted(c.groups) {
			fits := !slices.ContainsFunc(filters, func(f filter) bool {
				if key, tagged := cutTag(f.name); tagged {
					return !f.matches(g.tags[key])
				}
				return !f.matches(map[string]string{"vpc-id": g.VPC, "group-name": g.Name, "group-id": g.ID}[f.name])
			})
			if fits {
				reply.Groups.Items = append(reply.Groups.Items, g.show())
			}
		}
		return reply, nil
	}, nil
}

func cutTag(name string) (string, bool) {
	const prefix = "tag:"
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

func (g *group) show() securityGroupXML {
	x := securityGroupXML{ID: g.ID, Name: g.Name, VPC: g.VPC, Tags: tagSet(g.tags)}
	for _, rule := range g.rules {
		var protocol, from, to, source string
		_, _ = fmt.Sscan(rule, &protocol, &from, &to, &source)
		r := ruleX{Protocol: protocol, From: from, To: to}
		if network, err := netip.ParsePrefix(source); err != nil {
			r.Groups.Items, r.From, r.To = []pairX{{source}}, "", ""
		} else if network.Addr().Is6() {
			r.Ranges6.Items = []range6X{{source}}
		} else {
			r.Ranges.Items = []rangeX{{source}}
		}
		x.Rules.Items = append(x.Rules.Items, r)
	}
	return x
}

type groupReply struct {
	ID string `xml:"groupId"`
}

func createSecurityGroup(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	g := &group{Name: p.get("GroupName"), About: p.get("GroupDescription"), VPC: p.get("VpcId")}
	tags, err := p.tagSpecifications("security-group")
	if err != nil {
		return nil, err
	}
	if g.Name == "" || g.About == "" {
		return nil, refuse("MissingParameter", "The request must contain the parameters GroupName and GroupDescription")
	}
	return func(time.Time) (any, error) {
		if g.VPC != defaultVPC {
			return nil, refuse("InvalidVpcID.NotFound", "The vpc ID '"+g.VPC+"' does not exist")
		}
		for _, other := range c.groups {
			if other.Name == g.Name {
				return nil, refuse("InvalidGroup.Duplicate", "The security group '"+g.Name+"' already exists for VPC '"+g.VPC+"'")
			}
		}
		g.ID, g.tags = c.next("sg"), tags["security-group"]
		c.groups[g.ID] = g
		return groupReply{g.ID}, nil
	}, nil
}

// rules reads the rules that a request names.
func (p *params) rules() (rules []string, _ error) {
	for _, prefix := range p.elements("IpPermissions") {
		start := p.get(prefix+"IpProtocol") + " " + cmp.Or(p.get(prefix+"FromPort"), "-1") + " " + cmp.Or(p.get(prefix+"ToPort"), "-1") + " "
		for kind, field := range map[string]string{"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6", "Groups": "GroupId"} {
			for _, entry := range p.elements(prefix + kind) {
				source := p.get(entry + field)
				p.get(entry + "Description")
				if _, err := netip.ParsePrefix(source); err != nil && kind != "Groups" {
					return nil, refuse("InvalidParameterValue", "CIDR block "+source+" is malformed")
				}
				rules = append(rules, start+source)
			}
		}
	}
	return rules, nil
}

// ingress changes the rules of a group that is there.
func ingress(c *Cloud, p *params, change func(had, named []string) ([]string, error)) (func(time.Time) (any, error), error) {
	id := p.get("GroupId")
	named, err := p.rules()
	if err != nil {
		return nil, err
	}
	return func(time.Time) (any, error) {
		g := c.groups[id]
		if g == nil {
			return nil, refuse("InvalidGroup.NotFound", "The security group '"+id+"' does not exist")
		}
		rules, err := change(g.rules, named)
		if err != nil {
			return nil, err
		}
		g.rules = rules
		return doneReply{true}, nil
	}, nil
}

func authorizeSecurityGroupIngress(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return ingress(c, p, func(had, named []string) ([]string, error) {
		for _, rule := range named {
			if slices.Contains(had, rule) {
				return nil, refuse("InvalidPermission.Duplicate", "the specified rule \"peer: "+rule+", ALLOW\" already exists")
			}
		}
		return append(had, named...), nil
	})
}

func revokeSecurityGroupIngress(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	return ingress(c, p, func(had, named []string) ([]string, error) {
		for _, rule := range named {
			if !slices.Contains(had, rule) {
				return nil, refuse("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
		}
		return slices.DeleteFunc(had, func(rule string) bool { return slices.Contains(named, rule) }), nil
	})
}

// Rules are those of a security group, as "tcp 22 22 192.0.2.0/24", in order.
func (c *Cloud) Rules(group string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.groups[group]; g != nil {
		return slices.Sorted(slices.Values(g.rules))
	}
	return nil
}

func deleteSecurityGroup(c *Cloud, p *params) (func(time.Time) (any, error), error) {
	id := p.get("GroupId")
	return func(now time.Time) (any, error) {
		switch {
		case c.groups[id] == nil:
			return nil, refuse("InvalidGroup.NotFound", "The security group '"+id+"' does not exist")
		case id == defaultGroup:
			return nil, refuse("CannotDelete", "the specified group: \""+id+"\" name: \"default\" cannot be deleted by a user")
		}
		for _, i := range c.order {
			if i.state(now) != terminated && slices.Contains(i.Groups, id) {
				return nil, refuse("DependencyViolation", "resource "+id+" has a dependent object")
			}
		}
		delete(c.groups, id)
		return doneReply{true}, nil
	}, nil
}
