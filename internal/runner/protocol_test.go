package runner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
)

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
