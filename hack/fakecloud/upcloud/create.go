package upcloud

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// States of servers and storages.
const (
	stateStarted     = "started"
	stateStopped     = "stopped"
	stateMaintenance = "maintenance"
	stateError       = "error"
	stateOnline      = "online"
)

type server struct {
	uuid, title, hostname, zone, plan string
	cores, memory                     int
	firewall                          string
	group                             string
	metadata                          string
	labels                            []label
	devices                           []device
	interfaces                        []iface
	rules                             []rule
	created                           time.Time
	host                              int64

	state     string
	next      string    // the state that it comes to …
	until     time.Time // … then
	errorTime time.Duration
	hidden    time.Time // the list does not show it before
}

// becomes says in which state a server is now, and which follows when.
func (s *server) becomes(state, next string, at time.Time) {
	s.state, s.next, s.until = state, next, at
}

type label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type labelList struct {
	Label []label `json:"label"`
}

type device struct{ address, storage string }

type iface struct{ kind, family, address, mac, network string }

// number is what the API takes as 4 and as "4".
type number int

// UnmarshalJSON reads both.
func (n *number) UnmarshalJSON(b []byte) error {
	_, err := fmt.Sscanf(strings.Trim(string(b), `"`), "%d", (*int)(n))
	return err
}

type createRequest struct{ Server newServer }

type newServer struct {
	Zone, Title, Hostname, Plan string
	CoreNumber                  number `json:"core_number"`
	MemoryAmount                number `json:"memory_amount"`
	Labels                      labelList
	LoginUser                   *struct {
		CreatePassword string `json:"create_password"`
		Username       string
		SSHKeys        *struct {
			SSHKey []string `json:"ssh_key"`
		} `json:"ssh_keys"`
	} `json:"login_user"`
	Metadata            string
	Firewall            string
	PasswordDelivery    string `json:"password_delivery"`
	RemoteAccessEnabled string `json:"remote_access_enabled"`
	ServerGroup         string `json:"server_group"`
	Timezone            string
	UserData            string `json:"user_data"`
	Networking          struct {
		Interfaces struct{ Interface []newInterface }
	}
	StorageDevices struct {
		StorageDevice []newDevice `json:"storage_device"`
	} `json:"storage_devices"`
}

type newInterface struct {
	Type        string
	Network     string
	IPAddresses struct {
		IPAddress []struct{ Family string } `json:"ip_address"`
	} `json:"ip_addresses"`
}

type newDevice struct {
	Action, Storage, Title, Tier, Address, Encrypted string
	Size                                             number
}

var hostForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,126}[a-zA-Z0-9])?$`)

func (c *Cloud) createServer(now *call) (int, any) {
	var in createRequest
	if bad := read(now.body, &in); bad != nil {
		return http.StatusBadRequest, bad
	}
	want := &in.Server
	if status, refused := c.checkOrder(want); refused != nil {
		return status, refused
	}
	cores, memory, _ := sized(want.Plan, int(want.CoreNumber), int(want.MemoryAmount))
	s := &server{
		uuid: newID("00"), title: want.Title, hostname: want.Hostname, zone: want.Zone, plan: orElse(want.Plan, "custom"), cores: cores, memory: memory,
		firewall: orElse(want.Firewall, "off"), metadata: orElse(want.Metadata, "no"), group: want.ServerGroup,
		labels: slices.Clone(want.Labels.Label), created: c.Clock.Now(), host: 5872304771,
	}
	if status, refused := c.attachAll(s, want.Networking.Interfaces.Interface); refused != nil {
		return status, refused
	}
	devices, status, refused := c.newDevices(s, want.StorageDevices.StorageDevice)
	if refused != nil {
		return status, refused
	}
	c.admit(now, s, devices)
	reply := c.show(s)
	shown := reply["server"].(object)
	shown["progress"], shown["username"] = "0", "root"
	delete(shown, "host")
	if want.LoginUser != nil {
		shown["username"] = want.LoginUser.Username
	}
	if want.LoginUser == nil || want.LoginUser.CreatePassword != "no" {
		shown["password"] = "x"
	}
	return http.StatusAccepted, reply
}

// checkOrder refuses what can be refused before anything else is looked at.
func (c *Cloud) checkOrder(want *newServer) (int, *refusal) {
	bad := func(code, text string) (int, *refusal) { return http.StatusBadRequest, &refusal{code, text} }
	_, _, ok := sized(want.Plan, int(want.CoreNumber), int(want.MemoryAmount))
	switch {
	case !hasZone(want.Zone):
		return bad("ZONE_INVALID", "The zone "+want.Zone+" does not exist.")
	case !ok:
		return bad("PLAN_INVALID", "The plan "+want.Plan+" does not exist, or has other cores or memory.")
	case want.Title == "" || utf8.RuneCountInString(want.Title) > 255:
		return bad("SERVER_TITLE_INVALID", "The attribute title has an invalid value.")
	case !hostForm.MatchString(want.Hostname):
		return bad("HOSTNAME_INVALID", "The attribute hostname has an invalid value.")
	case want.ServerGroup != "" && c.groups[want.ServerGroup] == nil:
		return http.StatusNotFound, &refusal{"GROUP_NOT_FOUND", "The server group " + want.ServerGroup + " does not exist."}
	case len(want.StorageDevices.StorageDevice) == 0:
		return bad("STORAGE_DEVICES_MISSING", "The required attribute storage_devices is missing from the request.")
	case len(want.Networking.Interfaces.Interface) == 0:
		return bad("INTERFACES_MISSING", "The required attribute interfaces is missing from the request.")
	case want.LoginUser != nil && want.LoginUser.Username == "":
		return bad("USERNAME_MISSING", "The required attribute username is missing from the request.")
	}
	return http.StatusBadRequest, checkLabels(want.Labels.Label)
}

// attachAll gives a new server its addresses.
func (c *Cloud) attachAll(s *server, wanted []newInterface) (int, *refusal) {
	for _, i := range wanted {
		n := c.networks[i.Network]
		switch {
		case i.Type == "private" && n == nil:
			return http.StatusNotFound, &refusal{"NETWORK_NOT_FOUND", "The network " + i.Network + " does not exist."}
		case i.Type == "private" && n.zone != s.zone:
			return http.StatusConflict, &refusal{"ZONE_MISMATCH", "The network " + i.Network + " is in another zone."}
		case i.Type != "private" && i.Type != "public" && i.Type != "utility":
			return http.StatusBadRequest, &refusal{"INTERFACE_TYPE_INVALID", "The attribute type has an invalid value."}
		}
		for _, ip := range i.IPAddresses.IPAddress {
			s.interfaces = append(s.interfaces, c.attach(i.Type, ip.Family, i.Network))
		}
	}
	return 0, nil
}

// admit makes the server and its storages real, with what was ordered to go wrong about it.
func (c *Cloud) admit(now *call, s *server, devices []*storage) {
	at := s.created
	s.becomes(stateMaintenance, stateStarted, at.Add(c.o.MakeTime))
	if order, struck := c.strikes(now, BootError); struck {
		s.next, s.errorTime = stateError, order.For.Duration()
	}
	if order, struck := c.strikes(now, Hidden); struck {
		s.hidden = at.Add(order.For.Duration())
	}
	for i, d := range devices {
		c.storages[d.uuid] = d
		s.devices = append(s.devices, device{fmt.Sprintf("virtio:%d", i), d.uuid})
	}
	if g := c.groups[s.group]; g != nil {
		g.members = append(g.members, s.uuid)
	}
	c.made++
	c.servers[s.uuid] = s
	c.Log.Note(now.entry, func(e *faults.Call) { e.Target = s.uuid })
}

// newDevices are the storages of a new server. Nothing is kept of them before all are valid.
func (c *Cloud) newDevices(s *server, wanted []newDevice) (all []*storage, status int, refused *refusal) {
	for i, want := range wanted {
		made := &storage{
			uuid: newID("01"), title: want.Title, tier: orElse(want.Tier, "maxiops"), zone: s.zone, size: int(want.Size), kind: "normal", access: "private",
			encrypted: orElse(want.Encrypted, "no"), state: stateMaintenance, created: s.created, server: s.uuid,
		}
		bad := func(code, format string, args ...any) (all []*storage, status int, refused *refusal) {
			return nil, http.StatusBadRequest, &refusal{code, fmt.Sprintf(format, args...)}
		}
		switch {
		case want.Address != "" && want.Address != fmt.Sprintf("virtio:%d", i):
			return bad("ADDRESS_INVALID", "The attribute address has an invalid value.")
		case made.title == "" || utf8.RuneCountInString(made.title) > 255:
			return bad("STORAGE_TITLE_INVALID", "The attribute title has an invalid value.")
		case !slices.Contains([]string{"maxiops", "standard", "hdd"}, made.tier):
			return bad("TIER_INVALID", "The attribute tier has an invalid value.")
		case made.size < 1 || made.size > 4096:
			return bad("SIZE_INVALID", "The attribute size has an invalid value.")
		case want.Action == "clone":
			from, ok := templateNamed(want.Storage)
			if !ok {
				return nil, http.StatusNotFound, &refusal{"STORAGE_NOT_FOUND", "The storage " + want.Storage + " does not exist."}
			}
			if made.size < from.size {
				return bad("SIZE_INVALID", "The attribute size is smaller than the template.")
			}
			made.system = []label{{"_os_family", "linux"}}
		case want.Action != "create":
			return bad("ACTION_INVALID", "The attribute action has an invalid value.")
		}
		all = append(all, made)
	}
	return all, 0, nil
}

func checkLabels(labels []label) *refusal {
	seen := map[string]bool{}
	for _, l := range labels {
		printable := !strings.ContainsFunc(l.Key, func(r rune) bool { return r < 0x20 || r > 0x7e })
		switch {
		case len(l.Key) < 2 || len(l.Key) > 32 || !printable || strings.HasPrefix(l.Key, "_"):
			return &refusal{"LABEL_KEY_INVALID", "The attribute key has an invalid value."}
		case utf8.RuneCountInString(l.Value) > 255:
			return &refusal{"LABEL_VALUE_INVALID", "The attribute value has an invalid value."}
		case seen[strings.ToLower(l.Key)]:
			return &refusal{"LABEL_KEY_DUPLICATE", "The label " + l.Key + " is there twice."}
		}
		seen[strings.ToLower(l.Key)] = true
	}
	return nil
}

func orElse(value, standard string) string {
	if value == "" {
		return standard
	}
	return value
}
