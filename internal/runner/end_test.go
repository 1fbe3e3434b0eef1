package runner_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/runner"
)

func TestTimeoutEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	got := m.run(t, "r1", runner.Script{
		Body: `trap 'echo asked to end' TERM
			sh -c 'trap "" TERM; touch "$KEELWAY_ROOT/stubborn"; while :; do sleep 0.1; done' &
			setsid sleep 600 </dev/null >/dev/null 2>&1 &
			while :; do sleep 0.1; done`,
		Timeout: time.Second,
	})
	if !got.TimedOut || got.Code != runner.CodeTimedOut || !strings.Contains(got.Tail, "asked to end") {
		t.Fatalf("got %+v", got)
	}
	if !m.exists("stubborn") {
		t.Fatal("the stubborn child never ran")
	}
	eventually(t, "the daemon alone is left", func() bool { return len(m.processes()) == 1 })
}

func TestScriptThatEndsInTimeIsNotTimedOut(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if got := m.run(t, "r1", runner.Script{Body: "kill -s KILL $$", Timeout: time.Minute}); got.TimedOut || got.Code != 137 {
		t.Fatalf("got %+v", got)
	}
	if got := m.run(t, "r2", runner.Script{Body: "kill -s KILL 0", Timeout: time.Minute}); got.State != runner.Exited || got.Code != 137 {
		t.Fatalf("a script that kills its own group: got %+v", got)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{Body: "trap '' TERM; sleep 600 & sleep 600"})
	m.await(t, "r1", runner.Running)
	if err := runner.Stop(t.Context(), m, "r1"); err != nil {
		t.Fatal(err)
	}
	if left := m.processes(); len(left) > 0 {
		t.Fatalf("processes %v are left when Stop has returned", left)
	}
	if got := m.poll(t, "r1"); got.State != runner.Exited || got.Code != runner.CodeStopped || got.TimedOut {
		t.Fatalf("got %+v", got)
	}
	if err := runner.Stop(t.Context(), m, "r1"); err != nil {
		t.Fatalf("stopping twice: %v", err)
	}
	if err := runner.Stop(t.Context(), m, "never"); err != nil {
		t.Fatalf("stopping what is missing: %v", err)
	}
}

func TestStopKeepsTheCodeOfARunThatEnded(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run(t, "r1", runner.Script{Body: "exit 3"})
	if err := runner.Stop(t.Context(), m, "r1"); err != nil {
		t.Fatal(err)
	}
	if got := m.poll(t, "r1"); got.Code != 3 {
		t.Fatalf("got %+v", got)
	}
}

func TestForgetRefusesALivingRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{Body: "sleep 600"})
	if err := runner.Forget(t.Context(), m, "r1"); !fault.IsWait(err) {
		t.Fatalf("got %v, want Wait", err)
	}
	if got := m.await(t, "r1", runner.Running); got.StartedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
}

func TestLostRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	script := runner.Script{Body: `echo x >>"$KEELWAY_ROOT/ran"; echo so far; sleep 600`, Mutating: true}
	m.start(t, "r1", script)
	eventually(t, "the script prints", func() bool { return m.poll(t, "r1").Tail == "so far\n" })
	for _, pid := range m.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	got := m.await(t, "r1", runner.Lost)
	if got.Tail != "so far\n" || got.StartedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
	m.start(t, "r1", script)
	if got := m.poll(t, "r1"); got.State != runner.Lost || m.read(t, "ran") != "x\n" {
		t.Fatalf("a lost run was started again: %+v", got)
	}
	if err := runner.Stop(t.Context(), m, "r1"); err != nil {
		t.Fatal(err)
	}
	if got := m.poll(t, "r1"); got.Code != runner.CodeStopped {
		t.Fatalf("got %+v", got)
	}
}

func TestStopTrustsNoReusedNumber(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	bystander, err := os.StartProcess("/bin/sleep", []string{"sleep", "600"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Kill(); _, _ = bystander.Wait() }()
	if err := os.MkdirAll(m.path("r1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leader", "supervisor"} {
		if err := os.WriteFile(m.path("r1", name), []byte(strconv.Itoa(bystander.Pid)+" 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := os.Create(m.path("r1", "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alive.Close() }()
	if err := syscall.Flock(int(alive.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := runner.Stop(t.Context(), m, "r1"); !fault.IsWait(err) {
		t.Fatalf("got %v, want Wait: what holds the lock could not be ended", err)
	}
	if state, err := os.ReadFile("/proc/" + strconv.Itoa(bystander.Pid) + "/stat"); err != nil || strings.Contains(string(state), ") Z ") {
		t.Fatalf("a bystander was killed: %s, %v", state, err)
	}
}

func TestSupervisorKilledWhileTheScriptRuns(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{Body: `until [ -e "$KEELWAY_ROOT/go" ]; do sleep 0.05; done`, Mutating: true})
	m.await(t, "r1", runner.Running)
	eventually(t, "the script's shell runs", func() bool { _, err := os.Stat(m.path("r1", "leader")); return err == nil })
	kill(t, m.path("r1", "supervisor"))
	m.start(t, "r2", runner.Script{Body: "true", Mutating: true})
	for range 20 { // chances for a wrong answer
		if one, two := m.poll(t, "r1").State, m.poll(t, "r2").State; one != runner.Running || two != runner.Waiting {
			t.Fatalf("the script still runs, but r1 is %s and r2 is %s", one, two)
		}
	}
	if err := os.WriteFile(filepath.Join(m.root, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.await(t, "r1", runner.Lost)
	m.await(t, "r2", runner.Exited)
}
