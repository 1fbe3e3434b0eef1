package upcloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// do sends what a person or another program would send.
func (r *rig) do(method, path, body string) map[string]any {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+"/1.3"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer ucat_FAKE")
	got, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer got.Body.Close()
	text, _ := io.ReadAll(got.Body)
	answer := map[string]any{}
	if err := json.Unmarshal(text, &answer); err != nil || got.StatusCode > 299 {
		r.t.Fatalf("%s %s: %s %s", method, path, got.Status, text)
	}
	return answer
}

// stranger makes a server as a person does who does not know of us, and returns its id when it runs.
func (r *rig) stranger() string {
	r.t.Helper()
	answer := r.do("POST", "/server", `{"server":{"hostname":"db","title":"db","zone":"fi-hel1","plan":"1xCPU-1GB","labels":{"label":[{"key":"env","value":"prod"}]},
		"networking":{"interfaces":{"interface":[{"type":"public","ip_addresses":{"ip_address":[{"family":"IPv4"}]}}]}},
		"storage_devices":{"storage_device":[{"action":"clone","storage":"01000000-0000-4000-8000-000020070100","title":"d","size":25}]}}}`)
	r.pass(2 * settle)
	return answer["server"].(map[string]any)["uuid"].(string)
}

func (r *rig) network(zone string) string {
	answer := r.do("POST", "/network/", `{"network":{"name":"n","zone":"`+zone+`","ip_networks":{"ip_network":[{"address":"172.16.0.0/22","family":"IPv4","dhcp":"yes"}]}}}`)
	return answer["network"].(map[string]any)["uuid"].(string)
}

func (r *rig) group() string {
	answer := r.do("POST", "/server-group", `{"server_group":{"title":"g","anti_affinity":"strict"}}`)
	return answer["server_group"].(map[string]any)["uuid"].(string)
}

// Everything that can be asked for at once, and what the cloud was told of it.
func TestWholeOrder(t *testing.T) {
	r := newRig(t)
	network, group := r.network("fi-hel1"), r.group()
	var sent map[string]any
	u := r.open(func(o *upcloud.Options) {
		o.ServerGroup, o.User = group, "admin"
		o.Firewall = []upcloud.Rule{
			{Protocol: "tcp", Ports: "22", From: "192.0.2.0/24", Comment: "us"}, {Protocol: "udp", FromPorts: "53"}, {From: "2001:db8::/64"},
		}
		o.HTTP = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/server") {
				body, _ := io.ReadAll(req.Body)
				_ = json.Unmarshal(body, &sent)
				req.Body = io.NopCloser(bytes.NewReader(body))
			}
			return http.DefaultTransport.RoundTrip(req)
		})}
	})
	want := machine("web-1", "1")
	want.Size, want.Image = "custom-2-4096", "ubuntu-24.04"
	want.RootDisk = provider.Disk{SizeGiB: 30, Tier: "maxiops", Encrypted: true}
	want.Disks = []provider.Disk{{Name: "data", SizeGiB: 100, Tier: "standard"}, {Name: "old", SizeGiB: 200, Tier: "archive", Encrypted: true}}
	want.Network = provider.Network{PublicIPv6: provider.Enabled, Private: []string{network}}
	want.UserData, want.Keys, want.Labels = []byte("#cloud-config\n"), []string{"ssh-ed25519 AAAA one", "ssh-ed25519 AAAA two"}, map[string]string{"env": "prod & more"}
	made := r.create(u, want)
	got := r.until(u, made.ID, provider.Running)

	if got.Size != want.Size || got.Image != want.Image || got.Zone != "fi-hel1" {
		t.Errorf("size %s, image %s, zone %s", got.Size, got.Image, got.Zone)
	}
	wantDisks := []provider.Disk{{SizeGiB: 30, Tier: "maxiops", Encrypted: true}, {Name: "data", SizeGiB: 100, Tier: "standard"}, {Name: "old", SizeGiB: 200, Tier: "hdd", Encrypted: true}}
	if diff := cmp.Diff(wantDisks, got.Disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Labels, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	types := map[provider.AddressType]int{}
	for _, a := range got.Addresses {
		types[a.Type]++
	}
	if diff := cmp.Diff(map[provider.AddressType]int{provider.LoopbackIP: 1, provider.PublicIPv6: 1, provider.PrivateIPv4: 2}, types); diff != "" || got.Addresses[0].Type != provider.LoopbackIP {
		t.Errorf("addresses %v (-want +got):\n%s", got.Addresses, diff)
	}
	server := sent["server"].(map[string]any)
	login := server["login_user"].(map[string]any)
	for what, pair := range map[string][2]any{
		"metadata": {server["metadata"], "yes"}, "user data": {server["user_data"], "#cloud-config\n"}, "group": {server["server_group"], group}, "firewall": {server["firewall"], "on"},
		"user": {login["username"], "admin"}, "password": {login["create_password"], "no"}, "delivery": {server["password_delivery"], "none"},
		"keys": {fmt.Sprint(login["ssh_keys"]), fmt.Sprint(map[string]any{"ssh_key": want.Keys})},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v was sent, want %v", what, pair[0], pair[1])
		}
	}
	var rules struct {
		List struct {
			Rules []map[string]string `json:"firewall_rule"`
		} `json:"firewall_rules"`
	}
	text, _ := json.Marshal(r.do("GET", "/server/"+made.ID+"/firewall_rule", ""))
	_ = json.Unmarshal(text, &rules)
	var short []string
	for _, rule := range rules.List.Rules {
		short = append(short, strings.Join([]string{rule["action"], rule["family"], rule["protocol"], rule["source_address_start"], rule["source_address_end"], rule["source_port_start"], rule["destination_port_start"]}, " "))
	}
	if diff := cmp.Diff([]string{
		"accept IPv4 tcp 192.0.2.0 192.0.2.255  22", "accept IPv4 udp   53 ", "accept IPv6 udp   53 ", "accept IPv6  2001:db8:: 2001:db8::ffff:ffff:ffff:ffff  ", "drop      ",
	}, short); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	r.end(u, made.ID)
	r.bare()
}

// What cannot be had is refused with the name of our own field, before or by the cloud, and nothing is made.
func TestBadInput(t *testing.T) {
	tests := map[string]struct {
		reason string
		spoil  func(*provider.Machine)
		set    func(*upcloud.Options)
		words  []string
	}{
		"plan":          {"the nearest plans", func(m *provider.Machine) { m.Size = "2xCPU-4G" }, nil, []string{"size", "2xCPU-4GB"}},
		"custom":        {"the nearest size", func(m *provider.Machine) { m.Size = "custom-4-8000" }, nil, []string{"size", "custom-4-8192"}},
		"custom form":   {"the form is told", func(m *provider.Machine) { m.Size = "custom-0-1024" }, nil, []string{"size", "custom-<cores>-<MiB>"}},
		"zone":          {"the nearest zones", func(m *provider.Machine) { m.Zone = "fi-hel3" }, nil, []string{"zone", "fi-hel1", "fi-hel2"}},
		"no zone":       {"what there is", nil, func(o *upcloud.Options) { o.Zone = "" }, []string{"zone is empty", "de-fra1"}},
		"alias":         {"the nearest aliases", func(m *provider.Machine) { m.Image = "debian-13" }, nil, []string{"image", "debian-12"}},
		"other title":   {"a template with more in its title has no alias", func(m *provider.Machine) { m.Image = "ubuntu-24.04-nvidia" }, nil, []string{"image"}},
		"uuid":          {"no template has that UUID", func(m *provider.Machine) { m.Image = "01000000-0000-4000-8000-000000000000" }, nil, []string{"image"}},
		"root size":     {"less than the image", func(m *provider.Machine) { m.RootDisk.SizeGiB = 2 }, nil, []string{"rootDisk.sizeGiB", "3 GiB"}},
		"tier":          {"what tiers there are", func(m *provider.Machine) { m.RootDisk.Tier = "gp3" }, nil, []string{"rootDisk.tier", "maxiops, standard, archive"}},
		"disk size":     {"an extra disk has one", func(m *provider.Machine) { m.Disks = []provider.Disk{{Name: "a"}} }, nil, []string{"disks[0].sizeGiB"}},
		"huge":          {"no disk is so large", func(m *provider.Machine) { m.Disks = []provider.Disk{{Name: "a", SizeGiB: 1 << 20}} }, nil, []string{"disks[0].sizeGiB"}},
		"two of a name": {"names tell disks apart", func(m *provider.Machine) { m.Disks = []provider.Disk{{Name: "a", SizeGiB: 1}, {Name: "a", SizeGiB: 1}} }, nil, []string{"disks[1].name"}},
		"reserved":      {"in any case of letters", func(m *provider.Machine) { m.Labels = map[string]string{"Keelway.dev/UID": "x"} }, nil, []string{"labels", "reserved"}},
		"label key":     {"UpCloud takes none with an underscore first", func(m *provider.Machine) { m.Labels = map[string]string{"_x": "x"} }, nil, []string{"labels", "_x"}},
		"label value":   {"UpCloud takes 255 characters", func(m *provider.Machine) { m.Labels = map[string]string{"env": strings.Repeat("x", 256)} }, nil, []string{"labels", "env"}},
		"network":       {"no id of a network", func(m *provider.Machine) { m.Network.Private = []string{"lan"} }, nil, []string{"network.privateNetworks[0]"}},
		"no network": {"no such network; the cloud says so", func(m *provider.Machine) { m.Network.Private = []string{"03000000-0000-4000-8000-000000000001"} }, nil,
			[]string{"network.privateNetworks[0]", "no private network", "03000000-0000-4000-8000-000000000001", "NETWORK_NOT_FOUND", "request "}},
		"no group":  {"no such group; the cloud says so", nil, func(o *upcloud.Options) { o.ServerGroup = "0b000000-0000-4000-8000-000000000001" }, []string{"serverGroup", "GROUP_NOT_FOUND"}},
		"user data": {"too large for the cloud", func(m *provider.Machine) { m.UserData = make([]byte, 1<<17) }, nil, []string{"userData"}},
		"name":      {"a label holds no more", func(m *provider.Machine) { m.Owner.Name = strings.Repeat("ü", 120) }, nil, []string{"name"}},
		"stranger":  {"the account is another installation's", func(m *provider.Machine) { m.Owner.Installation = "x" }, nil, []string{"installation"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var change []func(*upcloud.Options)
			if tc.set != nil {
				change = append(change, tc.set)
			}
			want := machine("web-1", "1")
			if tc.spoil != nil {
				tc.spoil(&want)
			}
			_, err := r.open(change...).Create(context.Background(), want)
			mentions(t, err, fault.Terminal, fault.ReasonInvalid, tc.words...)
			if made := r.cloud.Inventory(); made.Made != 0 || !made.Bare() {
				t.Errorf("%s: %+v", tc.reason, made)
			}
		})
	}
}

// A network that is not there, or not in the server's zone, is told with those that are.
func TestWrongNetwork(t *testing.T) {
	r := newRig(t)
	there, elsewhere := r.network("fi-hel1"), r.network("de-fra1")
	want := machine("web-1", "1")
	want.Network.Private = []string{there, elsewhere}
	_, err := r.open().Create(context.Background(), want)
	mentions(t, err, fault.Terminal, fault.ReasonInvalid, "network.privateNetworks[1]", elsewhere, "zone fi-hel1", there, "request ")
	r.bare()
}

func TestBadSettings(t *testing.T) {
	base := newRig(t).options()
	for name, tc := range map[string]struct {
		reason string
		spoil  func(*upcloud.Options)
		want   fault.Reason
		word   string
	}{
		"nobody":       {"no installation", func(o *upcloud.Options) { o.Installation = "" }, fault.ReasonInvalid, "installation"},
		"nothing":      {"no credentials", func(o *upcloud.Options) { o.Token = "" }, fault.ReasonUnauthenticated, "token"},
		"half":         {"a user name without a password", func(o *upcloud.Options) { o.Token, o.Username = "", "u" }, fault.ReasonUnauthenticated, "password"},
		"both":         {"two kinds of credentials", func(o *upcloud.Options) { o.Username, o.Password = "u", "p" }, fault.ReasonUnauthenticated, "either"},
		"endpoint":     {"no URL", func(o *upcloud.Options) { o.Endpoint = "nonsense" }, fault.ReasonInvalid, "endpoint"},
		"loopback":     {"an address that was not admitted", func(o *upcloud.Options) { o.EndpointAllow = nil }, fault.ReasonNotAllowed, "--endpoint-allow"},
		"group":        {"no UUID", func(o *upcloud.Options) { o.ServerGroup = "g" }, fault.ReasonInvalid, "serverGroup"},
		"transport":    {"servers have no Engine", func(o *upcloud.Options) { o.Transport = "Docker" }, fault.ReasonInvalid, "transport"},
		"script":       {"real machines are not simulated", func(o *upcloud.Options) { o.Endpoint = "" }, fault.ReasonInvalid, "transport"},
		"rule address": {"no network", func(o *upcloud.Options) { o.Firewall = []upcloud.Rule{{From: "all"}} }, fault.ReasonInvalid, "firewall[0].from"},
		"rule ports":   {"no range", func(o *upcloud.Options) { o.Firewall = []upcloud.Rule{{}, {Protocol: "tcp", Ports: "9-8"}} }, fault.ReasonInvalid, "firewall[1].ports"},
		"rule without": {"icmp has no ports", func(o *upcloud.Options) { o.Firewall = []upcloud.Rule{{Protocol: "icmp", FromPorts: "1"}} }, fault.ReasonInvalid, "firewall[0].fromPorts"},
		"rule proto":   {"no such protocol", func(o *upcloud.Options) { o.Firewall = []upcloud.Rule{{Protocol: "TCP"}} }, fault.ReasonInvalid, "firewall[0].protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			o := base
			tc.spoil(&o)
			_, err := upcloud.New(o)
			mentions(t, err, fault.Terminal, tc.want, tc.word)
		})
	}
}

func TestWrongCredentials(t *testing.T) {
	r := newRig(t)
	u := r.open(func(o *upcloud.Options) { o.Token = "ucat_WRONG" })
	_, err := u.Account(context.Background())
	mentions(t, err, fault.Terminal, fault.ReasonUnauthenticated, "AUTHENTICATION_FAILED", "request ")
	account, err := r.open().Account(context.Background())
	if err != nil || account.ID != "upcloud/"+strings.TrimPrefix(r.url, "http://")+"/fake" || account.Location != "fi-hel1" {
		t.Errorf("%+v, %v", account, err)
	}
}
