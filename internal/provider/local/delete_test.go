//go:build linux

package local_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// process starts a child that answers "ready" and then waits; its end is told on the channel.
func process(t *testing.T, script string, env ...string) (*exec.Cmd, <-chan syscall.WaitStatus) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	go func() {
		_ = cmd.Wait()
		ended <- cmd.ProcessState.Sys().(syscall.WaitStatus)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, ended
}

const (
	patient  = `echo ready; exec sleep 600`
	stubborn = `trap "" TERM; echo ready; while :; do sleep 600 & wait; done`
)

// clock is a time that moves only when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time            { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) Move(by time.Duration)     { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(by) }
func underWay(err error) bool              { return err == nil }
func running(cmd *exec.Cmd) bool           { return cmd.Process.Signal(syscall.Signal(0)) == nil }
func exists(path string) bool              { _, err := os.Lstat(path); return err == nil }
func signalOf(s syscall.WaitStatus) any    { return s.Signal() }
func serverDir(i provider.Instance) string { return filepath.Dir(i.Access.Target) }

func TestDeleteEndsProcesses(t *testing.T) {
	c := &clock{now: time.Now()}
	dir := t.TempDir()
	p := open(t, dir, "i", c.Now)
	ctx := context.Background()
	made, other := mustCreate(t, p, machine("a", "1")), mustCreate(t, p, machine("b", "2"))
	mine := "KEELWAY_SERVER=" + made.ID
	_, gentle := process(t, patient, "A=b", mine)
	hard, hardEnd := process(t, stubborn, mine)
	bystanders := map[string]*exec.Cmd{}
	for name, env := range map[string][]string{
		"another server's": {"KEELWAY_SERVER=" + other.ID},
		"longer":           {mine + "x"},
		"shorter":          {mine[:len(mine)-1]},
		"other variable":   {"X" + mine},
		"inside a value":   {"NOTE=see " + mine},
		"none":             nil,
	} {
		bystanders[name], _ = process(t, patient, env...)
	}

	if err := p.Delete(ctx, made.ID); !underWay(err) {
		t.Fatalf("with processes alive the deletion is under way: %v", err)
	}
	if got := <-gentle; signalOf(got) != syscall.SIGTERM {
		t.Errorf("asked first: %v", got)
	}
	// A new operator goes on from the durable mark.
	p = open(t, dir, "i", c.Now)
	c.Move(4 * time.Second)
	if err := p.Delete(ctx, made.ID); !underWay(err) || !running(hard) {
		t.Fatalf("within the grace nobody is killed: %v", err)
	}
	if got, err := p.Get(ctx, made.ID); err != nil || got.State != provider.Terminating || got.Access.Target != "" || !exists(made.Access.Target) {
		t.Errorf("until then it is terminating, with its directory: %+v %v", got, err)
	}
	c.Move(2 * time.Second)
	if err := p.Delete(ctx, made.ID); !underWay(err) {
		t.Fatalf("killed, and looked at again later: %v", err)
	}
	if got := <-hardEnd; signalOf(got) != syscall.SIGKILL {
		t.Errorf("then killed: %v", got)
	}
	for err := error(nil); !fault.IsGone(err); { // its own child `sleep` may still be dying
		if err = p.Delete(ctx, made.ID); err != nil && !fault.IsGone(err) {
			t.Fatal(err)
		}
	}
	if exists(serverDir(made)) {
		t.Error("the directory is still there")
	}
	for name, cmd := range bystanders {
		if !running(cmd) {
			t.Errorf("a process with KEELWAY_SERVER %s was ended", name)
		}
	}
}

// I13: what a server's directory holds or points to never leads a deletion out of it.
func TestDeleteStaysInside(t *testing.T) {
	outside := t.TempDir()
	treasure := filepath.Join(outside, "treasure")
	if err := os.WriteFile(treasure, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := open(t, t.TempDir(), "i", nil)
	made := mustCreate(t, p, machine("a", "1"))
	closed := filepath.Join(made.Access.Target, "closed", "deep")
	must(t, os.MkdirAll(closed, 0o700), os.Symlink(outside, filepath.Join(made.Access.Target, "way-out")),
		os.WriteFile(filepath.Join(closed, "f"), nil, 0o400), os.Symlink(outside, filepath.Join(closed, "up")),
		os.Chmod(closed, 0), os.Chmod(filepath.Dir(closed), 0o500))
	mustEnd(t, p, made.ID)
	if !exists(treasure) || exists(serverDir(made)) {
		t.Errorf("treasure there: %v, server there: %v", exists(treasure), exists(serverDir(made)))
	}

	t.Run("root replaced by a link", func(t *testing.T) {
		made := mustCreate(t, p, machine("b", "2"))
		must(t, os.Remove(made.Access.Target), os.Symlink(outside, made.Access.Target))
		mustEnd(t, p, made.ID)
		if !exists(treasure) {
			t.Error("the link was followed")
		}
	})
	t.Run("server replaced by a link", func(t *testing.T) {
		made := mustCreate(t, p, machine("c", "3"))
		must(t, os.Rename(serverDir(made), filepath.Join(outside, "moved")), os.Symlink(filepath.Join(outside, "moved"), serverDir(made)))
		if err := p.Delete(context.Background(), made.ID); !fault.IsTerminal(err) {
			t.Errorf("got %v", err)
		}
		if !exists(filepath.Join(outside, "moved", "server.json")) {
			t.Error("the link was followed")
		}
		must(t, os.Remove(serverDir(made)))
	})
}

// I13: a directory that does not say who it is, or says that it is somebody else, is left alone and never counted as absent.
func TestForeignDirectories(t *testing.T) {
	ctx := context.Background()
	tests := map[string]struct {
		reason string
		spoil  func(t *testing.T, one, other string)
	}{
		"damaged": {"a half-written file tells nothing", func(t *testing.T, one, _ string) {
			must(t, os.Truncate(filepath.Join(one, "server.json"), 20))
		}},
		"another key": {"the directory is named for its key", func(t *testing.T, one, _ string) {
			file := filepath.Join(one, "server.json")
			data, err := os.ReadFile(file)
			must(t, err, os.WriteFile(file, bytes.ReplaceAll(data, []byte("key-1"), []byte("key-7")), 0o600))
		}},
		"another's": {"a copied file is another server's", func(t *testing.T, one, other string) {
			data, err := os.ReadFile(filepath.Join(other, "server.json"))
			must(t, err, os.WriteFile(filepath.Join(one, "server.json"), data, 0o600))
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := open(t, t.TempDir(), "i", nil)
			one, other := mustCreate(t, p, machine("a", "1")), mustCreate(t, p, machine("b", "2"))
			tc.spoil(t, serverDir(one), serverDir(other))
			_, createErr := p.Create(ctx, machine("a", "1"))
			_, getErr := p.Get(ctx, one.ID)
			_, listErr := p.List(ctx, provider.Owner{Installation: "i"})
			for verb, err := range map[string]error{"create": createErr, "get": getErr, "delete": p.Delete(ctx, one.ID), "list": listErr} {
				if !fault.IsTerminal(err) {
					t.Errorf("%s, %s: got %v", tc.reason, verb, err)
				}
			}
			if !exists(one.Access.Target) {
				t.Error("it was removed")
			}
			mustEnd(t, p, other.ID)
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
