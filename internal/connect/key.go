package connect

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// NewKey makes an Ed25519 key: the private half in OpenSSH's form, the public half as a line of authorized_keys.
func NewKey(comment string) (private []byte, public string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, "", err
	}
	private = pem.EncodeToMemory(block)
	public, err = PublicKey(private, comment)
	return private, public, err
}

// PublicKey returns the public half of a private key, as a line of authorized_keys. Terminal/Unauthenticated: nobody can use the key.
func PublicKey(private []byte, comment string) (string, error) {
	signer, err := ssh.ParsePrivateKey(private)
	if locked := (*ssh.PassphraseMissingError)(nil); errors.As(err, &locked) {
		return "", fault.New(fault.Terminal, fault.ReasonUnauthenticated, "the private key has a passphrase, which nobody is there to type: use a key without one")
	} else if err != nil {
		return "", fault.New(fault.Terminal, fault.ReasonUnauthenticated, "the private key cannot be read: want PEM or OpenSSH form")
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " " + comment, nil
}

// HostKeysOf asks a host of a Provider's pool for its host keys, without logging in there.
func (c Connector) HostKeysOf(ctx context.Context, p *v1alpha1.Provider, h v1alpha1.Host) ([]string, error) {
	access := transport.Access{Transport: transport.SSH, Host: h.Address, Port: h.Port, User: h.User}
	var with transport.Credentials
	if p.Spec.Access != nil && p.Spec.Access.Jump != nil {
		j := p.Spec.Access.Jump
		access.Jump = &transport.Hop{Host: j.Address, Port: j.Port, User: j.User, HostKeys: j.HostKeys}
		key, err := c.Keys.Private(ctx, p.Namespace, SecretOf(p))
		if err != nil {
			return nil, err
		}
		with.PrivateKey = key
	}
	return c.Dialer.HostKeys(ctx, access, with)
}
