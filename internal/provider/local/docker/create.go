package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Shape says what new containers are like, in the words of the API's DockerMachines.
type Shape struct {
	Image            string // of machines that name none
	Command          []string
	Environment      map[string]string
	AddCapabilities  []string
	DropCapabilities []string
	SecurityOptions  []string
	CgroupNamespace  string // private, host or "" for the Engine's default
	Tmpfs            []string
	Volumes          []Volume
	Ports            []Port
	Network          string
}

// Volume is a directory of the Engine's machine, or the container's own where HostPath is empty.
type Volume struct{ Path, HostPath string }

// Port is published on 127.0.0.1; Host 0 is a free one.
type Port struct{ Container, Host uint16 }

// Create makes and starts a container. Its name is derived from installation and key, so the Engine itself refuses a second one.
// One that is made and cannot be started yet is returned as Pending, with the Engine's words; every later look tries again.
func (s Sized) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if err := want.Plain(); err != nil {
		return provider.Instance{}, err
	}
	name := nameOf(s.Installation, want.Key)
	if found, err := s.byName(ctx, name, want.Key); err == nil || !fault.IsGone(err) {
		return found, err
	}
	options, err := s.options(name, want)
	if err != nil {
		return provider.Instance{}, err
	}
	_, err = s.engine.ContainerCreate(ctx, options)
	switch {
	case errdefs.IsNotFound(err):
		return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonInvalid,
			"image: the Docker Engine has no image %.200q, and nothing is pulled: build, load or import it there", options.Config.Image)
	case err != nil && !errdefs.IsConflict(err): // a conflict: somebody else was quicker, with the same key
		return provider.Instance{}, s.fault(err, fault.Unknown)
	}
	found, err := s.byName(ctx, name, want.Key)
	if fault.IsGone(err) {
		return found, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "container %s was made and is not shown", name)
	}
	return found, err
}

// byName finds the container of a key. A stranger's of that name is none of ours.
func (s Sized) byName(ctx context.Context, name, key string) (provider.Instance, error) {
	stranger := false
	found, err := s.find(ctx, name, func(c container) bool {
		stranger = c.Labels[labelInstallation] != s.Installation || c.Labels[labelKey] != key
		return !stranger
	})
	if stranger {
		return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonNameTaken, "a container that is not ours has the name %s: rename or remove it", name)
	}
	return found, err
}

func nameOf(installation, key string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(len(installation)) + ":" + installation + key))
	return "keelway-" + hex.EncodeToString(sum[:12])
}

func (s Sized) options(name string, want provider.Machine) (client.ContainerCreateOptions, error) {
	invalid := func(format string, args ...any) (client.ContainerCreateOptions, error) {
		return client.ContainerCreateOptions{}, fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	image := want.Image
	if image == "" {
		image = s.shape.Image
	}
	switch {
	case want.Size != "":
		return invalid("size: containers have no sizes: remove it")
	case want.Zone != "":
		return invalid("zone: a Docker Engine has no zones: remove it")
	case image == "":
		return invalid("image: neither the Server nor local.docker of its Provider names one")
	}
	config := &api.Config{Image: image, Cmd: s.shape.Command, Labels: labels(s.Installation, want), ExposedPorts: network.PortSet{}}
	for key, value := range s.shape.Environment {
		config.Env = append(config.Env, key+"="+value)
	}
	slices.Sort(config.Env)
	host := &api.HostConfig{
		CapAdd: s.shape.AddCapabilities, CapDrop: s.shape.DropCapabilities, SecurityOpt: s.shape.SecurityOptions,
		CgroupnsMode: api.CgroupnsMode(s.shape.CgroupNamespace), NetworkMode: api.NetworkMode(s.shape.Network),
		RestartPolicy: api.RestartPolicy{Name: api.RestartPolicyUnlessStopped}, // a server comes back when its host does
		Tmpfs:         map[string]string{}, PortBindings: network.PortMap{},
	}
	for _, path := range s.shape.Tmpfs {
		host.Tmpfs[path] = "exec"
	}
	for _, v := range s.shape.Volumes {
		kind := mount.TypeVolume
		if v.HostPath != "" {
			kind = mount.TypeBind
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: kind, Source: v.HostPath, Target: v.Path})
	}
	for _, p := range s.shape.Ports {
		port, ok := network.PortFrom(p.Container, network.TCP)
		if !ok {
			return invalid("local.docker.ports: %d is no port", p.Container)
		}
		config.ExposedPorts[port] = struct{}{}
		binding := network.PortBinding{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		if p.Host > 0 {
			binding.HostPort = strconv.Itoa(int(p.Host))
		}
		host.PortBindings[port] = []network.PortBinding{binding}
	}
	return client.ContainerCreateOptions{Name: name, Config: config, HostConfig: host}, nil
}

// start finishes the beginning of a container that was made. What keeps it from starting is told as the machine's message: a port
// may become free, and a person may take the container away.
func (d *Docker) start(ctx context.Context, c container) container {
	_, err := d.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
	if err != nil {
		c.message = provider.Clip("it could not be started: " + err.Error())
		c.failed = errdefs.IsInvalidArgument(err)
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			c.message = ""
		}
		return c
	}
	got, err := d.engine.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
	if err != nil {
		return c
	}
	return inspected(got.Container)
}
