package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// home is the directory of one demo, watched by a guard: a process that outlives us and clears up what a SIGKILL would leave,
// since what runs on Process servers is a daemon and dies with nobody.
type home struct {
	dir   string
	alive *os.File // closed when we end, by whatever way
	guard *exec.Cmd
}

// guardVerb is the argument that makes this program a guard.
const guardVerb = "guard"

const homePrefix = "keelway-demo-"

func makeHome() (*home, error) {
	dir, err := os.MkdirTemp("", homePrefix)
	if err != nil {
		return nil, fmt.Errorf("making a directory for the demo: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil { // residents compare paths
		return nil, fmt.Errorf("making a directory for the demo: %w", err)
	}
	h := &home{dir: dir}
	if err := h.post(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("posting a guard: %w", err)
	}
	return h, nil
}

// post starts the guard in a session of its own, where neither Ctrl-C nor the end of the terminal reaches it.
func (h *home) post() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	watched, alive, err := os.Pipe()
	if err != nil {
		return err
	}
	defer watched.Close()
	h.guard = exec.Command(self, guardVerb, h.dir)
	h.guard.Stdin = watched
	h.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := h.guard.Start(); err != nil {
		return errors.Join(err, alive.Close())
	}
	h.alive = alive
	return nil
}

// leave ends what lives here and removes the directory.
func (h *home) leave() error {
	err := clearUp(h.dir)
	_ = h.alive.Close()
	_ = h.guard.Wait() // it finds nothing left to do
	return err
}

// clearUp is what both we and the guard do.
func clearUp(dir string) error {
	left := evict(filepath.Join(dir, "servers"))
	err := errors.Join(clearContainers(dir), os.RemoveAll(dir))
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("processes of the demo's servers do not end: %v", left))
	}
	return err
}

// guard waits until the demo has ended and then clears up.
func guard(dir string) error {
	if !strings.HasPrefix(filepath.Base(dir), homePrefix) { // somebody's hand, not ours
		return fmt.Errorf("%s is no directory of a demo", dir)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	time.Sleep(200 * time.Millisecond) // the demo's other children die with it, and this is quicker than they start anything
	return clearUp(dir)
}
