package ssh

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
)

// kinds of host keys that are asked for, one connection each: a server shows one key a connection.
var kinds = [][]string{
	{ssh.KeyAlgoED25519},
	{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
	{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
}

var errSeen = errors.New("seen")

// scan returns the host keys that a server has, without logging in.
func scan(ctx context.Context, at place, hop *ssh.Client) ([]string, error) {
	var lines []string
	for _, algorithms := range kinds {
		var shown ssh.PublicKey
		config := &ssh.ClientConfig{
			User: at.user, HostKeyAlgorithms: algorithms,
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				shown = key
				return errSeen
			},
		}
		client, err := handshake(ctx, at, config, hop)
		var negotiation *ssh.AlgorithmNegotiationError
		switch {
		case err == nil:
			_ = client.Close() // it cannot be: the callback refuses
		case shown != nil:
			lines = append(lines, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shown))))
		case !errors.As(err, &negotiation):
			return nil, err
		}
	}
	if len(lines) == 0 {
		return nil, fault.New(fault.Terminal, fault.ReasonPlatform, "%s has no host key of a kind that is known here", at.address())
	}
	slices.Sort(lines)
	return lines, nil
}
