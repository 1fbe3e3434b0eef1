package provider

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/keelway/keelway/internal/fault"
)

// AdmitEndpoint refuses an endpoint that whoever may write a Provider could turn against the operator's own machine and network:
// loopback, link-local and metadata addresses, unspecified and multicast ones, names that stand for them, and plain HTTP, which
// would show user data to the network. admitted are what the installation allows nevertheless (--endpoint-allow): hosts,
// host:port, or networks as 127.0.0.0/8. An empty endpoint is the cloud's own and always admitted.
//
// Errors are Terminal: Invalid for what is no URL of a server, NotAllowed for what is refused.
func AdmitEndpoint(endpoint string, admitted []string) error {
	if endpoint == "" {
		return nil
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.Hostname() == "" || at.Scheme != "https" && at.Scheme != "http" {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "endpoint: %s is no URL such as https://cloud.example", clipped(endpoint))
	}
	if at.User != nil || at.RawQuery != "" || at.Fragment != "" {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "endpoint: the URL for host %s holds more than scheme, host and path: remove user, query and fragment", clipped(at.Host))
	}
	switch {
	case admits(at, admitted):
		return nil
	case suspectName(at.Hostname()):
		return refusedEndpoint(at.Host, "is an address of the operator's own machine or network")
	case at.Scheme == "http":
		return refusedEndpoint(at.Host, "is plain http")
	}
	return nil
}

// NamedEndpoint reports whether the installation itself names the endpoint, or it is the cloud's own: then the operator may show it what it
// would show nobody whom only the author of a Provider names.
func NamedEndpoint(endpoint string, admitted []string) bool {
	at, err := url.Parse(endpoint)
	return endpoint == "" || err == nil && admits(at, admitted)
}

// DialControl is for a net.Dialer that connects to a custom endpoint: a harmless name may resolve to an address that AdmitEndpoint
// refuses. It is nil, which lets everything pass, for an endpoint that the installation admits by name or address.
func DialControl(endpoint string, admitted []string) func(network, address string, _ syscall.RawConn) error {
	if at, err := url.Parse(endpoint); err == nil && admits(at, admitted) {
		return nil
	}
	return func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil || suspectName(host) {
			return refusedEndpoint(address, "is an address of the operator's own machine or network")
		}
		return nil
	}
}

func refusedEndpoint(host, why string) error {
	return fault.New(fault.Terminal, fault.ReasonNotAllowed, "endpoint: %s %s, which this installation does not admit: start the operator with --endpoint-allow=%[1]s", clipped(host), why)
}

func admits(at *url.URL, admitted []string) bool {
	ip, err := netip.ParseAddr(at.Hostname())
	isIP := err == nil
	return slices.ContainsFunc(admitted, func(entry string) bool {
		if network, err := netip.ParsePrefix(entry); err == nil {
			return isIP && network.Contains(ip.Unmap())
		}
		return entry != "" && (strings.EqualFold(entry, at.Host) || strings.EqualFold(strings.Trim(entry, "[]"), at.Hostname()))
	})
}

// metadata are the addresses of clouds' metadata services that are not link-local.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("100.100.100.200")}

// suspectName judges what a person may write for an address. A number that only some resolvers take for one (127.1, 0x7f000001) is
// suspect, too: an endpoint has a name or a whole address.
func suspectName(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.WithZone("").Unmap()
		return ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || slices.Contains(metadata, ip)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case last == "localhost", last == "localdomain", last == "internal", host == "instance-data":
		return true
	}
	return last == "" || last[0] >= '0' && last[0] <= '9'
}

func clipped(text string) string {
	if len(text) > 128 {
		text = strings.ToValidUTF8(text[:128], "") + "…"
	}
	return text
}
