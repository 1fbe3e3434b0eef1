package runner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
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
	if !strings.HasSuffix(got.Tail, "SigIgn:\t0000000000000000\n") {
		t.Fatalf("the script, and so its daemons, ignore signals:\n%s", got.Tail)
	}
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

// TestStopTrustsNoReusedNumber: the run is alive, but the numbers in its files belong to a bystander by now.
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

func TestRefusals(t *testing.T) {
	t.Parallel()
	lacking := script.New(script.Rules(script.Rule{Result: transport.Result{Exit: 71, Stderr: []byte("the machine lacks flock\n")}}))
	err := runner.Start(t.Context(), lacking, "r1", runner.Script{Body: "true"})
	if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonPlatform || !strings.Contains(err.Error(), "flock") {
		t.Fatalf("got %v, want Terminal/PlatformUnsuitable that names flock", err)
	}
	for _, id := range []string{"", ".", "..", "../x", "a/b", "-x", "a b", "a\n", strings.Repeat("x", 129)} {
		tr := script.New(script.Rules())
		if err := runner.Start(t.Context(), tr, id, runner.Script{Body: "true"}); !fault.IsTerminal(err) || len(tr.Calls()) > 0 {
			t.Errorf("id %q: got %v and %d calls, want Terminal and none", id, err, len(tr.Calls()))
		}
	}
}

func TestMachineThatLacksFlock(t *testing.T) {
	m := newMachine(t)
	bin := filepath.Join(m.root, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"sh", "mkdir", "tar", "mkfifo"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	err := runner.Start(t.Context(), m, "r1", runner.Script{Body: "true"})
	if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonPlatform ||
		!strings.Contains(err.Error(), "flock") || !strings.Contains(err.Error(), "setsid") || strings.Contains(err.Error(), "mkfifo") {
		t.Fatalf("got %v, want Terminal/PlatformUnsuitable that names flock and setsid alone", err)
	}
	if m.exists("var/lib/keelway") {
		t.Fatal("something was made on a machine that is unsuitable")
	}
}

func TestNothingReturnsUnknown(t *testing.T) {
	t.Parallel()
	lost := fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "reply lost")
	tr := script.New(script.Rules(script.Rule{Err: lost}))
	_, polled := runner.Poll(t.Context(), tr, "r1")
	for name, err := range map[string]error{
		"start": runner.Start(t.Context(), tr, "r1", runner.Script{Body: "true"}), "poll": polled,
		"stop": runner.Stop(t.Context(), tr, "r1"), "forget": runner.Forget(t.Context(), tr, "r1"),
	} {
		if err == nil || fault.ClassOf(err) != fault.Retry {
			t.Errorf("%s: got %v, want Retry: it can be repeated", name, err)
		}
	}
}

func TestSimulatedMachinesSpeakTheProtocol(t *testing.T) {
	t.Parallel()
	machines := &script.Machines{}
	open := func(id string) transport.Transport {
		tr, err := machines.Open(transport.Access{Target: id})
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	poll := func(id string) runner.State {
		status, err := runner.Poll(t.Context(), open(id), "r1")
		if err != nil || status.Code != 0 {
			t.Fatalf("got %+v, %v", status, err)
		}
		return status.State
	}
	if got := poll("m-1"); got != runner.Missing {
		t.Fatalf("before the start: %s", got)
	}
	if err := runner.Start(t.Context(), open("m-1"), "r1", runner.Script{Body: "true"}); err != nil {
		t.Fatal(err)
	}
	if one, two := poll("m-1"), poll("m-2"); one != runner.Exited || two != runner.Missing {
		t.Fatalf("got %s where it was started and %s elsewhere", one, two)
	}
	if err := runner.Stop(t.Context(), open("m-1"), "r1"); err != nil {
		t.Fatal(err)
	}
	if err := runner.Forget(t.Context(), open("m-1"), "r1"); err != nil || poll("m-1") != runner.Missing {
		t.Fatalf("after forgetting: %v", err)
	}
}
