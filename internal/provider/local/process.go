// Package local knows how to make servers out of what this machine has; driver Process makes a private directory and a loopback address.
// It must not know Kubernetes nor how commands reach a server: it hands out an Access and ends what ran under the server's name.
//
// Driver Process isolates nothing. Its commands run as the operator's own user, see all its files and every port, and share
// its kernel, memory and network. It is for trying things out on a machine of one's own; an installation must admit it.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Options say where the Process driver keeps its servers and for whom.
type Options struct {
	StateDir     string           // made with mode 0700 when absent; one per account
	Installation string           // whose servers these are; machines of others are listed to them and not touched
	Clock        func() time.Time // default time.Now
	// TokenPath is where a service account token would be mounted; default is Kubernetes' own place.
	TokenPath string
	// Grace is how long processes have between TERM and KILL; default 5 s.
	Grace time.Duration
}

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Process is the driver. It is safe for concurrent use, also by several processes on one StateDir.
type Process struct {
	options Options
	store   *store
}

var _ provider.Provider = (*Process)(nil)

// NewProcess opens the state directory. It refuses with Terminal: NotAllowed in a Pod (a mounted service account token would
// be the people's), on a system other than Linux, and in a directory that others may write; Invalid without an installation.
func NewProcess(options Options) (*Process, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.TokenPath == "" {
		options.TokenPath = tokenPath
	}
	if options.Grace <= 0 {
		options.Grace = 5 * time.Second
	}
	if err := (provider.Owner{Installation: options.Installation}).Validate(); err != nil {
		return nil, err
	}
	if !supported {
		return nil, fault.New(fault.Terminal, fault.ReasonNotAllowed, "the Process driver needs Linux: it finds a server's processes in /proc")
	}
	if _, err := os.Lstat(options.TokenPath); !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Terminal, fault.ReasonNotAllowed,
			"the Process driver does not run where a service account token is mounted (%s): it would run people's commands as the operator", options.TokenPath)
	}
	store, err := openStore(options.StateDir)
	if err != nil {
		return nil, fault.During(err, "opening the state directory")
	}
	return &Process{options: options, store: store}, nil
}

// Close gives the state directory's handle back. Servers stay as they are.
func (p *Process) Close() error { return p.store.root.Close() }

// Account returns the id by which limits and snapshots of this state directory are shared: it is made once and kept in it.
func (p *Process) Account() (provider.Account, error) {
	id, err := p.store.identity()
	return provider.Account{ID: "local/process/" + id, Location: "this machine"}, err
}

// Create makes the directory, or returns the server that the Key has already.
func (p *Process) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if err := want.Plain(); err != nil {
		return provider.Instance{}, err
	}
	if want.Owner.Installation != p.options.Installation {
		return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonInvalid, "owner.installation is %q, this account was opened for %q",
			want.Owner.Installation, p.options.Installation)
	}
	unlock, err := p.store.lock(ctx)
	if err != nil {
		return provider.Instance{}, err
	}
	defer unlock()
	name := directoryOf(want.Key)
	switch found, err := p.store.read(name); {
	case err == nil && found.Key == want.Key:
		return p.show(found), nil
	case err == nil:
		return provider.Instance{}, fault.New(fault.Terminal, fault.ReasonNameTaken, "the directory of this key belongs to another key")
	case !fault.IsGone(err):
		return provider.Instance{}, err
	}
	if err := noShape(want); err != nil {
		return provider.Instance{}, err
	}
	made, err := p.store.make(name, want, p.options.Clock())
	if err != nil {
		return provider.Instance{}, fault.During(err, "making a server's directory")
	}
	return p.show(made), nil
}

// noShape refuses what this driver does not have.
func noShape(want provider.Machine) error {
	for _, field := range []struct{ name, value string }{{"size", want.Size}, {"zone", want.Zone}, {"image", want.Image}} {
		if field.value != "" {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "the Process driver has no %ss: remove spec.%s", field.name, field.name)
		}
	}
	return nil
}

// Get returns the server of that id.
func (p *Process) Get(ctx context.Context, id string) (provider.Instance, error) {
	if err := alive(ctx); err != nil {
		return provider.Instance{}, err
	}
	found, err := p.store.find(id)
	if err != nil {
		return provider.Instance{}, err
	}
	return p.show(found), nil
}

// List returns the servers that an installation made in this state directory.
func (p *Process) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	all, err := p.store.all(ctx)
	if err != nil {
		return nil, fault.During(err, "listing servers")
	}
	var found []provider.Instance
	for _, s := range all {
		if owner.Covers(s.Owner) {
			found = append(found, p.show(s))
		}
	}
	return found, nil
}

// Delete ends the server's processes and removes its directory. Each call does what can be done now: the first marks the server
// and asks its processes to end (TERM), calls after Options.Grace end them (KILL), and once none is left the directory goes,
// its address last.
func (p *Process) Delete(ctx context.Context, id string) error {
	unlock, err := p.store.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	found, err := p.store.find(id)
	if err != nil {
		return err
	}
	if found.Owner.Installation != p.options.Installation {
		return fault.New(fault.Terminal, fault.ReasonNotAllowed, "server %s belongs to installation %q and is not ours to delete", id, found.Owner.Installation)
	}
	now := p.options.Clock()
	if found.EndedAt.IsZero() {
		found.EndedAt = now
		if err := p.store.write(found); err != nil {
			return fault.During(err, "marking server %s", id)
		}
	}
	if left, err := p.endProcesses(ctx, found, now); left > 0 || err != nil {
		return fault.During(err, "ending the processes of server %s", id)
	}
	if err := p.store.empty(found); err != nil {
		return fault.During(err, "removing the directory of server %s", id)
	}
	// Whoever had read the access before the mark may have started something meanwhile. Now that the directory is gone, nobody can.
	if left, err := p.endProcesses(ctx, found, now); left > 0 || err != nil {
		return fault.During(err, "ending the processes of server %s", id)
	}
	if err := p.store.forget(found); err != nil {
		return fault.During(err, "forgetting server %s", id)
	}
	return notFound(id)
}

func (p *Process) endProcesses(ctx context.Context, s server, now time.Time) (left int, err error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	waited := now.Sub(s.EndedAt)
	kill := waited >= p.options.Grace || waited < 0 // the clock went back: nobody knows how long they had
	return endProcesses("KEELWAY_SERVER="+s.ID, kill)
}

func (p *Process) show(s server) provider.Instance {
	shown := provider.Instance{
		ID: s.ID, Key: s.Key, Owner: s.Owner, State: provider.Running, CreatedAt: s.CreatedAt,
		Addresses: []provider.Address{{Type: provider.LoopbackIP, Address: s.Address}},
	}
	if s.EndedAt.IsZero() {
		shown.Access = transport.Access{Transport: "Process", Target: filepath.Join(p.store.path, serversDir, s.Directory, s.ID), Address: s.Address}
	} else {
		shown.State = provider.Terminating
	}
	return shown
}

func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Retry, fault.ReasonTransient, "not begun: %w", err)
	}
	return nil
}

func notFound(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "there is no server %s", provider.Clip(fmt.Sprintf("%.64q", id)))
}
