package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// claimLibrary says where a claim is. A directory is moved into its place whole, so no claim is ever half-made, and a place that is
// taken is not taken again.
//
//go:embed claim.sh
var claimLibrary string

// claim is what stands in a claim's file on a host.
type claim struct {
	ID           string    `json:"id"`
	Key          string    `json:"key"`
	Installation string    `json:"installation"`
	Namespace    string    `json:"namespace"`
	Name         string    `json:"name"`
	UID          string    `json:"uid"`
	CreatedAt    time.Time `json:"createdAt"`
}

func (c claim) owner() provider.Owner {
	return provider.Owner{Installation: c.Installation, Namespace: c.Namespace, Name: c.Name, UID: c.UID}
}

// look reads the claim on a host.
func (p *Pool) look(ctx context.Context, m Machine) sight {
	text, err := p.on(ctx, m, "claim_show", nil)
	if err != nil {
		return sight{m, p.Memory.last(m), fault.During(err, "looking at host %s", m.name())}
	}
	return p.read(m, text)
}

// read understands what a host says. Text that is no claim of ours keeps the host taken: somebody put it there.
func (p *Pool) read(m Machine, text string) sight {
	var c claim
	if text = strings.TrimSpace(text); text != "" {
		if err := json.Unmarshal([]byte(text), &c); err != nil || c.ID == "" {
			return sight{m, claim{}, fault.New(fault.Retry, fault.ReasonTransient, "host %s: the file of its claim cannot be read: look at /var/lib/keelway/claim there", m.name())}
		}
	}
	p.Memory.keep(m, c)
	return sight{machine: m, claim: c}
}

func (m *Memory) keep(at Machine, c claim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = map[string]claim{}
	}
	m.seen[at.name()] = c
}

// ask notes that a host is asked for a claim: until it has answered it may carry one.
func (m *Memory) ask(key string, at Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubts == nil {
		m.doubts = map[string]string{}
	}
	m.doubts[key] = at.name()
}

// sure forgets the doubt: it is known what became of the claim.
func (m *Memory) sure(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.doubts, key)
}

// doubt is the host that may carry a claim for the key, or "".
func (m *Memory) doubt(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.doubts[key]
}

func (m *Memory) last(at Machine) claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen[at.name()]
}

// Create claims a free host. The order in which hosts are tried follows from the key, so that a repetition meets the claim of a
// call whose answer was lost.
func (p *Pool) Create(ctx context.Context, want provider.Machine) (provider.Instance, error) {
	if err := want.Validate(); err != nil {
		return provider.Instance{}, err
	}
	if err := want.Plain(); err != nil {
		return provider.Instance{}, err
	}
	sights := p.lookAll(ctx)
	if err := ctx.Err(); err != nil {
		return provider.Instance{}, fault.New(fault.Retry, fault.ReasonTransient, "nothing was claimed: %w", err)
	}
	for _, s := range sights {
		switch {
		case s.claim.Installation != p.Installation || s.claim.Key != want.Key:
		case s.err != nil:
			return provider.Instance{}, fault.During(s.err, "a claim of this Server was seen there")
		default:
			p.Memory.sure(want.Key)
			return p.shown(s.machine, s.claim), nil
		}
	}
	if err := p.refuse(want); err != nil {
		return provider.Instance{}, err
	}
	if err := p.doubtful(sights, want); err != nil {
		return provider.Instance{}, err
	}
	taken, silent := 0, 0
	slices.SortFunc(sights, func(a, b sight) int { return cmp.Compare(weight(want.Key, a.machine), weight(want.Key, b.machine)) })
	doubt := p.Memory.doubt(want.Key)
	slices.SortStableFunc(sights, func(a, b sight) int {
		switch doubt {
		case a.machine.name():
			return -1
		case b.machine.name():
			return 1
		}
		return 0
	})
	for _, s := range sights {
		switch {
		case want.Zone != "" && s.machine.Zone != want.Zone:
		case s.err != nil:
			silent++
		case s.claim.ID != "":
			taken++
		default:
			made, err := p.take(ctx, s.machine, want)
			if err != nil {
				return provider.Instance{}, err
			}
			if made.Key == want.Key && made.Installation == p.Installation {
				return p.shown(s.machine, made), nil
			}
			taken++ // somebody else was quicker
		}
	}
	return provider.Instance{}, fault.New(fault.Retry, fault.ReasonResourcesDepleted,
		"no host is free: %d are taken and %d cannot be used: delete a Server, or add a host to spec.local.hosts of the Provider", taken, silent)
}

// doubtful returns nil once it is known what became of a claim whose answer was lost. Until its host has said so no other is claimed:
// there would be two machines for one Server. Where that host is free it is the first that is tried, so that a late claim finds its place
// taken.
func (p *Pool) doubtful(sights []sight, want provider.Machine) error {
	doubt := p.Memory.doubt(want.Key)
	at := slices.IndexFunc(sights, func(s sight) bool { return s.machine.name() == doubt })
	switch {
	case doubt == "":
		return nil
	case at < 0:
		return fault.New(fault.Retry, fault.ReasonUnreachable,
			"host %s may carry a claim of this Server and is no longer in spec.local.hosts of its Provider: put it back, or delete this Server to begin anew", doubt)
	case sights[at].err != nil:
		return fault.During(sights[at].err, "host %s may carry a claim of this Server, whose answer was lost: no other is claimed before it says so, unless this Server is deleted and made anew", doubt)
	case sights[at].claim.ID != "": // another's
		p.Memory.sure(want.Key)
		return nil
	}
	return nil
}

func (p *Pool) refuse(want provider.Machine) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	switch {
	case want.Size != "":
		return invalid("size: hosts are as they are: remove it")
	case want.Image != "":
		return invalid("image: hosts are as they are: remove it")
	case want.Zone != "" && !slices.ContainsFunc(p.Machines, func(m Machine) bool { return m.Zone == want.Zone }):
		return invalid("zone: no host of the pool is in zone %.63q", want.Zone)
	}
	return nil
}

// weight orders the hosts for a key (rendezvous hashing): a host more or less changes nothing about the others.
func weight(key string, m Machine) uint64 {
	sum := sha256.Sum256([]byte(key + "\x00" + m.name()))
	return binary.BigEndian.Uint64(sum[:])
}

// take puts a claim onto a host and returns the claim that is there then, ours or another's.
func (p *Pool) take(ctx context.Context, m Machine, want provider.Machine) (claim, error) {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	c := claim{
		ID: "host-" + m.mark() + "-" + hex.EncodeToString(random), Key: want.Key, Installation: p.Installation,
		Namespace: want.Owner.Namespace, Name: want.Owner.Name, UID: want.Owner.UID, CreatedAt: time.Now().UTC().Truncate(time.Second),
	}
	text, err := json.Marshal(c)
	if err != nil {
		return claim{}, fault.New(fault.Terminal, fault.ReasonInternal, "writing a claim: %w", err)
	}
	p.Memory.ask(want.Key, m)
	said, err := p.on(ctx, m, "claim_take", text)
	if err != nil {
		return claim{}, fault.During(err, "claiming host %s", m.name())
	}
	s := p.read(m, said)
	if s.err == nil {
		p.Memory.sure(want.Key)
	}
	return s.claim, s.err
}

// release takes a claim of ours away.
func (p *Pool) release(ctx context.Context, m Machine, id string) error {
	said, err := p.on(ctx, m, `claim_release "$1"`, nil, id)
	if err != nil {
		return fault.During(err, "giving host %s back", m.name())
	}
	p.read(m, said)
	return nil
}

// shown is a claimed host as a machine.
func (p *Pool) shown(m Machine, c claim) provider.Instance {
	access := p.access(m)
	access.Target = c.ID
	kind := provider.PrivateIPv4
	if ip, err := netip.ParseAddr(access.Address); err == nil && ip.IsLoopback() {
		kind = provider.LoopbackIP
	} else if err == nil && !ip.IsPrivate() {
		kind = provider.PublicIPv4
		if ip.Is6() {
			kind = provider.PublicIPv6
		}
	}
	return provider.Instance{
		ID: c.ID, Key: c.Key, Owner: c.owner(), State: provider.Running, Zone: m.Zone, CreatedAt: c.CreatedAt,
		Addresses: []provider.Address{{Type: kind, Address: access.Address}}, Access: access,
	}
}

func sortByID(all []provider.Instance) {
	slices.SortFunc(all, func(a, b provider.Instance) int { return strings.Compare(a.ID, b.ID) })
}
