package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/plan"
)

func TestSettings(t *testing.T) {
	cases := map[string]struct {
		reason string
		env    map[string]string
		want   settings
		fails  string
	}{
		"none":   {"nothing asked for", nil, settings{driver: "Process"}, ""},
		"make":   {"make passes empty variables", map[string]string{"CRASH": "", "FAIL": "1", "KEEP": "0"}, settings{fail: true, driver: "Process"}, ""},
		"all":    {"they go together", map[string]string{"CRASH": "1", "FAIL": "1", "KEEP": "1"}, settings{true, true, true, "Process"}, ""},
		"ground": {"what servers are", map[string]string{"DRIVER": "Docker"}, settings{driver: "Docker"}, ""},
		"moon":   {"as above", map[string]string{"DRIVER": "Moon"}, settings{}, "use DRIVER=Process or DRIVER=Docker"},
		"wrong":  {"a wish that is not understood is no wish to guess at", map[string]string{"KEEP": "yes"}, settings{}, "use KEEP=1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := readSettings(func(name string) string { return tc.env[name] })
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("%s: got %+v, %v", tc.reason, got, err)
			}
		})
	}
}

// TestExamplesAreValid: every field exists and the workflow's graph, references and recipes hold together.
func TestExamplesAreValid(t *testing.T) {
	recipes, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Compile(example(t), recipes); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("../../examples/demo/provider.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var p v1alpha1.Provider
	if err := yaml.UnmarshalStrict(text, &p); err != nil {
		t.Error(err)
	}
	if len(p.Spec.Mirrors) > 0 {
		t.Errorf("the example names a mirror of one machine: %v", p.Spec.Mirrors)
	}
}

// fakeAssets are an etcd and an etcdctl that say what they are.
func fakeAssets(t *testing.T) controlplane.Assets {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"etcd", "etcdctl"} {
		script := fmt.Sprintf("#!/bin/sh\n# %s\necho 'etcd Version: 3.7.99'\n", name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return controlplane.Assets{Etcd: filepath.Join(dir, "etcd"), Etcdctl: filepath.Join(dir, "etcdctl")}
}

// TestMirrorServesWhatItPromises uses the tools that a recipe uses: sha256sum and tar.
func TestMirrorServesWhatItPromises(t *testing.T) {
	for name, broken := range map[string]bool{"sound": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			m, err := openMirror(context.Background(), fakeAssets(t), "127.0.0.1", t.TempDir(), broken)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			at, dir := m.url+"etcd-io/etcd/releases/download/v3.7.99/", t.TempDir()
			fetch(t, at+m.archive, filepath.Join(dir, m.archive))
			fetch(t, at+"SHA256SUMS", filepath.Join(dir, "SHA256SUMS"))
			check := exec.Command("sh", "-ec", "sha256sum -c SHA256SUMS >&2; mkdir out; tar -xf *.tar.gz -C out --strip-components=1; out/etcdctl; out/etcd")
			check.Dir = dir
			said, err := check.CombinedOutput()
			if broken && (err == nil || !strings.Contains(string(said), brokenWords)) || !broken && err != nil {
				t.Errorf("%v: %s", err, said)
			}
			if m.served.Load() != 1 {
				t.Errorf("%d downloads counted, want 1", m.served.Load())
			}
		})
	}
}

func fetch(t *testing.T, url, path string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEvictEndsResidentsAndNobodyElse(t *testing.T) {
	state := t.TempDir()
	start := func(root string) *exec.Cmd {
		cmd := exec.Command("sleep", "60")
		cmd.Env = []string{"KEELWAY_ROOT=" + root, "KEELWAY_SERVER=process-x"}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	ours, neighbour := start(state+"/servers/a/root"), start(state+"-other/servers/a/root")
	defer func() { _ = neighbour.Process.Kill(); _ = neighbour.Wait() }()
	ended := make(chan error, 1)
	go func() { ended <- ours.Wait() }()
	for deadline := time.Now().Add(5 * time.Second); len(named(residents(state), "sleep")) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) { // between fork and exec a process has another name
			t.Fatalf("found %v, want one sleep", residents(state))
		}
	}
	if left := evict(state); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	<-ended
	if err := neighbour.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process on somebody else's server was ended: %v", err)
	}
}

func TestGuardClearsOnlyDemos(t *testing.T) {
	dir := t.TempDir()
	if err := guard(dir); err == nil {
		t.Error("a directory that is no demo's was cleared")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
