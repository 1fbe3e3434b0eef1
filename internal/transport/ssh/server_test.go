package ssh_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/ssh"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

// sshd is an SSH server in this process that runs commands with this machine's shell, and has the faults of a bad one.
type sshd struct {
	t        *testing.T
	listener net.Listener
	config   *gossh.ServerConfig
	hostKey  string
	key      []byte
	mute     atomic.Bool // accepts and says nothing

	mu       sync.Mutex
	conns    []net.Conn
	logins   int
	refusing int // sessions to refuse
}

func newSSHD(t *testing.T) *sshd {
	t.Helper()
	hostPrivate, hostPublic := newKey(t)
	private, public := newKey(t)
	signer, err := gossh.ParsePrivateKey(hostPrivate)
	if err != nil {
		t.Fatal(err)
	}
	s := &sshd{t: t, hostKey: hostPublic, key: private}
	s.config = &gossh.ServerConfig{PublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
		if strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key))) != public {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	s.config.AddHostKey(signer)
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	go s.serve()
	t.Cleanup(func() { _ = s.listener.Close(); s.cut() })
	return s
}

func (s *sshd) serve() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, raw)
		s.mu.Unlock()
		if !s.mute.Load() {
			go s.talk(raw)
		}
	}
}

// cut breaks every connection.
func (s *sshd) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

func (s *sshd) talk(raw net.Conn) {
	conn, channels, requests, err := gossh.NewServerConn(raw, s.config)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	go gossh.DiscardRequests(requests)
	for wanted := range channels {
		s.mu.Lock()
		refuse := s.refusing > 0
		if refuse {
			s.refusing--
		}
		s.mu.Unlock()
		if refuse {
			_ = wanted.Reject(gossh.ConnectionFailed, "open failed")
			continue
		}
		channel, requests, err := wanted.Accept()
		if err == nil {
			go s.session(channel, requests)
		}
	}
	_ = conn.Close()
}

func (s *sshd) session(channel gossh.Channel, requests <-chan *gossh.Request) {
	defer func() { _ = channel.Close() }()
	for request := range requests {
		if request.Type != "exec" {
			_ = request.Reply(false, nil)
			continue
		}
		var wanted struct{ Line string }
		_ = gossh.Unmarshal(request.Payload, &wanted)
		run := exec.Command("sh", "-c", wanted.Line)
		run.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		run.WaitDelay = 100 * time.Millisecond
		run.Stdout, run.Stderr = channel, channel.Stderr()
		stdin, _ := run.StdinPipe()
		_ = request.Reply(run.Start() == nil, nil)
		go func() { _, _ = io.Copy(stdin, channel); _ = stdin.Close() }()
		_ = run.Wait()
		status := run.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			name := map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGTERM: "TERM"}[status.Signal()]
			_, _ = channel.SendRequest("exit-signal", false, gossh.Marshal(struct {
				Signal      string
				Core        bool
				Error, Lang string
			}{Signal: name}))
			return
		}
		_, _ = channel.SendRequest("exit-status", false, gossh.Marshal(struct{ Code uint32 }{uint32(status.ExitStatus())}))
		return
	}
}

func (s *sshd) access() transport.Access {
	return transport.Access{Transport: transport.SSH, Address: "127.0.0.1", Port: int32(s.listener.Addr().(*net.TCPAddr).Port)}
}

func (s *sshd) credentials() transport.Credentials {
	return transport.Credentials{PrivateKey: s.key, HostKeys: []string{s.hostKey}}
}

func (s *sshd) open(t *testing.T, pool *ssh.Pool) transport.Transport {
	t.Helper()
	tr, err := pool.Open(t.Context(), s.access(), s.credentials())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

func TestContract(t *testing.T) {
	s, pool := newSSHD(t), &ssh.Pool{}
	t.Cleanup(pool.Close)
	transporttest.Run(t, func(t *testing.T) transport.Transport { return s.open(t, pool) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins != 1 {
		t.Errorf("%d logins for one machine", s.logins)
	}
}

func echo(t *testing.T, tr transport.Transport) error {
	t.Helper()
	result, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"echo", "here"}})
	if err == nil && string(result.Stdout) != "here\n" {
		t.Errorf("it said %q", result.Stdout)
	}
	return err
}

// TestFaults: what a connection's end means depends on when it comes.
func TestFaults(t *testing.T) {
	t.Run("cut before a command", func(t *testing.T) {
		s, pool := newSSHD(t), &ssh.Pool{}
		defer pool.Close()
		tr := s.open(t, pool)
		if err := echo(t, tr); err != nil {
			t.Fatal(err)
		}
		s.cut()
		for range 3 { // the end may be noticed only after the command was sent, and then nobody knows
			if err := echo(t, tr); err == nil {
				return
			} else if c := fault.ClassOf(err); c != fault.Unknown && c != fault.Retry {
				t.Fatal(err)
			}
		}
		t.Error("no connection was made anew")
	})
	t.Run("cut in a command", func(t *testing.T) {
		s, pool := newSSHD(t), &ssh.Pool{}
		defer pool.Close()
		tr := s.open(t, pool)
		time.AfterFunc(300*time.Millisecond, s.cut)
		_, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"sleep", "5"}})
		if fault.ClassOf(err) != fault.Unknown {
			t.Errorf("%v", err)
		}
	})
	t.Run("too many sessions", func(t *testing.T) {
		s, pool := newSSHD(t), &ssh.Pool{}
		defer pool.Close()
		tr := s.open(t, pool)
		s.mu.Lock()
		s.refusing = 5
		s.mu.Unlock()
		if err := echo(t, tr); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.refusing = 1000
		s.mu.Unlock()
		if err := echo(t, tr); fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnreachable {
			t.Errorf("%v", err)
		}
	})
	t.Run("accepts and is silent", func(t *testing.T) {
		s, pool := newSSHD(t), &ssh.Pool{}
		defer pool.Close()
		s.mute.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := pool.Open(ctx, s.access(), s.credentials())
		if fault.ReasonOf(err) != fault.ReasonUnreachable || !strings.Contains(err.Error(), "did not answer") {
			t.Errorf("%v", err)
		}
	})
	t.Run("another key or host key", func(t *testing.T) {
		s, pool := newSSHD(t), &ssh.Pool{}
		defer pool.Close()
		other, _ := newKey(t)
		_, host := newKey(t)
		for reason, with := range map[fault.Reason]transport.Credentials{
			fault.ReasonUnauthenticated: {PrivateKey: other, HostKeys: []string{s.hostKey}},
			fault.ReasonHostKeyChanged:  {PrivateKey: s.key, HostKeys: []string{host}},
		} {
			if _, err := pool.Open(t.Context(), s.access(), with); fault.ReasonOf(err) != reason || !fault.IsTerminal(err) {
				t.Errorf("%v", err)
			}
		}
		keys, err := pool.HostKeys(t.Context(), s.access(), transport.Credentials{})
		if err != nil || len(keys) != 1 || keys[0] != s.hostKey {
			t.Errorf("%q, %v", keys, err)
		}
	})
}
