// Package host knows how machines that exist already are taken out of a pool and given back: a claim is a directory on the host
// itself, so that two installations never take the same one. It must not know what is done with a machine, or how it is dialled.
package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Machine is one host of a pool.
type Machine struct {
	Address        string // where its SSH server is
	Port           int32  // 0 = 22
	User           string
	Sudo           bool
	Zone           string
	ServiceAddress string   // that services listen on; "" = Address
	HostKeys       []string // what it is known by; a host without any is not used
}

// Options of a pool.
type Options struct {
	Name         string // of the pool, for people and for the account's id
	Installation string // the installation's id
	Machines     []Machine
	Jump         *transport.Hop
	Secret       string // the name of what holds the key, to be published
	PrivateKey   []byte
	Dialer       transport.Dialer
	Memory       *Memory
}

// Memory is what was last seen on each host: while one does not answer, its machine is not taken for gone. It may be lost.
type Memory struct {
	mu     sync.Mutex
	seen   map[string]claim  // by host
	doubts map[string]string // the host that may carry a claim whose answer was lost, by key
}

// Pool is one installation's view of the hosts. It is safe for concurrent use.
type Pool struct{ Options }

var _ provider.Provider = (*Pool)(nil)

const (
	lookTimeout = 10 * time.Second // of one host: a dead one holds nobody up
	looksAtOnce = 16
)

// New returns the pool. It sends nothing.
func New(o Options) (*Pool, error) {
	if o.Installation == "" || o.Dialer == nil || o.Memory == nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "a pool needs an installation, a dialer and a memory")
	}
	seen := map[string]bool{}
	for i, m := range o.Machines {
		if seen[m.name()] {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "local.hosts[%d]: %s is there twice: remove one", i, m.name())
		}
		seen[m.name()] = true
	}
	return &Pool{o}, nil
}

// Account says which account the pool is.
func (p *Pool) Account() provider.Account {
	return provider.Account{ID: "local/host/" + p.Name, Location: fmt.Sprintf("%d hosts", len(p.Machines))}
}

// name tells a host from the others.
func (m Machine) name() string {
	port := m.Port
	if port == 0 {
		port = 22
	}
	return net.JoinHostPort(m.Address, strconv.Itoa(int(port)))
}

// mark is the part of an id that names the host.
func (m Machine) mark() string {
	sum := sha256.Sum256([]byte(m.name()))
	return hex.EncodeToString(sum[:6])
}

var idShape = regexp.MustCompile(`^host-([0-9a-f]{12})-[0-9a-f]{16}$`)

// at finds the host that an id is about. One that was taken out of the pool is not gone: nobody may say what became of it.
func (p *Pool) at(id string) (Machine, error) {
	parts := idShape.FindStringSubmatch(id)
	if parts == nil {
		return Machine{}, gone(id)
	}
	for _, m := range p.Machines {
		if m.mark() == parts[1] {
			return m, nil
		}
	}
	return Machine{}, fault.New(fault.Retry, fault.ReasonUnreachable, "the host of machine %s is no longer in spec.local.hosts of its Provider: put it back", id)
}

func gone(id string) error {
	return fault.New(fault.Gone, fault.ReasonNotFound, "no host carries the claim %.64q", id)
}

// Get looks at the host of a machine.
func (p *Pool) Get(ctx context.Context, id string) (provider.Instance, error) {
	m, err := p.at(id)
	if err != nil {
		return provider.Instance{}, err
	}
	s := p.look(ctx, m)
	if s.err != nil {
		return provider.Instance{}, s.err
	}
	if s.claim.ID != id || s.claim.Installation != p.Installation {
		return provider.Instance{}, gone(id)
	}
	return p.shown(m, s.claim), nil
}

// Delete gives the host back. What services left on it is theirs to have removed before.
func (p *Pool) Delete(ctx context.Context, id string) error {
	if _, err := p.Get(ctx, id); err != nil {
		return err
	}
	m, err := p.at(id)
	if err != nil {
		return err
	}
	return p.release(ctx, m, id)
}

// List shows the machines of the owner on all hosts that answer, and those that were last seen on hosts that do not. It fails when
// no host answers.
func (p *Pool) List(ctx context.Context, owner provider.Owner) ([]provider.Instance, error) {
	if err := owner.Validate(); err != nil {
		return nil, err
	}
	sights := p.lookAll(ctx)
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "listing: %w", err)
	}
	var found []provider.Instance
	answers := 0
	for _, s := range sights {
		if s.err == nil {
			answers++
		}
		if s.claim.ID != "" && s.claim.Installation == p.Installation && owner.Covers(s.claim.owner()) {
			found = append(found, p.shown(s.machine, s.claim))
		}
	}
	if answers == 0 && len(sights) > 0 {
		return nil, fault.During(sights[0].err, "none of %d hosts answers, the first one", len(sights))
	}
	sortByID(found)
	return found, nil
}

// Describe says for people how the pool stands.
func (p *Pool) Describe(ctx context.Context) string {
	free, silent, words := 0, 0, ""
	for _, s := range p.lookAll(ctx) {
		switch {
		case s.err != nil:
			if silent++; silent == 1 {
				words = s.err.Error()
			}
		case s.claim.ID == "":
			free++
		}
	}
	text := fmt.Sprintf("%d hosts, %d free", len(p.Machines), free)
	if silent > 0 {
		text += fmt.Sprintf(", %d cannot be used: %s", silent, words)
	}
	return provider.Clip(text)
}

// sight is what was seen of one host.
type sight struct {
	machine Machine
	claim   claim // empty: free; with an error: what was seen last
	err     error
}

func (p *Pool) lookAll(ctx context.Context) []sight {
	sights := make([]sight, len(p.Machines))
	var group errgroup.Group
	group.SetLimit(looksAtOnce)
	for i, m := range p.Machines {
		group.Go(func() error {
			sights[i] = p.look(ctx, m)
			return nil
		})
	}
	_ = group.Wait() // nothing returns an error
	return sights
}

// on runs a script on a host as root.
func (p *Pool) on(ctx context.Context, m Machine, script string, input []byte, args ...string) (string, error) {
	if len(m.HostKeys) == 0 {
		return "", fault.New(fault.Retry, fault.ReasonUnreachable, "%s has not shown its host keys yet", m.name())
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	tr, err := p.Dialer.Dial(ctx, p.access(m), transport.Credentials{PrivateKey: p.PrivateKey, HostKeys: m.HostKeys})
	if err != nil {
		return "", err
	}
	defer func() { _ = tr.Close() }() // what was done is done
	result, err := tr.Exec(ctx, transport.Command{Argv: append([]string{"sh", "-c", claimLibrary + script, "keelway-claim"}, args...), Stdin: input})
	switch {
	case err != nil:
		return "", err
	case result.Exit != 0:
		return "", fault.New(fault.Retry, fault.ReasonTransient, "%s: code %d: %.300s", m.name(), result.Exit, strings.TrimSpace(string(result.Stderr)))
	}
	return string(result.Stdout), nil
}

func (p *Pool) access(m Machine) transport.Access {
	access := transport.Access{
		Transport: transport.SSH, Address: m.ServiceAddress, Host: m.Address, Port: m.Port, User: m.User, Sudo: m.Sudo,
		Secret: p.Secret, HostKeys: m.HostKeys, Jump: p.Jump,
	}
	if access.Address == "" {
		access.Address = m.Address
	}
	return access
}
