package controlplane

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDirectoryHasOneControlPlane(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	first, err := openWorkspace(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openWorkspace(dir); err == nil || !strings.Contains(err.Error(), "another control plane runs in "+dir) {
		t.Errorf("want a refusal that names the directory, got %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	second, err := openWorkspace(dir)
	if err != nil {
		t.Fatalf("a directory given back cannot be taken: %v", err)
	}
	if err := second.close(); err != nil || !exists(dir) {
		t.Errorf("closing gave %v; a directory that somebody named must stay", err)
	}
}

func TestTemporaryDirectoryGoes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w, err := openWorkspace("")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.close(); err != nil || exists(w.dir) {
		t.Errorf("closing gave %v and left %s: %t", err, w.dir, exists(w.dir))
	}
}

func TestAbandonedDirectoriesGo(t *testing.T) {
	parent := t.TempDir()
	cases := map[string]struct {
		reason       string
		age          time.Duration
		lock, locked bool
		stays        bool
	}{
		tempPrefix + "dead":    {"its process was killed", time.Hour, true, false, false},
		tempPrefix + "alive":   {"its control plane runs", time.Hour, true, true, true},
		tempPrefix + "new":     {"its process may be about to lock it", 0, true, false, true},
		tempPrefix + "no-lock": {"it is not certainly ours", time.Hour, false, false, true},
		"somebody-elses":       {"it is not ours", time.Hour, true, false, true},
	}
	for name, tc := range cases {
		path := filepath.Join(parent, name, "lock")
		putFile(t, filepath.Join(parent, name, "data"), "", 0o600)
		if !tc.lock {
			continue
		}
		putFile(t, path, "", 0o600)
		if tc.locked {
			lock, err := tryLock(path)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
		}
		when := time.Now().Add(-tc.age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	removeAbandoned(parent)
	for name, tc := range cases {
		if got := exists(filepath.Join(parent, name)); got != tc.stays {
			t.Errorf("%s (%s): stays is %t, want %t", name, tc.reason, got, tc.stays)
		}
	}
}

func TestPortIsKept(t *testing.T) {
	w := &workspace{dir: t.TempDir()}
	first, err := w.port()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.port(); err != nil || again != first {
		t.Errorf("the second port is %d, %v, want %d again", again, err, first)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(first)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if other, err := w.port(); err != nil || other == first {
		t.Errorf("got %d, %v, want another port than the taken one", other, err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
