package upcloud

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"
)

const (
	firewallOn  = "on"
	firewallOff = "off"
)

// Rule admits packets that come to a server. After all rules what comes in is dropped. UpCloud's firewall does not remember what a
// server has asked for: answers over UDP (of name servers, of time servers) need a rule with FromPorts.
type Rule struct {
	Protocol  string // tcp, udp, icmp; "" = any
	From      string // an address or a network, as 192.0.2.0/24; "" = anywhere
	FromPorts string // "53"; "" = any
	Ports     string // "22", "8000-8100"; "" = any
	Comment   string
}

// mostRules bounds what is sent for each server.
const mostRules = 100

func checkRules(rules []Rule) error {
	if len(rules) > mostRules {
		return invalid("firewall: %d rules, at most %d are possible", len(rules), mostRules)
	}
	for i, rule := range rules {
		if !slices.Contains([]string{"", upcloud.FirewallRuleProtocolTCP, upcloud.FirewallRuleProtocolUDP, upcloud.FirewallRuleProtocolICMP}, rule.Protocol) {
			return invalid("firewall[%d].protocol: %.32q is none of tcp, udp, icmp", i, rule.Protocol)
		}
		if _, _, ok := span(rule.From); !ok {
			return invalid("firewall[%d].from: %.64q is neither an address nor a network", i, rule.From)
		}
		for field, ports := range map[string]string{"fromPorts": rule.FromPorts, "ports": rule.Ports} {
			if _, _, ok := portRange(ports); !ok {
				return invalid("firewall[%d].%s: %.32q is neither a port nor a range such as 8000-8100", i, field, ports)
			}
			if ports != "" && rule.Protocol != upcloud.FirewallRuleProtocolTCP && rule.Protocol != upcloud.FirewallRuleProtocolUDP {
				return invalid("firewall[%d].%s: only tcp and udp have ports", i, field)
			}
		}
		if len(rule.Comment) > 250 {
			return invalid("firewall[%d].comment has %d bytes, at most 250 are possible", i, len(rule.Comment))
		}
	}
	return nil
}

// rulesOf are the rules as UpCloud has them: of one family each.
func rulesOf(rules []Rule) (all request.FirewallRuleSlice) {
	for _, rule := range rules {
		start, end, _ := span(rule.From)
		families := []string{upcloud.IPAddressFamilyIPv4, upcloud.IPAddressFamilyIPv6}
		if start.Is4() {
			families = families[:1]
		} else if start.IsValid() {
			families = families[1:]
		}
		for _, family := range families {
			made := upcloud.FirewallRule{
				Action: upcloud.FirewallRuleActionAccept, Direction: upcloud.FirewallRuleDirectionIn, Family: family, Protocol: rule.Protocol, Comment: rule.Comment,
			}
			if start.IsValid() {
				made.SourceAddressStart, made.SourceAddressEnd = start.String(), end.String()
			}
			made.SourcePortStart, made.SourcePortEnd, _ = portRange(rule.FromPorts)
			made.DestinationPortStart, made.DestinationPortEnd, _ = portRange(rule.Ports)
			all = append(all, made)
		}
	}
	return append(all, upcloud.FirewallRule{Action: upcloud.FirewallRuleActionDrop, Direction: upcloud.FirewallRuleDirectionIn})
}

// span is the first and the last address of what a rule names; invalid ones for "".
func span(text string) (first, last netip.Addr, ok bool) {
	if text == "" {
		return first, last, true
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.Unmap(), ip.Unmap(), ip.Zone() == ""
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return first, last, false
	}
	first = network.Masked().Addr()
	bytes := first.AsSlice()
	for bit := network.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ = netip.AddrFromSlice(bytes)
	return first, last, true
}

func portRange(text string) (first, last string, ok bool) {
	if text == "" {
		return "", "", true
	}
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, err := strconv.ParseUint(first, 10, 16)
	high, err2 := strconv.ParseUint(last, 10, 16)
	return first, last, err == nil && err2 == nil && 0 < low && low <= high
}
