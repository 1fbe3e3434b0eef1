package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(context.Background(), path, func(time.Duration) { t.Error("nobody held it") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	told := 0
	if _, err := lockFile(ctx, path, func(time.Duration) { told++ }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want to wait until the context ends, got %v", err)
	}
	if told != 1 {
		t.Errorf("told %d times within the first beat, want once", told)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := lockFile(context.Background(), path, func(time.Duration) {})
	if err != nil {
		t.Fatalf("a lock given back cannot be taken: %v", err)
	}
	second.Close()
}

func TestLeftoversGo(t *testing.T) {
	c := cache{root: t.TempDir()}
	putFile(t, c.working("etcd"), "half", 0o755)
	putFile(t, filepath.Join(c.working("envtest"), "x"), "", 0o644)
	putFile(t, filepath.Join(c.root, "bin", "etcd"), "whole", 0o755)
	c.removeLeftovers()
	entries, err := os.ReadDir(c.root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "bin" {
		t.Errorf("left are %v, %v, want bin alone", entries, err)
	}
}

func TestCancelledBuild(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Binaries(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
	if found, err := filepath.Glob(filepath.Join(w.cache, "controlplane", "*", "bin", "*")); err != nil || len(found) > 0 {
		t.Errorf("a cancelled build left %v, %v in the cache", found, err)
	}
}

func TestBuildOutput(t *testing.T) {
	var out buildOutput
	fmt.Fprint(&out, "go: downloading k8s.io/api v0.37.2\nk8s.io/a")
	fmt.Fprint(&out, "pi/core/v1\nfmt\n# k8s.io/kubernetes/x\n")
	if want := "2 packages compiled, 1 modules downloaded"; out.progress() != want {
		t.Errorf("progress is %q, want %q", out.progress(), want)
	}
	for i := range 1000 {
		fmt.Fprintf(&out, "x.go:%d:1: %s\n", i, strings.Repeat("long ", 1000))
	}
	if got := out.complaints(); len(got) > keptComplaints*(longestComplaint+10) || !strings.Contains(got, "x.go:999:1") {
		t.Errorf("complaints of %d bytes are kept: want the last, bounded", len(got))
	}
}

func TestDigestFollowsTheModule(t *testing.T) {
	one, err := readSource("d", []byte("require (\n\tk8s.io/kubernetes v1.37.2\n)"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := readSource("d", []byte("require (\n\tk8s.io/kubernetes v1.37.2\n\tother v1.0.0\n)"))
	if err != nil {
		t.Fatal(err)
	}
	if one.version != "v1.37.2" || two.version != one.version || one.digest == two.digest {
		t.Errorf("got %+v and %+v: want one version and two digests", one, two)
	}
	if _, err := readSource("d", []byte("k8s.io/api => k8s.io/api v0.37.2")); err == nil {
		t.Error("a module without Kubernetes has no version, and that is an error")
	}
}

// TestModuleIsConsistent reads the real module file: every module that Kubernetes publishes beside itself must stand there at
// the matching version, or a change of version leaves some of them behind.
func TestModuleIsConsistent(t *testing.T) {
	src, err := findSource()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(src.dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	replaces := regexp.MustCompile(`(?m)^\t(\S+) => (\S+) (\S+)$`).FindAllStringSubmatch(string(mod), -1)
	if len(replaces) < 30 {
		t.Errorf("%d modules are replaced, want all of Kubernetes' own", len(replaces))
	}
	want := "v0" + strings.TrimPrefix(src.version, "v1")
	for _, r := range replaces {
		if r[1] != r[2] || r[3] != want {
			t.Errorf("%s is replaced by %s %s, want itself at %s", r[1], r[2], r[3], want)
		}
	}
}
