// Package ssh knows how to run a command on a machine with an SSH server: one connection a machine, shared by all who ask, with few
// sessions at once. It must not know who made the machine, where its key is kept, or whether a strange host key may be trusted.
package ssh

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

const (
	sessionsAtOnce = 8                // on one connection; sshd allows ten
	idleTime       = time.Minute      // until a connection that nobody uses is closed
	aliveEvery     = 15 * time.Second // between signs of life
	aliveMisses    = 3                // in a row, and the connection is given up
)

// Pool keeps connections. It is safe for concurrent use; the zero value works.
type Pool struct {
	mu    sync.Mutex
	lines map[identity]*line
}

// identity is everything that one connection must not be shared across.
type identity [sha256.Size]byte

// line is one connection, or the place of one that is not there now.
type line struct {
	pool     *Pool
	id       identity
	at       place
	dial     func(context.Context) (*ssh.Client, error)
	sessions chan struct{}

	dialling chan struct{} // held while a connection is made: the others wait for it

	mu     sync.Mutex
	client *ssh.Client
	users  int
	idle   *time.Timer
}

// Open returns the transport to a machine, connected and logged in. Errors: see transport.Dialer.
func (p *Pool) Open(ctx context.Context, a transport.Access, with transport.Credentials) (*Transport, error) {
	at := placeOf(a)
	if at.host == "" {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "an SSH server's address is needed")
	}
	signer, err := parseKey(with.PrivateKey)
	if err != nil {
		return nil, err
	}
	id := identify(at, a.Jump, with)
	l := p.line(id, at, func(ctx context.Context) (*ssh.Client, error) {
		hop, leave, err := p.hop(ctx, a.Jump, with)
		if err != nil {
			return nil, err
		}
		client, err := login(ctx, at, signer, with.HostKeys, hop)
		if err != nil {
			leave()
			return nil, err
		}
		go func() { _ = client.Wait(); leave() }()
		return client, nil
	})
	if _, err := l.connected(ctx); err != nil {
		l.leave()
		return nil, err
	}
	return &Transport{line: l, sudo: a.Sudo && at.user != "root"}, nil
}

// HostKeys asks a machine for its host keys of every kind, without logging in there.
func (p *Pool) HostKeys(ctx context.Context, a transport.Access, with transport.Credentials) ([]string, error) {
	hop, leave, err := p.hop(ctx, a.Jump, with)
	if err != nil {
		return nil, err
	}
	defer leave()
	return scan(ctx, placeOf(a), hop)
}

// hop opens the way to the jump host; nil without one. Whoever got it leaves it again.
func (p *Pool) hop(ctx context.Context, jump *transport.Hop, with transport.Credentials) (*ssh.Client, func(), error) {
	if jump == nil {
		return nil, func() {}, nil
	}
	through := transport.Access{Host: jump.Host, Port: jump.Port, User: jump.User}
	tr, err := p.Open(ctx, through, transport.Credentials{PrivateKey: with.PrivateKey, HostKeys: jump.HostKeys})
	if err != nil {
		return nil, nil, fault.During(err, "through the jump host")
	}
	client, err := tr.line.connected(ctx)
	if err != nil {
		_ = tr.Close()
		return nil, nil, fault.During(err, "through the jump host")
	}
	return client, func() { _ = tr.Close() }, nil
}

func identify(at place, jump *transport.Hop, with transport.Credentials) identity {
	text, _ := json.Marshal([]any{at.host, at.port, at.user, jump, with}) // plain data: it cannot fail
	return sha256.Sum256(text)
}

// line finds or makes the place of a connection and counts a user in.
func (p *Pool) line(id identity, at place, dial func(context.Context) (*ssh.Client, error)) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.lines[id]
	if !ok {
		l = &line{pool: p, id: id, at: at, dial: dial, sessions: make(chan struct{}, sessionsAtOnce), dialling: make(chan struct{}, 1)}
		if p.lines == nil {
			p.lines = map[identity]*line{}
		}
		p.lines[id] = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	return l
}

// leave counts a user out. The connection stays for a while: the next look is near.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	if l.client == nil {
		go l.pool.drop(l)
		return
	}
	l.idle = time.AfterFunc(idleTime, func() { l.pool.drop(l) })
}

// drop forgets a connection that nobody uses.
func (p *Pool) drop(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users > 0 {
		return
	}
	if p.lines[l.id] == l {
		delete(p.lines, l.id)
	}
	l.hangUp()
}

// Close closes every connection. Transports that are still open fail from then on, or connect anew.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.lines {
		delete(p.lines, id)
		l.mu.Lock()
		l.hangUp()
		l.mu.Unlock()
	}
}

// hangUp is called with the line's lock held.
func (l *line) hangUp() {
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	if l.client != nil {
		_ = l.client.Close()
		l.client = nil
	}
}

// connected returns the connection, made anew where there is none.
func (l *line) connected(ctx context.Context) (*ssh.Client, error) {
	select {
	case l.dialling <- struct{}{}:
		defer func() { <-l.dialling }()
	case <-ctx.Done():
		return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "connecting to %s: %w", l.at.address(), ctx.Err())
	}
	l.mu.Lock()
	client := l.client
	l.mu.Unlock()
	if client != nil {
		return client, nil
	}
	client, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.client = client
	l.mu.Unlock()
	go l.watch(client)
	return client, nil
}

// broken forgets a connection that failed, unless somebody made another one meanwhile.
func (l *line) broken(client *ssh.Client) {
	_ = client.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client == client {
		l.client = nil
	}
}

// watch asks for signs of life until the connection ends.
func (l *line) watch(client *ssh.Client) {
	ended := make(chan struct{})
	go func() { _ = client.Wait(); close(ended) }()
	ticker := time.NewTicker(aliveEvery)
	defer ticker.Stop()
	defer l.broken(client)
	waiting, misses := make(chan struct{}, 1), 0
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
		select {
		case waiting <- struct{}{}:
			misses = 0
			go func() {
				_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil) // any answer is a sign of life
				<-waiting
			}()
		default:
			if misses++; misses >= aliveMisses {
				return
			}
		}
	}
}
