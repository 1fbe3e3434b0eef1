package transport_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/script"
)

const answer = `hostname web-1.example
os debian
os-version 12
arch x86_64
cpus 2
memory-kib 4194304
address 10.0.0.7
address fe80::1
init systemd
packages apt
root true
end
`

func read(t *testing.T, stdout string, exit int) (transport.Facts, error) {
	t.Helper()
	tr := script.New(script.Rules(script.Rule{Argv: "keelway-facts", Result: transport.Result{Exit: exit, Stdout: []byte(stdout)}}))
	facts, err := transport.ReadFacts(t.Context(), tr)
	if calls := tr.Calls(); len(calls) != 1 {
		t.Errorf("%d round trips, want one", len(calls))
	}
	return facts, err
}

func TestFacts(t *testing.T) {
	got, err := read(t, answer, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := transport.Facts{
		Hostname: "web-1.example", OS: "debian", OSVersion: "12", Arch: "amd64", CPUs: 2, MemoryMiB: 4096,
		Addresses: []string{"10.0.0.7", "fe80::1"}, InitSystem: "systemd", PackageManager: "apt", Root: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("facts (-want +got):\n%s", diff)
	}
}

func TestFactsOfArchitectures(t *testing.T) {
	for uname, want := range map[string]string{"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "armv7l": "arm"} {
		got, err := read(t, strings.Replace(answer, "x86_64", uname, 1), 0)
		if err != nil || got.Arch != want {
			t.Errorf("%s: got %q (%v), want %q", uname, got.Arch, err, want)
		}
	}
}

func TestFactsAreStrict(t *testing.T) {
	swap := func(line, with string) string { return strings.Replace(answer, line+"\n", with, 1) }
	cases := map[string]struct{ reason, stdout, says string }{
		"nothing":             {"a machine without a shell of ours", "", `"hostname"`},
		"cut short":           {"half an answer is none", strings.TrimSuffix(answer, "end\n"), `"end"`},
		"no cpus":             {"0 would divide", swap("cpus 2", "cpus 0\n"), `"cpus"`},
		"cpus in words":       {"as above", swap("cpus 2", "cpus two\n"), `"cpus"`},
		"memory overflows":    {"a number is bounded", swap("memory-kib 4194304", "memory-kib 99999999999999999999\n"), `"memory-kib"`},
		"hostname with blank": {"a word is one word", swap("hostname web-1.example", "hostname a b\n"), `"hostname"`},
		"hostname with shell": {"facts are rendered into scripts", swap("hostname web-1.example", "hostname $(id)\n"), `"hostname"`},
		"hostname too long":   {"status is bounded", swap("hostname web-1.example", "hostname "+strings.Repeat("a", 500)+"\n"), `"hostname"`},
		"not an address":      {"peers are told to connect there", swap("address 10.0.0.7", "address 10.0.0\n"), `"address"`},
		"root maybe":          {"true or false", swap("root true", "root perhaps\n"), `"root"`},
		"twice":               {"which one holds?", swap("os debian", "os debian\nos alpine\n"), `"os"`},
		"unasked":             {"a banner in the answer", "Welcome to the machine\n" + answer, `"Welcome"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := read(t, tc.stdout, 0)
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonPlatform || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %+v, %v; want Terminal/PlatformUnsuitable that names %s: %s", got, err, tc.says, tc.reason)
			}
			if len(err.Error()) > 400 {
				t.Fatalf("the message is not bounded: %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := read(t, answer, 2); !fault.IsTerminal(err) {
		t.Fatalf("a script that failed: got %v", err)
	}
}

func TestFactsKeepSixteenAddresses(t *testing.T) {
	got, err := read(t, strings.Repeat("address 10.0.0.9\n", 100)+answer, 0)
	if err != nil || len(got.Addresses) != 16 {
		t.Fatalf("got %d addresses, %v", len(got.Addresses), err)
	}
}

func TestFactsPassTheTransportsErrorOn(t *testing.T) {
	tr := script.New(script.Rules())
	tr.FailNext(1, script.Before, fault.New(fault.Retry, fault.ReasonUnreachable, "no route"))
	_, err := transport.ReadFacts(t.Context(), tr)
	if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnreachable {
		t.Fatalf("got %v", err)
	}
}
