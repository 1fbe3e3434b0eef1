package runner_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/runner"
)

func TestRunFromStartToForget(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if got := m.poll(t, "r1"); got.State != runner.Missing {
		t.Fatalf("before the start: %+v", got)
	}
	got := m.run(t, "r1", runner.Script{
		Body:  `echo "in $(basename "$PWD")"; cat inputs/greeting; echo "to $NAME" >&2; echo size=4 >>"$KEELWAY_RUN/outputs"; exit 10`,
		Env:   map[string]string{"NAME": "world"},
		Files: map[string][]byte{"greeting": []byte("hello\n")},
	})
	if got.StartedAt.IsZero() || got.FinishedAt.Before(got.StartedAt) || time.Since(got.StartedAt) > time.Hour {
		t.Errorf("times: %v to %v", got.StartedAt, got.FinishedAt)
	}
	got.StartedAt, got.FinishedAt = time.Time{}, time.Time{}
	want := runner.Status{State: runner.Exited, Code: 10, Tail: "in r1\nhello\nto world\n", Outputs: map[string]string{"size": "4"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("status (-want +got):\n%s", diff)
	}
	for _, name := range []string{"inputs", "env", "script", "pipe"} {
		if _, err := os.Stat(m.path("r1", name)); err == nil {
			t.Errorf("%s is left behind after the run", name)
		}
	}
	if err := runner.Forget(t.Context(), m, "r1"); err != nil {
		t.Fatal(err)
	}
	if got := m.poll(t, "r1"); got.State != runner.Missing {
		t.Fatalf("after forgetting: %+v", got)
	}
	if left, _ := os.ReadDir(filepath.Join(m.root, "var/lib/keelway/runs")); len(left) > 0 {
		t.Fatalf("left on the machine: %v", left)
	}
	if err := runner.Forget(t.Context(), m, "r1"); err != nil {
		t.Fatalf("forgetting twice: %v", err)
	}
	eventually(t, "no process is left", func() bool { return len(m.processes()) == 0 })
}

func TestStartTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	once := runner.Script{Body: `echo x >>"$KEELWAY_ROOT/ran"; until [ -e "$KEELWAY_ROOT/go" ]; do sleep 0.05; done`}
	for range 3 {
		m.start(t, "r1", once)
	}
	m.await(t, "r1", runner.Running)
	m.start(t, "r1", once)
	if err := os.WriteFile(filepath.Join(m.root, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.await(t, "r1", runner.Exited)
	m.start(t, "r1", once)
	if ran := m.read(t, "ran"); ran != "x\n" {
		t.Fatalf("ran %d times", strings.Count(ran, "x"))
	}
}

func TestWhatTheScriptSees(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	got := m.run(t, "r1", runner.Script{Body: `umask; cat; [ "$KEELWAY_RUN" = "$PWD" ] && echo here; ls -l inputs | wc -l
		for fd in /proc/self/fd/*; do case $(readlink "$fd") in */keelway/*) readlink "$fd";; esac; done
		grep SigIgn /proc/self/status`, Files: map[string][]byte{"a": nil, "b": nil}})
	want := "0022\nhere\n3\n"
	if lines := strings.SplitAfter(got.Tail, "\n"); !strings.HasPrefix(got.Tail, want) || !strings.Contains(lines[3], "/pipe") {
		t.Fatalf("got %q", got.Tail)
	}
	if strings.Contains(got.Tail, "/lock") || strings.Contains(got.Tail, "/alive") || strings.Contains(got.Tail, "/living") {
		t.Fatalf("the script holds a lock's descriptor:\n%s", got.Tail)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	// The C library uses those above 31 for itself, and what this process ignores, as under nohup, its children cannot change.
	if ignored := ignoredSignals(t, got.Tail); ignored&^ignoredSignals(t, string(own))&(1<<31-1) != 0 {
		t.Fatalf("the script, and so its daemons, ignore signals:\n%s", got.Tail)
	}
}

// ignoredSignals reads the set of them in the text of a /proc/PID/status.
func ignoredSignals(t *testing.T, status string) uint64 {
	t.Helper()
	_, after, _ := strings.Cut(status, "SigIgn:")
	line, _, _ := strings.Cut(after, "\n")
	set, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		t.Fatalf("no SigIgn in %q: %v", status, err)
	}
	return set
}

func TestInputsAreForTheOwnerOnly(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{Body: "echo up; sleep 600", Files: map[string][]byte{"key": []byte("k")}})
	eventually(t, "the script prints", func() bool { return m.poll(t, "r1").Tail == "up\n" })
	for name, mode := range map[string]os.FileMode{".": 0o700, "inputs": 0o700, "inputs/key": 0o600, "env": 0o600, "script": 0o600, "output": 0o600} {
		info, err := os.Stat(m.path("r1", name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want mode %o", name, info.Mode(), mode)
		}
	}
}

// TestStopTrustsNoReusedNumber: the run is alive, but the numbers in its files belong to a bystander by now.
