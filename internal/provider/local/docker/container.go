package docker

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Labels that say whose a container is. They are written when it is made, and nothing is ours without the first one.
const (
	labelInstallation = "keelway.dev/installation"
	labelNamespace    = "keelway.dev/namespace"
	labelName         = "keelway.dev/name"
	labelUID          = "keelway.dev/uid"
	labelKey          = "keelway.dev/key"
)

func labels(installation string, want provider.Machine) map[string]string {
	all := maps.Clone(want.Labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, map[string]string{ // last: nobody's label stands in their place
		labelInstallation: installation, labelNamespace: want.Owner.Namespace, labelName: want.Owner.Name,
		labelUID: want.Owner.UID, labelKey: want.Key,
	})
	return all
}

// LabelRules implements provider.Labeller. The Engine itself bounds nothing: these are the longest labels of Kubernetes.
func (d *Docker) LabelRules() provider.LabelRules {
	return provider.LabelRules{KeyLeast: 1, KeyMost: 317, ValueMost: 63}
}

// container is what the two ways of looking at one have in common.
type container struct {
	ID      string
	Image   string
	Labels  map[string]string
	State   api.ContainerState
	Created time.Time
	Address netip.Addr

	message string // why it does not start
	failed  bool   // and never will
}

func listed(s api.Summary) container {
	c := container{ID: s.ID, Image: s.Image, Labels: s.Labels, State: s.State, Created: time.Unix(s.Created, 0).UTC()}
	if s.NetworkSettings != nil {
		c.Address = address(s.NetworkSettings.Networks)
	}
	return c
}

func inspected(r api.InspectResponse) container {
	c := container{ID: r.ID}
	if r.Config != nil {
		c.Image, c.Labels = r.Config.Image, r.Config.Labels
	}
	if r.State != nil {
		c.State = r.State.Status
	}
	if made, err := time.Parse(time.RFC3339Nano, r.Created); err == nil {
		c.Created = made.UTC().Truncate(time.Second) // as a list tells it
	}
	if r.NetworkSettings != nil {
		c.Address = address(r.NetworkSettings.Networks)
	}
	return c
}

// address is that of the first network by name that gave one.
func address(networks map[string]*network.EndpointSettings) netip.Addr {
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if e := networks[name]; e != nil && e.IPAddress.IsValid() {
			return e.IPAddress
		}
	}
	return netip.Addr{}
}

func (c container) owner() provider.Owner {
	return provider.Owner{Installation: c.Labels[labelInstallation], Namespace: c.Labels[labelNamespace], Name: c.Labels[labelName], UID: c.Labels[labelUID]}
}

// states: a paused container keeps its memory and does not answer, which is for whoever dials it to find out.
var states = map[api.ContainerState]provider.State{
	api.StateCreated: provider.Pending, api.StateRestarting: provider.Pending, api.StateRunning: provider.Running, api.StatePaused: provider.Running,
	api.StateExited: provider.Stopped, api.StateRemoving: provider.Terminating, api.StateDead: provider.Terminating,
}

// shown is the container as a machine. One that was made and not started is started first: its maker died in between.
func (d *Docker) shown(ctx context.Context, c container) provider.Instance {
	if c.State == api.StateCreated {
		c = d.start(ctx, c)
	}
	i := provider.Instance{ID: c.ID, Key: c.Labels[labelKey], Owner: c.owner(), State: states[c.State], Message: c.message, Image: c.Image, CreatedAt: c.Created}
	switch {
	case i.State == "":
		i.State = provider.Pending
	case c.failed:
		i.State = provider.Failed
	}
	if i.State == provider.Running && c.Address.IsValid() {
		i.Addresses = []provider.Address{{Type: provider.PrivateIPv4, Address: c.Address.String()}}
		i.Access = transport.Access{Transport: transport.Docker, Target: c.ID, Address: c.Address.String()}
	}
	return i
}
