package script_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

func machine(t *testing.T, machines *script.Machines, id string) *script.Transport {
	t.Helper()
	tr, err := machines.Open(transport.Access{Transport: transport.Script, Target: id, Address: "10.1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestContract(t *testing.T) {
	transporttest.Contract(t, func(t *testing.T) transport.Transport { return machine(t, &script.Machines{}, "m-1") })
}

func TestRules(t *testing.T) {
	refused := errors.New("refused")
	tr := script.New(script.Rules(
		script.Rule{Argv: "apt-get install", Stdin: "yes", Result: transport.Result{Stdout: []byte("installed")}},
		script.Rule{Argv: "apt-get", Result: transport.Result{Exit: 100}},
		script.Rule{Argv: "reboot", Err: refused},
	))
	cases := map[string]struct {
		reason string
		cmd    transport.Command
		want   transport.Result
		err    error
	}{
		"both match":    {"argv and input", transport.Command{Argv: []string{"apt-get", "install"}, Stdin: []byte("yes\n")}, transport.Result{Stdout: []byte("installed")}, nil},
		"first wins":    {"the first has no matching input", transport.Command{Argv: []string{"apt-get", "install"}}, transport.Result{Exit: 100}, nil},
		"error":         {"a rule may fail", transport.Command{Argv: []string{"reboot"}}, transport.Result{}, refused},
		"nothing known": {"as a shell says it", transport.Command{Argv: []string{"ls"}}, transport.Result{Exit: 127, Stderr: []byte("no rule for ls\n")}, nil},
		"cut":           {"as on a machine", transport.Command{Argv: []string{"apt-get install"}, Stdin: []byte("yes"), OutputLimit: 3}, transport.Result{Stdout: []byte("ins"), Truncated: true}, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tr.Exec(t.Context(), tc.cmd)
			if diff := cmp.Diff(tc.want, got); diff != "" || !errors.Is(err, tc.err) {
				t.Fatalf("%s: error %v, result (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
	if got := len(tr.Calls()); got != len(cases) {
		t.Fatalf("%d calls recorded, want %d", got, len(cases))
	}
}

func TestCallsAreBounded(t *testing.T) {
	tr := script.New(script.Rules())
	for i := range 2000 {
		_, _ = tr.Exec(t.Context(), transport.Command{Argv: []string{fmt.Sprint(i)}})
	}
	calls := tr.Calls()
	if len(calls) != 1024 || calls[len(calls)-1].Argv[0] != "1999" {
		t.Fatalf("kept %d, the last is %v", len(calls), calls[len(calls)-1].Argv)
	}
}

func TestFaultsBeforeAndAfter(t *testing.T) {
	done := 0
	tr := script.New(func(transport.Command) (transport.Result, error) { done++; return transport.Result{}, nil })
	lost := fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "reply lost")
	away := fault.New(fault.Retry, fault.ReasonUnreachable, "no route")
	tr.FailNext(2, script.Before, away)
	tr.FailNext(1, script.After, lost)
	for i, want := range []struct {
		err  error
		done int
	}{{away, 0}, {away, 0}, {lost, 1}, {nil, 2}} {
		_, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"true"}})
		if !errors.Is(err, want.err) || done != want.done {
			t.Fatalf("call %d: error %v, %d done; want %v, %d", i, err, done, want.err, want.done)
		}
	}
}

func TestClosedTransportRefuses(t *testing.T) {
	tr := machine(t, &script.Machines{}, "m-1")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Exec(t.Context(), transport.FactsCommand()); !fault.IsTerminal(err) {
		t.Fatalf("got %v, want Terminal: a use after close is a bug that must show", err)
	}
}

func TestMachinesHaveFacts(t *testing.T) {
	got, err := transport.ReadFacts(t.Context(), machine(t, &script.Machines{}, "m-1"))
	if err != nil {
		t.Fatal(err)
	}
	want := transport.Facts{
		Hostname: "m-1", OS: "debian", OSVersion: "12", Arch: "amd64", CPUs: 2, MemoryMiB: 4096, Addresses: []string{"10.1.2.3"},
		InitSystem: "systemd", PackageManager: "apt", Root: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("facts (-want +got):\n%s", diff)
	}
}

func TestMachinesRunNothing(t *testing.T) {
	got, err := machine(t, &script.Machines{}, "m-1").Exec(t.Context(), transport.Command{Argv: []string{"rm", "-rf", "/"}})
	if err != nil || got.Exit != 127 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := (&script.Machines{}).Open(transport.Access{}); !fault.IsTerminal(err) {
		t.Fatalf("a machine without an id: got %v", err)
	}
}

func TestMachinesShareTheirFaults(t *testing.T) {
	machines := &script.Machines{}
	away := fault.New(fault.Retry, fault.ReasonUnreachable, "no route")
	machines.FailNext(1, script.Before, away)
	if _, err := transport.ReadFacts(t.Context(), machine(t, machines, "m-1")); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	if _, err := transport.ReadFacts(t.Context(), machine(t, machines, "m-2")); err != nil {
		t.Fatalf("the fault struck twice: %v", err)
	}
}
