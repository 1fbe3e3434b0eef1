// Package all knows every provider that is built in and opens the one that an account's settings name.
// It must not know what a provider does: it is the only importer of vendors and holds nothing but the choice.
package all

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/local"
	"github.com/keelway/keelway/internal/provider/local/docker"
	"github.com/keelway/keelway/internal/provider/local/host"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// The types and local drivers that are built in.
const (
	TypeLocal     = "Local"
	TypeAWS       = "AWS"
	TypeUpCloud   = "UpCloud"
	DriverProcess = "Process"
	DriverMemory  = "Memory"
	DriverDocker  = "Docker"
	DriverHost    = "Host"
)

// Spec says which account to reach, and what the installation admits.
type Spec struct {
	Name         string   // of the object that says all this, as namespace/name: what is opened for it is kept under this name
	Type         string   // Local | AWS | UpCloud
	Driver       string   // of type Local: Process | Memory | Docker | Host
	Endpoint     string   // Memory: the URL of a cloud in another process, plain http on loopback; empty for one in this process
	Installation string   // the installation's id
	Admitted     []string // local drivers that the installation admits (--local-drivers)
	StateDir     string   // Process: where its servers are kept
	DockerHost   string   // Docker: the Engine's address, as unix:///var/run/docker.sock
	Docker       docker.Shape
	AWS          aws.Options     // the installation's id is filled in here
	UpCloud      upcloud.Options // likewise
	// EndpointAllow are addresses that an endpoint of a cloud may have besides public ones (--endpoint-allow).
	EndpointAllow []string
	// RequestsPerSecond is the most that the account of a cloud is sent by all who reach it; 0: the cloud's default. The lowest counts.
	RequestsPerSecond int
	Host              host.Options // Host: the pool; installation and memory are filled in here
}

// Opener opens accounts and keeps what they share: one in-process cloud an installation, one driver a state directory.
// It is safe for concurrent use; Close ends it.
type Opener struct {
	memory mem.Options

	mu        sync.Mutex
	clouds    map[string]*mem.Cloud
	clients   map[string]*mem.Client
	processes map[[2]string]*local.Process
	engines   map[docker.Options]*docker.Docker
	memories  map[string]*host.Memory  // of pools, by name
	entrances map[string]*entrance     // of clouds, by name
	paces     map[string]*pace         // of clouds' accounts, by id
	learned   map[string]*upcloud.Pace // of those of UpCloud
	throttled map[string]*aws.Paces    // of those of AWS

	pause func(context.Context, time.Duration) error // lets time pass before a request
}

// NewOpener returns an opener whose in-process clouds behave as the options say. Their clock is the opener's own, too.
func NewOpener(memory mem.Options) *Opener {
	if memory.Clock == nil {
		memory.Clock = time.Now
	}
	return &Opener{
		memory: memory, clouds: map[string]*mem.Cloud{}, clients: map[string]*mem.Client{},
		processes: map[[2]string]*local.Process{}, engines: map[docker.Options]*docker.Docker{}, memories: map[string]*host.Memory{}, entrances: map[string]*entrance{},
		paces: map[string]*pace{}, learned: map[string]*upcloud.Pace{}, throttled: map[string]*aws.Paces{}, pause: provider.Pause,
	}
}

// Open returns the provider, guarded (see provider.Guarded), and the account that it reaches. The first time it asks a cloud whose the
// credentials are; otherwise it sends nothing. Errors are Terminal: Invalid for settings that name nothing, DriverNotAllowed for a
// driver that the installation does not admit, NotAllowed for an endpoint or a place where the driver refuses to run,
// Unauthenticated or Unauthorized for what a cloud says of credentials; or those of a call that failed.
func (o *Opener) Open(ctx context.Context, spec Spec) (provider.Provider, provider.Account, error) {
	if err := admit(spec); err != nil {
		return nil, provider.Account{}, err
	}
	if spec.Type != TypeLocal {
		p, account, err := o.cloudOf(ctx, spec)
		return p, account, fault.During(err, "opening the account of type %s", spec.Type)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	p, account, err := o.open(spec)
	if err != nil {
		return nil, provider.Account{}, fault.During(err, "opening the account of driver %s", spec.Driver)
	}
	return provider.Guarded(p, 0), account, nil
}

func (o *Opener) open(spec Spec) (provider.Provider, provider.Account, error) {
	switch {
	case spec.Driver == DriverProcess:
		p, err := cached(o.processes, [2]string{spec.Installation, spec.StateDir}, func() (*local.Process, error) {
			return local.NewProcess(local.Options{StateDir: spec.StateDir, Installation: spec.Installation})
		})
		if err != nil {
			return nil, provider.Account{}, err
		}
		account, err := p.Account()
		return p, account, err
	case spec.Driver == DriverDocker:
		options := docker.Options{Host: spec.DockerHost, Installation: spec.Installation}
		d, err := cached(o.engines, options, func() (*docker.Docker, error) { return docker.New(options) })
		if err != nil {
			return nil, provider.Account{}, err
		}
		return d.Shaped(spec.Docker), d.Account(), nil
	case spec.Driver == DriverHost:
		options := spec.Host
		options.Installation = spec.Installation
		options.Memory, _ = cached(o.memories, options.Name, func() (*host.Memory, error) { return &host.Memory{}, nil })
		p, err := host.New(options)
		if err != nil {
			return nil, provider.Account{}, err
		}
		return p, p.Account(), nil
	case spec.Endpoint != "":
		client, err := cached(o.clients, spec.Endpoint, func() (*mem.Client, error) { return mem.Dial(spec.Endpoint) })
		if err != nil {
			return nil, provider.Account{}, err
		}
		return client, provider.Account{ID: "local/memory/" + client.Host(), Location: "memory at " + client.Host()}, nil
	}
	return o.cloud(spec.Installation), provider.Account{ID: "local/memory/" + spec.Installation, Location: "memory"}, nil
}

// Cloud returns the in-process cloud of an installation, for whoever wants to look at it from the cloud's side.
func (o *Opener) Cloud(installation string) *mem.Cloud {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cloud(installation)
}

func (o *Opener) cloud(installation string) *mem.Cloud {
	cloud, _ := cached(o.clouds, installation, func() (*mem.Cloud, error) { return mem.New(o.memory), nil })
	return cloud
}

// Close gives handles and idle connections back. What is open works no longer.
func (o *Opener) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, p := range o.processes {
		_ = p.Close()
		delete(o.processes, key)
	}
	for key, d := range o.engines {
		_ = d.Close()
		delete(o.engines, key)
	}
	for name, e := range o.entrances {
		e.close()
		delete(o.entrances, name)
	}
	for key, client := range o.clients {
		client.Close()
		delete(o.clients, key)
	}
}

func admit(spec Spec) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	drivers := []string{DriverProcess, DriverMemory, DriverDocker, DriverHost}
	types := []string{TypeAWS, TypeUpCloud, TypeLocal}
	switch {
	case !slices.Contains(types, spec.Type):
		return invalid("there is no provider type %s; there are: %s", quote(spec.Type), strings.Join(types, ", "))
	case spec.Type != TypeLocal && spec.Installation == "":
		return invalid("the installation has no id")
	case spec.Type != TypeLocal:
		return nil
	case !slices.Contains(drivers, spec.Driver):
		return invalid("there is no local driver %s; there are: %s", quote(spec.Driver), strings.Join(drivers, ", "))
	case spec.Installation == "":
		return invalid("the installation has no id")
	case !slices.Contains(spec.Admitted, spec.Driver):
		return fault.New(fault.Terminal, fault.ReasonDriverNotAllowed,
			"the driver %s is not admitted by this installation: start the operator with --local-drivers=%[1]s", spec.Driver)
	case spec.Driver != DriverMemory && spec.Endpoint != "":
		return invalid("the driver %s has no endpoint: remove it", spec.Driver)
	}
	return nil
}

func cached[K comparable, V any](kept map[K]V, key K, make func() (V, error)) (V, error) {
	if have, ok := kept[key]; ok {
		return have, nil
	}
	made, err := make()
	if err == nil {
		kept[key] = made
	}
	return made, err
}

func quote(text string) string { return fmt.Sprintf("%.64q", text) }
