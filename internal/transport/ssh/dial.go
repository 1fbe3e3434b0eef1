package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// handshakeLimit bounds a handshake where the context has more patience: a server that accepts and says nothing holds nobody up.
const handshakeLimit = 20 * time.Second

// place is where an SSH server is and who logs in.
type place struct {
	host string
	port int32
	user string
}

func placeOf(a transport.Access) place {
	return place{host: cmp.Or(a.Host, a.Address), port: cmp.Or(a.Port, 22), user: cmp.Or(a.User, "root")}
}

func (p place) address() string { return net.JoinHostPort(p.host, strconv.Itoa(int(p.port))) }

func (p place) String() string { return p.user + "@" + p.address() }

// parseKey reads a private key. No error holds a part of it.
func parseKey(pem []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fault.New(fault.Terminal, fault.ReasonUnauthenticated, "the private key has a passphrase, which nobody is there to type: use a key without one")
	case err != nil:
		return nil, fault.New(fault.Terminal, fault.ReasonUnauthenticated, "the private key cannot be read: want PEM or OpenSSH form")
	}
	return signer, nil
}

// login makes a connection, through the hop where there is one, and logs in.
func login(ctx context.Context, at place, signer ssh.Signer, known []string, hop *ssh.Client) (*ssh.Client, error) {
	pinned, err := parsePins(known)
	if err != nil {
		return nil, fault.During(err, "%s", at)
	}
	var shown ssh.PublicKey
	config := &ssh.ClientConfig{
		User: at.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: pinned.algorithms(),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if shown = key; pinned.has(key) {
				return nil
			}
			return errStranger
		},
	}
	client, err := handshake(ctx, at, config, hop)
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case err == nil:
		return client, nil
	case errors.Is(err, errStranger):
		return nil, fault.New(fault.Terminal, fault.ReasonHostKeyChanged, "%s shows the host key %s %s, which is not the one it is known by", at, shown.Type(), ssh.FingerprintSHA256(shown))
	case errors.As(err, &negotiation) && strings.Contains(err.Error(), "host key"):
		return nil, fault.New(fault.Terminal, fault.ReasonHostKeyChanged, "%s has no host key of the kinds that it is known by (%s)", at, strings.Join(pinned.types(), ", "))
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, fault.New(fault.Terminal, fault.ReasonUnauthenticated, "%s refuses the key %s %s: authorize it there for user %s", at, signer.PublicKey().Type(), ssh.FingerprintSHA256(signer.PublicKey()), at.user)
	}
	return nil, err
}

var errStranger = errors.New("an unknown host key")

// handshake connects and speaks until both sides know each other. Its errors are Retry/Unreachable unless they end in config's own.
func handshake(ctx context.Context, at place, config *ssh.ClientConfig, hop *ssh.Client) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeLimit)
	defer cancel()
	var raw net.Conn
	var err error
	if hop != nil {
		raw, err = hop.DialContext(ctx, "tcp", at.address())
	} else {
		raw, err = (&net.Dialer{}).DialContext(ctx, "tcp", at.address())
	}
	if err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "connecting to %s: %w", at.address(), bare(err))
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, channels, requests, err := ssh.NewClientConn(raw, at.address(), config)
	if !stop() && err == nil { // it was closed in the very last moment
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("it accepted the connection and did not answer: %w", ctx.Err())
		}
		return nil, fault.New(fault.Retry, fault.ReasonUnreachable, "speaking SSH with %s: %w", at.address(), err)
	}
	return ssh.NewClient(conn, channels, requests), nil
}

// bare leaves out what a net.OpError repeats of the address.
func bare(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// pins are the host keys that a machine is known by.
type pins []ssh.PublicKey

func parsePins(lines []string) (pins, error) {
	var all pins
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "%.60q is no host key", line)
		}
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "nothing is known to tell the machine from another: its host keys are not pinned")
	}
	return all, nil
}

func (p pins) has(key ssh.PublicKey) bool {
	return slices.ContainsFunc(p, func(known ssh.PublicKey) bool {
		return known.Type() == key.Type() && string(known.Marshal()) == string(key.Marshal())
	})
}

func (p pins) types() []string {
	var all []string
	for _, key := range p {
		all = append(all, key.Type())
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// algorithms asks the server for keys that can be compared: a second kind of key beside the known one is no stranger.
func (p pins) algorithms() []string {
	var all []string
	for _, name := range p.types() {
		if name == ssh.KeyAlgoRSA {
			all = append(all, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		all = append(all, name)
	}
	return all
}
