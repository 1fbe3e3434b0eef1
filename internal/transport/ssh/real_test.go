package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/ssh"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

// newKey returns a private key and its line for authorized_keys.
func newKey(t *testing.T) (private []byte, public string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey())))
}

// server is a Debian with its own SSH server, a root who may log in by key and a user who may use sudo.
type server struct {
	*debian.Machine
	key []byte
}

func newServer(t *testing.T) *server {
	t.Helper()
	d := &server{Machine: debian.Start(t)}
	private, public := newKey(t)
	for _, user := range []string{"root", "admin", "plain"} {
		d.Authorize(t, user, public)
	}
	d.key = private
	return d
}

func (d *server) access(user string) transport.Access {
	return transport.Access{Transport: transport.SSH, Address: "127.0.0.1", Port: d.SSHPort, User: user, Sudo: user != "root"}
}

// keys waits for the SSH server.
func (d *server) keys(t *testing.T, pool *ssh.Pool) []string {
	t.Helper()
	for range 100 {
		if keys, err := pool.HostKeys(t.Context(), d.access("root"), transport.Credentials{}); err == nil {
			return keys
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("its SSH server does not answer")
	return nil
}

func TestRealDebian(t *testing.T) {
	d := newServer(t)
	pool := &ssh.Pool{}
	t.Cleanup(pool.Close)
	keys := d.keys(t, pool)
	if len(keys) != 3 {
		t.Errorf("host keys of three kinds are asked for: %q", keys)
	}
	with := transport.Credentials{PrivateKey: d.key, HostKeys: keys}
	for name, access := range map[string]transport.Access{"root": d.access("root"), "sudo": d.access("admin"), "jump": func() transport.Access {
		a := d.access("root")
		a.Host, a.Port = "127.0.0.1", 22 // from inside of the container
		a.Jump = &transport.Hop{Host: "127.0.0.1", Port: d.SSHPort, User: "admin", HostKeys: keys}
		return a
	}()} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) transport.Transport {
				tr, err := pool.Open(t.Context(), access, with)
				if err != nil {
					t.Fatal(err)
				}
				return tr
			})
		})
	}
	t.Run("each kind of key alone", func(t *testing.T) {
		for _, key := range keys {
			tr, err := pool.Open(t.Context(), d.access("root"), transport.Credentials{PrivateKey: d.key, HostKeys: []string{key}})
			if err != nil {
				t.Errorf("%.20s: %v", key, err)
				continue
			}
			_ = tr.Close()
		}
	})
	t.Run("refusals", func(t *testing.T) { refusals(t, d, pool, with) })
	t.Run("a broken connection is made anew", func(t *testing.T) {
		tr, err := pool.Open(t.Context(), d.access("root"), with)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tr.Close() }()
		d.Shell(t, `pkill -f "[s]shd: root@notty"`)
		result, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"echo", "again"}})
		for range 50 { // the break may be noticed only by the first command, whose outcome is then unknown
			if err == nil {
				break
			}
			result, err = tr.Exec(t.Context(), transport.Command{Argv: []string{"echo", "again"}})
		}
		if err != nil || string(result.Stdout) != "again\n" {
			t.Errorf("%q, %v", result.Stdout, err)
		}
	})
}

func refusals(t *testing.T, d *server, pool *ssh.Pool, with transport.Credentials) {
	otherKey, _ := newKey(t)
	_, otherHost := newKey(t)
	sealed := func() []byte {
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		block, err := gossh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(block)
	}()
	closed := d.access("root")
	closed.Port = 1
	tests := map[string]struct {
		access transport.Access
		with   transport.Credentials
		class  fault.Class
		reason fault.Reason
		says   string
	}{
		"another key":      {d.access("root"), transport.Credentials{PrivateKey: otherKey, HostKeys: with.HostKeys}, fault.Terminal, fault.ReasonUnauthenticated, "refuses the key ssh-ed25519 SHA256:"},
		"unknown user":     {d.access("nobody-here"), with, fault.Terminal, fault.ReasonUnauthenticated, "nobody-here@127.0.0.1:"},
		"a passphrase":     {d.access("root"), transport.Credentials{PrivateKey: sealed, HostKeys: with.HostKeys}, fault.Terminal, fault.ReasonUnauthenticated, "passphrase"},
		"no key":           {d.access("root"), transport.Credentials{PrivateKey: []byte("canary"), HostKeys: with.HostKeys}, fault.Terminal, fault.ReasonUnauthenticated, "cannot be read"},
		"another host key": {d.access("root"), transport.Credentials{PrivateKey: d.key, HostKeys: []string{otherHost}}, fault.Terminal, fault.ReasonHostKeyChanged, "shows the host key ssh-ed25519 SHA256:"},
		"no host key":      {d.access("root"), transport.Credentials{PrivateKey: d.key}, fault.Terminal, fault.ReasonInvalid, "not pinned"},
		"nobody listens":   {closed, with, fault.Retry, fault.ReasonUnreachable, "connecting to 127.0.0.1:1: connect: connection refused"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := pool.Open(t.Context(), tc.access, tc.with)
			if err == nil || fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v %v: %v", fault.ClassOf(err), fault.ReasonOf(err), err)
			}
		})
	}
	plain := d.access("plain")
	tr, err := pool.Open(t.Context(), plain, with)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tr.Close() }()
	if _, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"true"}}); fault.ReasonOf(err) != fault.ReasonUnauthorized || !strings.Contains(err.Error(), "sudo") {
		t.Errorf("a user who may not use sudo: %v", err)
	}
}
