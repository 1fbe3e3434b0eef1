package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var machines atomic.Int64

// machine is a Process server of the test's own. What still runs on it at the end is killed.
type machine struct {
	transport.Transport
	id, root string
}

func newMachine(t *testing.T) machine {
	t.Helper()
	id := fmt.Sprintf("test-%d-%d", os.Getpid(), machines.Add(1))
	root := filepath.Join(t.TempDir(), id)
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	m := machine{id: id, root: root}
	m.Transport = m.dial(t)
	t.Cleanup(func() {
		for range 100 {
			living := m.processes()
			for _, pid := range living {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if len(living) == 0 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return m
}

// dial opens another client, as an operator does after its restart.
func (m machine) dial(t *testing.T) transport.Transport {
	t.Helper()
	tr, err := process.New(transport.Access{Transport: transport.Process, Target: m.root, Address: "127.9.9.9"})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// processes are the living processes of the machine.
func (m machine) processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if slices.Contains(strings.Split(string(environ), "\x00"), "KEELWAY_SERVER="+m.id) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (m machine) path(id string, names ...string) string {
	return filepath.Join(append([]string{m.root, "var/lib/keelway/runs", id}, names...)...)
}

// exists reports whether a script has left a file of that name in the machine's root.
func (m machine) exists(name string) bool {
	_, err := os.Stat(filepath.Join(m.root, name))
	return err == nil
}

func (m machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (m machine) start(t *testing.T, id string, script runner.Script) {
	t.Helper()
	if err := runner.Start(t.Context(), m, id, script); err != nil {
		t.Fatal(err)
	}
}

func (m machine) poll(t *testing.T, id string, redact ...string) runner.Status {
	t.Helper()
	status, err := runner.Poll(t.Context(), m, id, redact...)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// await polls until the run is in the state, for at most a minute.
func (m machine) await(t *testing.T, id string, state runner.State, redact ...string) runner.Status {
	t.Helper()
	var status runner.Status
	defer func() {
		if status.State != state {
			t.Logf("run %s is left as %+v", id, status)
		}
	}()
	eventually(t, fmt.Sprintf("run %s is %s", id, state), func() bool {
		status = m.poll(t, id, redact...)
		return status.State == state
	})
	return status
}

// run starts a script and waits for its end.
func (m machine) run(t *testing.T, id string, script runner.Script) runner.Status {
	t.Helper()
	m.start(t, id, script)
	return m.await(t, id, runner.Exited, script.Redact...)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 2400 {
		if holds() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// kill ends the process that a file of the run identifies.
func kill(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
