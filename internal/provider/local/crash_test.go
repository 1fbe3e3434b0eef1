//go:build linux

package local_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Whatever a crash between two system calls left behind, the same Create and the same Delete find their way.
func TestCreateAfterCrash(t *testing.T) {
	tests := map[string]struct {
		reason string
		leave  func(t *testing.T, draft, final string)
	}{
		"draft made": {"an empty draft means nothing", func(t *testing.T, draft, _ string) { must(t, os.Mkdir(draft, 0o700)) }},
		"root made":  {"a draft without a name means nothing", func(t *testing.T, draft, _ string) { must(t, os.MkdirAll(draft+"/root", 0o700)) }},
		"metadata written": {"a draft was shown to nobody", func(t *testing.T, draft, _ string) {
			must(t, os.MkdirAll(draft+"/root", 0o700), os.WriteFile(draft+"/server.json", []byte(`{"ID":`), 0o600))
		}},
		"end nearly done": {"an empty directory is what a removal left last", func(t *testing.T, _, final string) { must(t, os.Mkdir(final, 0o700)) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := open(t, t.TempDir(), "i", nil)
			seen := mustCreate(t, p, machine("a", "1"))
			final := serverDir(seen)
			mustEnd(t, p, seen.ID)
			tc.leave(t, filepath.Join(filepath.Dir(final), ".new-"+filepath.Base(final)), final)
			if got, err := p.List(context.Background(), provider.Owner{Installation: "i"}); err != nil || len(got) != 0 {
				t.Errorf("%s: listed %v, %v", tc.reason, got, err)
			}
			made := mustCreate(t, p, machine("a", "1"))
			if serverDir(made) != final || made.Access.Address != seen.Access.Address {
				t.Errorf("%s: %+v is not where %+v was", tc.reason, made, seen)
			}
			mustEnd(t, p, made.ID)
			if left, _ := os.ReadDir(filepath.Dir(final)); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestDeleteAfterCrash(t *testing.T) {
	tests := map[string]struct {
		reason string
		leave  func(t *testing.T, dir, target string)
	}{
		"marking":      {"the draft of a mark is no mark", func(t *testing.T, dir, _ string) { must(t, os.WriteFile(dir+"/.new-server.json", nil, 0o600)) }},
		"root removed": {"the rest goes too", func(t *testing.T, _, target string) { must(t, os.Remove(target)) }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := open(t, t.TempDir(), "i", nil)
			made := mustCreate(t, p, machine("a", "1"))
			tc.leave(t, serverDir(made), made.Access.Target)
			if got := mustCreate(t, p, machine("a", "1")); got.ID != made.ID {
				t.Errorf("%s: while server.json is there, the key and its address are taken", tc.reason)
			}
			mustEnd(t, p, made.ID)
			if exists(serverDir(made)) {
				t.Errorf("%s: left behind", tc.reason)
			}
		})
	}
}

// Another process at work in the state directory is waited for, not waited in.
func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, "i", nil)
	made := mustCreate(t, p, machine("a", "1"))
	held, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	must(t, err, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
	_, err = p.Create(context.Background(), machine("b", "2"))
	if !fault.IsWait(err) || fault.AfterOf(err) == 0 {
		t.Errorf("creating: %v", err)
	}
	if err := p.Delete(context.Background(), made.ID); !fault.IsWait(err) {
		t.Errorf("deleting: %v", err)
	}
	if got, err := p.Get(context.Background(), made.ID); err != nil || got.State != provider.Running {
		t.Errorf("looking needs no lock: %+v %v", got, err)
	}
	must(t, held.Close())
	mustCreate(t, p, machine("b", "2"))
	mustEnd(t, p, made.ID)
}

// Two keys whose first choice is the same address get different ones, and the claim of the first lasts as long as it does.
func TestAddressCollision(t *testing.T) {
	p := open(t, t.TempDir(), "i", nil)
	made := mustCreate(t, p, machine("a", "1"))
	mustEnd(t, p, made.ID)
	// A server of another key claims the first choice of key 1.
	other := mustCreate(t, p, machine("b", "2"))
	otherFile := filepath.Join(serverDir(other), "server.json")
	theirs, err := os.ReadFile(otherFile)
	must(t, err, os.WriteFile(otherFile, bytes.ReplaceAll(theirs, []byte(other.Access.Address), []byte(made.Access.Address)), 0o600))
	again := mustCreate(t, p, machine("a", "1"))
	if again.Access.Address == made.Access.Address {
		t.Errorf("address %s was given twice", again.Access.Address)
	}
	mustEnd(t, p, other.ID)
	mustEnd(t, p, again.ID)
	if free := mustCreate(t, p, machine("a", "1")); free.Access.Address != made.Access.Address {
		t.Errorf("the first choice is free again, got %s", free.Access.Address)
	}
}
