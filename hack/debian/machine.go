package debian

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Shape is how a container has to be run for systemd to start in it: for `docker run` here, and for a Provider's local.docker.
var Shape = struct {
	Command, AddCapabilities, DropCapabilities, SecurityOptions, Tmpfs []string
	Environment                                                        map[string]string
	Volumes                                                            map[string]string // path in the container → path of the Engine's machine
}{
	Command:         []string{"/sbin/init"},
	AddCapabilities: []string{"ALL"}, DropCapabilities: []string{"SYS_RESOURCE"},
	SecurityOptions: []string{"seccomp=unconfined", "apparmor=unconfined"},
	Tmpfs:           []string{"/run", "/run/lock", "/tmp"},
	Environment:     map[string]string{"container": "docker"},
	Volumes:         map[string]string{"/sys/fs/cgroup": "/sys/fs/cgroup"},
}

// Required says whether a missing lab is a failure, and Wanted whether real servers are to be used at all: plain `make test` is the
// same on every machine.
func Required() bool { return os.Getenv("KEELWAY_REQUIRE_REAL") == "1" }

// Wanted: see Required.
func Wanted() bool { return Required() || os.Getenv("KEELWAY_REAL") == "1" }

var prepared = sync.OnceValues(func() (string, error) {
	if err := answers(context.Background()); err != nil {
		return "", fmt.Errorf("%w: %w: start it, or run the tests by make test-real", ErrLacking, err)
	}
	return Image(context.Background(), os.Stderr)
})

// Require returns the image's name. It skips the test where real servers are not wanted or cannot be had; where they are required
// that is a failure.
func Require(t testing.TB) string {
	t.Helper()
	if !Wanted() {
		t.Skip("SKIPPED: real servers are for make test-real")
	}
	image, err := prepared()
	switch {
	case err != nil && Required():
		t.Fatal(err)
	case err != nil:
		t.Skipf("SKIPPED: %v", err)
	}
	return image
}

// Machine is a running Debian server.
type Machine struct {
	ID      string // of its container
	Address string // of the container
	SSHPort int32  // on 127.0.0.1
}

// Start starts a server and waits until systemd has and its SSH server answers. It is removed at the test's end.
func Start(t testing.TB, options ...string) *Machine {
	t.Helper()
	image := Require(t)
	args := []string{"run", "-d", "--label", "keelway-test=" + t.Name(), "--cgroupns", "host", "-p", "127.0.0.1::22"}
	add := func(flag string, values ...string) {
		for _, v := range values {
			args = append(args, flag, v)
		}
	}
	add("--cap-add", Shape.AddCapabilities...)
	add("--cap-drop", Shape.DropCapabilities...)
	add("--security-opt", Shape.SecurityOptions...)
	add("--tmpfs", Shape.Tmpfs...)
	for key, value := range Shape.Environment {
		add("-e", key+"="+value)
	}
	for path, source := range Shape.Volumes {
		add("-v", source+":"+path+":rw")
	}
	args = append(append(append(args, options...), image), Shape.Command...)
	m := &Machine{ID: must(t, args...)}
	t.Cleanup(func() { _, _ = docker(context.Background(), nil, "rm", "-f", "-v", m.ID) })
	m.find(t)
	m.until(t, "its SSH server answers", func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(m.SSHPort))))
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, _ := conn.Read(make([]byte, 4))
		return n == 4 // "SSH-": the port alone is answered by the Engine
	})
	m.until(t, "systemd has started", m.up)
	return m
}

// find looks up what may change with a restart.
func (m *Machine) find(t testing.TB) {
	t.Helper()
	m.Address = must(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", m.ID)
	_, port, err := net.SplitHostPort(must(t, "port", m.ID, "22/tcp"))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	m.SSHPort = int32(number)
}

func (m *Machine) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !is(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			logs, _ := docker(context.Background(), nil, "logs", "--tail", "20", m.ID)
			t.Fatalf("never: %s: %s", what, logs)
		}
	}
}

func must(t testing.TB, args ...string) string {
	t.Helper()
	out, err := docker(context.Background(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Shell runs a script on the server as root, from outside, and returns what it printed. The arguments are $1 and so on.
func (m *Machine) Shell(t testing.TB, script string, args ...string) string {
	t.Helper()
	return must(t, append([]string{"exec", m.ID, "sh", "-euc", script, "sh"}, args...)...)
}

// Authorize lets a user log in by a key: a line of authorized_keys.
func (m *Machine) Authorize(t testing.TB, user, public string) {
	t.Helper()
	m.Shell(t, `home=$(getent passwd "$1" | cut -d: -f6); mkdir -p -m 700 "$home/.ssh"; printf '%s\n' "$2" >>"$home/.ssh/authorized_keys"
		chmod 600 "$home/.ssh/authorized_keys"; chown -R "$1:" "$home/.ssh"`, user, strings.TrimSpace(public))
}

// Pause freezes the server; Unpause lets it go on.
func (m *Machine) Pause(t testing.TB) { t.Helper(); must(t, "pause", m.ID) }

// Unpause: see Pause.
func (m *Machine) Unpause(t testing.TB) { t.Helper(); must(t, "unpause", m.ID) }

// Kill takes the power away.
func (m *Machine) Kill(t testing.TB) { t.Helper(); must(t, "kill", m.ID) }

// Cut is a power cut: every process ends at once, what was in memory is gone, and systemd starts again.
func (m *Machine) Cut(t testing.TB) {
	t.Helper()
	m.Kill(t)
	must(t, "start", m.ID)
	m.until(t, "it has started again", m.up)
}

// up tells whether systemd has started.
func (m *Machine) up() bool {
	state, _ := docker(context.Background(), nil, "exec", m.ID, "sh", "-c", "systemctl is-system-running || :")
	return state == "running" || state == "degraded"
}
