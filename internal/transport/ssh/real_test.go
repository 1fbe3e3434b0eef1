package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

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

// debian is a container with Debian's own SSH server, a root who may log in by key and a user who may use sudo.
type debian struct {
	id   string
	port int32
	key  []byte
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func newDebian(t *testing.T) *debian {
	t.Helper()
	if os.Getenv("KEELWAY_REAL") == "" && os.Getenv("KEELWAY_REQUIRE_REAL") == "" {
		t.Skip("needs a Docker Engine and a Debian image: make test-real")
	}
	private, public := newKey(t)
	d := &debian{key: private}
	d.id = docker(t, "run", "-d", "-p", "127.0.0.1::22", "kw-debian:12", "sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e")
	t.Cleanup(func() { docker(t, "rm", "-f", "-v", d.id) })
	docker(t, "exec", d.id, "sh", "-c", `useradd -m -s /bin/bash admin && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin && useradd -m -s /bin/sh plain
		for home in /root /home/admin /home/plain; do mkdir -p -m 700 $home/.ssh; echo "$0" >$home/.ssh/authorized_keys; chown -R --reference=$home $home/.ssh; done`, public)
	_, port, err := net.SplitHostPort(docker(t, "port", d.id, "22/tcp"))
	if err != nil {
		t.Fatal(err)
	}
	number, _ := strconv.Atoi(port)
	d.port = int32(number)
	return d
}

func (d *debian) access(user string) transport.Access {
	return transport.Access{Transport: transport.SSH, Address: "127.0.0.1", Port: d.port, User: user, Sudo: user != "root"}
}

// keys waits for the SSH server.
func (d *debian) keys(t *testing.T, pool *ssh.Pool) []string {
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
	d := newDebian(t)
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
		a.Jump = &transport.Hop{Host: "127.0.0.1", Port: d.port, User: "admin", HostKeys: keys}
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
		docker(t, "exec", d.id, "pkill", "-f", "sshd: root@notty")
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

func refusals(t *testing.T, d *debian, pool *ssh.Pool, with transport.Credentials) {
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
