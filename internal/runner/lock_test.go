package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/runner"
)

// TestMachineLockKeepsRunsApart goes red when supervise.sh takes no lock: eight runs then begin before the first has ended.
func TestMachineLockKeepsRunsApart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	const runs = 8
	for i := range runs {
		m.start(t, fmt.Sprintf("r%d", i), runner.Script{
			Body:     `echo "+$I" >>"$KEELWAY_ROOT/log"; mkdir "$KEELWAY_ROOT/mine" || exit 99; sleep 0.2; rmdir "$KEELWAY_ROOT/mine"; echo "-$I" >>"$KEELWAY_ROOT/log"`,
			Env:      map[string]string{"I": fmt.Sprint(i)},
			Mutating: true,
		})
	}
	for i := range runs {
		if got := m.await(t, fmt.Sprintf("r%d", i), runner.Exited); got.Code != 0 {
			t.Errorf("run %d met another one: %+v", i, got)
		}
	}
	lines := strings.Fields(m.read(t, "log"))
	for i := 0; i+1 < len(lines); i += 2 {
		if lines[i][0] != '+' || lines[i+1] != "-"+lines[i][1:] {
			t.Fatalf("runs overlapped: %v", lines)
		}
	}
	if len(lines) != 2*runs {
		t.Fatalf("%d lines from %d runs: %v", len(lines), runs, lines)
	}
}

func TestRunsThatChangeNothingDoNotWait(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "holder", runner.Script{Body: "sleep 600", Mutating: true})
	m.await(t, "holder", runner.Running)
	if got := m.run(t, "reader", runner.Script{Body: "exit 5"}); got.Code != 5 {
		t.Fatalf("got %+v", got)
	}
}

// TestDaemonsDoNotKeepTheMachineLocked goes red when wrap.sh hands descriptor 9 to the script.
func TestDaemonsDoNotKeepTheMachineLocked(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	got := m.run(t, "r1", runner.Script{
		// One daemon closes everything properly; the sloppy one keeps even the script's output open, and writes to it later.
		Body: `setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $! >"$KEELWAY_ROOT/tidy"
			setsid sh -c 'until [ -e "$KEELWAY_ROOT/go" ]; do sleep 0.05; done; echo noise; echo noise; touch "$KEELWAY_ROOT/spoke"; exec sleep 600' &
			echo $! >"$KEELWAY_ROOT/sloppy"; echo done`,
		Mutating: true,
	})
	if got.Code != 0 || got.Tail != "done\n" {
		t.Fatalf("got %+v", got)
	}
	for _, name := range []string{"tidy", "sloppy"} {
		pid := strings.TrimSpace(m.read(t, name))
		descriptors, err := filepath.Glob("/proc/" + pid + "/fd/*")
		if err != nil || len(descriptors) == 0 {
			t.Fatalf("the %s daemon did not survive the run: %v", name, err)
		}
		for _, descriptor := range descriptors {
			if target, _ := os.Readlink(descriptor); strings.HasPrefix(target, filepath.Join(m.root, "var/lib/keelway")) && !strings.Contains(target, "/pipe") {
				t.Errorf("the %s daemon holds %s", name, target)
			}
		}
	}
	m.run(t, "r2", runner.Script{Body: "true", Mutating: true}) // never ends when a daemon has the lock
	if err := os.WriteFile(filepath.Join(m.root, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sloppy daemon survives its own output", func() bool { return m.exists("spoke") })
	if got := m.poll(t, "r1"); got.Tail != "done\n" {
		t.Errorf("a daemon's output changed a finished run: %q", got.Tail)
	}
	if err := runner.Forget(t.Context(), m, "r1"); err != nil {
		t.Errorf("a daemon keeps the run from being forgotten: %v", err)
	}
}

func TestStopWhileWaitingForTheLock(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "holder", runner.Script{Body: `until [ -e "$KEELWAY_ROOT/go" ]; do sleep 0.05; done`, Mutating: true})
	m.await(t, "holder", runner.Running)
	m.start(t, "r2", runner.Script{Body: `touch "$KEELWAY_ROOT/ran"`, Mutating: true, Timeout: 1})
	if got := m.await(t, "r2", runner.Waiting); !got.StartedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
	if err := runner.Stop(t.Context(), m, "r2"); err != nil {
		t.Fatal(err)
	}
	if got := m.poll(t, "r2"); got.State != runner.Exited || got.Code != runner.CodeStopped || !got.StartedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
	m.start(t, "r2", runner.Script{Body: `touch "$KEELWAY_ROOT/ran"`, Mutating: true})
	if err := os.WriteFile(filepath.Join(m.root, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.await(t, "holder", runner.Exited)
	m.run(t, "r3", runner.Script{Body: "true", Mutating: true})
	if m.exists("ran") {
		t.Fatal("a stopped run ran")
	}
}

// TestStubbornGroupKeepsTheMachineLocked: a script that had to be ended is not over while a child of its group lives.
func TestStubbornGroupKeepsTheMachineLocked(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{
		Body:     `sh -c 'trap "" TERM; while :; do date +%s%N >"$KEELWAY_ROOT/beat.new"; mv "$KEELWAY_ROOT/beat.new" "$KEELWAY_ROOT/beat"; sleep 0.05; done' & wait`,
		Mutating: true, Timeout: 1,
	})
	m.await(t, "r1", runner.Running)
	got := m.run(t, "r2", runner.Script{Body: `before=$(cat "$KEELWAY_ROOT/beat"); sleep 0.5; [ "$before" = "$(cat "$KEELWAY_ROOT/beat")" ]`, Mutating: true})
	if got.Code != 0 {
		t.Fatalf("the first run's child was alive while the second ran: %+v", got)
	}
	if got := m.poll(t, "r1"); !got.TimedOut {
		t.Fatalf("got %+v", got)
	}
}
