package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// machine plays a Process server: a directory, an address of its own and nothing else. Whatever still carries its id when the
// test ends is killed, as deleting such a server does.
type machine struct {
	t       *testing.T
	root    string
	address string
	id      string
	path    string // PATH; the test's own when empty
	runs    int
}

var machines atomic.Int32

func newMachine(t *testing.T) *machine {
	address := fmt.Sprintf("127.77.%d.%d", os.Getpid()%250+1, machines.Add(1))
	m := &machine{t: t, root: t.TempDir(), address: address, id: "catalog-test-" + strconv.Itoa(os.Getpid()) + "-" + address}
	t.Cleanup(func() {
		for _, pid := range m.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return m
}

// run runs a script as the runner does, holding a lock as it does, and returns its exit code and stderr.
func (m *machine) run(script Script) (int, string) {
	m.t.Helper()
	m.runs++
	dir := m.t.TempDir()
	for name, text := range script.Files {
		m.write(filepath.Join(dir, "inputs", name), text)
	}
	m.write(filepath.Join(dir, "script"), []byte(script.Body))
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command("sh", filepath.Join(dir, "script"))
	cmd.Dir = dir
	path := m.path
	if path == "" {
		path = os.Getenv("PATH")
	}
	cmd.Env = []string{"PATH=" + path, "HOME=" + m.root, "LANG=C.UTF-8", "KEELWAY_ROOT=" + m.root, "KEELWAY_ADDRESS=" + m.address,
		"KEELWAY_SERVER=" + m.id, "KEELWAY_RUN=" + dir}
	for name, value := range script.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stderr bytes.Buffer
	cmd.Stderr, cmd.Stdout = &stderr, &stderr
	cmd.ExtraFiles = []*os.File{lock}
	cmd.WaitDelay = time.Second // a daemon that keeps our pipe makes Wait fail with ErrWaitDelay
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("running script: %v\n%s", err, stderr.String())
	}
	m.wantUnlocked(lock)
	if _, err := os.Stat(filepath.Join(dir, "work")); err == nil {
		m.t.Errorf("the script left its work directory behind")
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// wantUnlocked fails when a daemon inherited the lock: no second run would ever start on that machine.
func (m *machine) wantUnlocked(lock *os.File) {
	m.t.Helper()
	name := lock.Name()
	lock.Close()
	again, err := os.Open(name)
	if err != nil {
		m.t.Fatal(err)
	}
	defer again.Close()
	for range 40 { // another test's child has our files, too, between its fork and its exec
		if err = syscall.Flock(int(again.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Errorf("a process that the script started holds the machine's lock: %v", err)
}

// want runs a script and fails unless it exits with code.
func (m *machine) want(what string, script Script, code int) string {
	m.t.Helper()
	got, stderr := m.run(script)
	if got != code {
		m.t.Fatalf("%s on %s: exit %d, want %d\n%s", what, m.address, got, code, stderr)
	}
	return stderr
}

func (m *machine) write(path string, text []byte) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// tree lists what is below the root with modes and modification times, so that two of them can be compared.
func (m *machine) tree() []string {
	m.t.Helper()
	var all []string
	err := filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == m.root {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(path, m.root) + " " + info.Mode().String()
		if !d.IsDir() {
			line += " " + info.ModTime().Format(time.RFC3339Nano)
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// processes are the ids of living processes that carry the machine's id in their environment.
func (m *machine) processes() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00KEELWAY_SERVER="+m.id+"\x00")) {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	return pids
}

// lastLine is what a person reads first: the root cause.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
