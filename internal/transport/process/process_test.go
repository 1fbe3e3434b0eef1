package process_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/process"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const address = "127.11.22.33"

func open(t *testing.T) transport.Transport {
	t.Helper()
	tr, err := process.New(transport.Access{Transport: transport.Process, Target: t.TempDir(), Address: address})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestConformance(t *testing.T) { transporttest.Run(t, open) }

func TestEnvironmentIsExactlyThis(t *testing.T) {
	t.Setenv("KEELWAY_CANARY", "the operator's own")
	directory := filepath.Join(t.TempDir(), "srv-1")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	tr, err := process.New(transport.Access{Target: directory, Address: address})
	if err != nil {
		t.Fatal(err)
	}
	result, err := tr.Exec(t.Context(), transport.Command{
		Argv: []string{"env"}, Env: map[string]string{"OWN": "value", "LANG": "C"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(result.Stdout)), "\n")
	slices.Sort(got)
	want := []string{
		"HOME=" + directory, "KEELWAY_ADDRESS=" + address, "KEELWAY_ROOT=" + directory, "KEELWAY_SERVER=srv-1", "LANG=C", "OWN=value",
		"PATH=" + os.Getenv("PATH"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("environment (-want +got):\n%s", diff)
	}
	where, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"pwd"}})
	if err != nil || strings.TrimSpace(string(where.Stdout)) != directory {
		t.Fatalf("runs in %q (%v), want %q", where.Stdout, err, directory)
	}
}

func TestFactsOfAProcessServer(t *testing.T) {
	facts, err := transport.ReadFacts(t.Context(), open(t))
	if err != nil {
		t.Fatal(err)
	}
	if facts.Root || facts.InitSystem != "none" || facts.PackageManager != "none" {
		t.Errorf("a Process server owns no machine, but says %+v", facts)
	}
	if diff := cmp.Diff([]string{address}, facts.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	if facts.CPUs < 1 || facts.MemoryMiB < 1 || facts.OS == "" || facts.Hostname == "" {
		t.Errorf("facts are incomplete: %+v", facts)
	}
}

func TestFailures(t *testing.T) {
	parent := t.TempDir()
	cases := map[string]struct {
		reason string
		target string
		argv   []string
		class  fault.Class
		why    fault.Reason
	}{
		"directory gone": {
			"the directory is the machine", filepath.Join(parent, "gone"), []string{"true"}, fault.Gone, fault.ReasonNotFound,
		},
		"parent gone": {
			"a disk that is not mounted is no deleted machine", filepath.Join(parent, "no", "where"), []string{"true"}, fault.Retry, fault.ReasonUnreachable,
		},
		"not executable": {
			"permission does not come by waiting", parent, []string{"/etc/passwd"}, fault.Terminal, fault.ReasonInvalid,
		},
		"no such file in the directory": {
			"paths are relative to the server's directory", parent, []string{"./nothing"}, fault.Terminal, fault.ReasonInvalid,
		},
		"too many arguments": {
			"the kernel's limit does not grow", parent, []string{"true", strings.Repeat("x", 1<<20)}, fault.Terminal, fault.ReasonInvalid,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tr, err := process.New(transport.Access{Target: tc.target})
			if err != nil {
				t.Fatal(err)
			}
			_, err = tr.Exec(t.Context(), transport.Command{Argv: tc.argv})
			if err == nil || fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.why {
				t.Fatalf("got %v (%v, %s), want %v, %s: %s", err, fault.ClassOf(err), fault.ReasonOf(err), tc.class, tc.why, tc.reason)
			}
		})
	}
}

func TestTargetMustBeADirectoryOfItsOwn(t *testing.T) {
	for _, target := range []string{"", ".", "/", "relative/dir", "/a/../b", "/a/"} {
		if _, err := process.New(transport.Access{Target: target}); !fault.IsTerminal(err) {
			t.Errorf("target %q: got %v, want Terminal", target, err)
		}
	}
}
