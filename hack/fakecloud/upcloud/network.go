package upcloud

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
)

type network struct {
	uuid, name, zone, address string
	dhcp, route               string
	family, gateway           string
	dns                       []string
}

type group struct {
	uuid, title, affinity string
	labels                []label
	members               []string
}

// attach gives a new interface its address. Public IPv4 ones are loopback addresses, so that something can be dialled.
func (c *Cloud) attach(kind, family, network string) iface {
	c.nextIP++
	n := c.nextIP
	made := iface{kind: kind, family: family, network: network, mac: fmt.Sprintf("da:45:c4:%02x:%02x:%02x", n>>16&0xff, n>>8&0xff, n&0xff)}
	switch {
	case kind == "public" && family == "IPv4":
		made.address, made.network = fmt.Sprintf("127.77.%d.%d", n>>8&0xff, n&0xff), publicIPv4
	case kind == "public":
		made.address, made.network = fmt.Sprintf("2001:db8:77::%x", n), publicIPv6
	case kind == "utility":
		made.address, made.network = fmt.Sprintf("10.6.%d.%d", n>>8&0xff, n&0xff), utility
	default:
		made.address = within(c.networks[network].address, n)
	}
	return made
}

// within is some address of a network.
func within(network string, n int) string {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return ""
	}
	ip := prefix.Masked().Addr().Next()
	for range n % 200 {
		ip = ip.Next()
	}
	return ip.String()
}

func (c *Cloud) createNetwork(now *call) (int, any) {
	var in struct {
		Network struct {
			Name, Zone string
			IPNetworks struct {
				IPNetwork []struct {
					Address, DHCP, Family, Gateway string
					DHCPDefaultRoute               string   `json:"dhcp_default_route"`
					DHCPDns                        []string `json:"dhcp_dns"`
					DHCPRoutesConfiguration        any      `json:"dhcp_routes_configuration"`
				} `json:"ip_network"`
			} `json:"ip_networks"`
			Labels *[]label
		}
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	want := in.Network
	if !hasZone(want.Zone) {
		return refuse(http.StatusBadRequest, "ZONE_INVALID", "The zone %s does not exist.", want.Zone)
	}
	if len(want.IPNetworks.IPNetwork) != 1 {
		return refuse(http.StatusBadRequest, "IP_NETWORKS_INVALID", "The attribute ip_networks has an invalid value.")
	}
	ip := want.IPNetworks.IPNetwork[0]
	made := &network{uuid: newID("03"), name: want.Name, zone: want.Zone, address: ip.Address, dhcp: orElse(ip.DHCP, "no")}
	made.route, made.family, made.gateway, made.dns = orElse(ip.DHCPDefaultRoute, "no"), ip.Family, ip.Gateway, notNil(ip.DHCPDns)
	c.networks[made.uuid] = made
	return http.StatusCreated, object{"network": made.show()}
}

func (n *network) show() object {
	return object{
		"name": n.name, "type": "private", "uuid": n.uuid, "zone": n.zone,
		"ip_networks": object{"ip_network": []object{{
			"address": n.address, "dhcp": n.dhcp, "dhcp_default_route": n.route, "family": n.family, "gateway": n.gateway, "dhcp_dns": n.dns,
		}}},
	}
}

// listNetworks shows those of a zone, or all. Those that belong to UpCloud itself are left out.
func (c *Cloud) listNetworks(now *call) (int, any) {
	shown := []object{}
	for _, id := range slices.Sorted(maps.Keys(c.networks)) {
		if zone := now.query.Get("zone"); zone == "" || zone == c.networks[id].zone {
			shown = append(shown, c.networks[id].show())
		}
	}
	return http.StatusOK, object{"networks": object{"network": shown}}
}

func (c *Cloud) deleteNetwork(now *call) (int, any) {
	if c.networks[now.id] == nil {
		return refuse(http.StatusNotFound, "NETWORK_NOT_FOUND", "The network %s does not exist.", now.id)
	}
	for _, s := range c.servers {
		if slices.ContainsFunc(s.interfaces, func(i iface) bool { return i.network == now.id }) {
			return refuse(http.StatusConflict, "NETWORK_NOT_EMPTY", "The network %s is in use.", now.id)
		}
	}
	delete(c.networks, now.id)
	return http.StatusNoContent, nil
}

func (c *Cloud) createGroup(now *call) (int, any) {
	var in struct {
		Group struct {
			Title        string
			AntiAffinity string `json:"anti_affinity"`
			Labels       *labelList
			Servers      *struct{ Server []string }
		} `json:"server_group"`
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	made := &group{uuid: newID("0b"), title: in.Group.Title, affinity: orElse(in.Group.AntiAffinity, "no")}
	if in.Group.Labels != nil {
		made.labels = in.Group.Labels.Label
	}
	if in.Group.Servers != nil {
		made.members = in.Group.Servers.Server
	}
	status := []object{}
	for _, id := range made.members {
		if c.servers[id] == nil {
			return refuse(http.StatusNotFound, "SERVER_NOT_FOUND", "The server %s does not exist.", id)
		}
		c.servers[id].group = made.uuid
		status = append(status, object{"status": "met", "uuid": id})
	}
	c.groups[made.uuid] = made
	return http.StatusOK, object{"server_group": object{
		"anti_affinity": made.affinity, "anti_affinity_status": status, "labels": labelList{notNil(made.labels)},
		"servers": object{"server": notNil(made.members)}, "title": made.title, "uuid": made.uuid,
	}}
}

func (c *Cloud) deleteGroup(now *call) (int, any) {
	if c.groups[now.id] == nil {
		return refuse(http.StatusNotFound, "GROUP_NOT_FOUND", "The server group %s does not exist.", now.id)
	}
	delete(c.groups, now.id)
	return http.StatusNoContent, nil
}

type rule struct {
	Action                  string `json:"action"`
	Comment                 string `json:"comment"`
	DestinationAddressEnd   string `json:"destination_address_end"`
	DestinationAddressStart string `json:"destination_address_start"`
	DestinationPortEnd      string `json:"destination_port_end"`
	DestinationPortStart    string `json:"destination_port_start"`
	Direction               string `json:"direction"`
	Family                  string `json:"family"`
	ICMPType                string `json:"icmp_type"`
	Position                string `json:"position"`
	Protocol                string `json:"protocol"`
	SourceAddressEnd        string `json:"source_address_end"`
	SourceAddressStart      string `json:"source_address_start"`
	SourcePortEnd           string `json:"source_port_end"`
	SourcePortStart         string `json:"source_port_start"`
}

func (c *Cloud) getRules(now *call) (int, any) {
	s, status, refused := c.find(now)
	if s == nil {
		return status, refused
	}
	return http.StatusOK, object{"firewall_rules": object{"firewall_rule": notNil(s.rules)}}
}

func (c *Cloud) setRules(now *call) (int, any) {
	var in struct {
		Rules struct {
			Rule []rule `json:"firewall_rule"`
		} `json:"firewall_rules"`
	}
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	s, status, refused := c.find(now)
	if s == nil {
		return status, refused
	}
	for i := range in.Rules.Rule {
		r := &in.Rules.Rule[i]
		r.Position = fmt.Sprint(i + 1)
		switch {
		case r.Direction != "in" && r.Direction != "out":
			return refuse(http.StatusBadRequest, "FIREWALL_RULE_DIRECTION_INVALID", "The attribute direction has an invalid value.")
		case r.Action != "accept" && r.Action != "drop":
			return refuse(http.StatusBadRequest, "FIREWALL_RULE_ACTION_INVALID", "The attribute action has an invalid value.")
		case r.Family == "" && (r.Protocol != "" || r.SourceAddressStart != ""):
			return refuse(http.StatusBadRequest, "FIREWALL_RULE_FAMILY_MISSING", "The required attribute family is missing from the request.")
		}
	}
	s.rules = in.Rules.Rule
	return http.StatusNoContent, nil
}
