package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeGo stands in for the go command: it notes the package that it is asked to build, fails for $FAKE_FAIL, and for go run
// (which is setup-envtest) prints $FAKE_ENVTEST.
const fakeGo = `#!/bin/sh
if [ "$1" = run ]; then echo "$FAKE_ENVTEST"; exit 0; fi
for arg; do [ "$last" = -o ] && out=$arg; last=$arg; done
echo "$last" >> "$FAKE_CALLS"
if [ "${last##*/}" = "$FAKE_FAIL" ]; then echo "# $last" >&2; echo "x.go:1: broken on purpose" >&2; exit 1; fi
echo "$last" >&2
echo "#!/bin/sh" > "$out"; chmod 755 "$out"
`

// world is a checkout, an empty cache, a fake go command and no download site.
type world struct{ cache, calls string }

func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	w := world{cache: filepath.Join(dir, "cache"), calls: filepath.Join(dir, "calls")}
	putFile(t, filepath.Join(dir, "tree", binariesModule, "go.mod"), "module m\n\nrequire k8s.io/kubernetes v1.99.3\n", 0o644)
	putFile(t, filepath.Join(dir, "path", "go"), fakeGo, 0o755)
	t.Chdir(filepath.Join(dir, "tree"))
	t.Setenv("PATH", filepath.Join(dir, "path")+":"+os.Getenv("PATH"))
	t.Setenv("KEELWAY_CACHE", w.cache)
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("FAKE_CALLS", w.calls)
	offer(t, nil)
	return w
}

// offer serves an index of downloads for the length of a test; nil: nothing listens at its address.
func offer(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(handler)
	if handler == nil {
		server.Close()
	}
	before := envtestIndex
	envtestIndex = server.URL
	t.Cleanup(func() { server.Close(); envtestIndex = before })
}

func (w world) built(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(w.calls)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		names = append(names, filepath.Base(filepath.Dir(strings.TrimSpace(line)))+"/"+filepath.Base(strings.TrimSpace(line)))
	}
	return strings.Join(names, " ")
}

func putFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// putBinaries makes executables of these names and returns their directory.
func putBinaries(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		putFile(t, filepath.Join(dir, name), "#!/bin/sh\n", 0o755)
	}
	return dir
}

func TestGivenDirectory(t *testing.T) {
	everything := []string{"etcd", "etcdctl", "kube-apiserver", "kube-controller-manager", "kubectl"}
	cases := map[string]struct {
		reason string
		has    []string
		lacks  string // what the error names; empty: no error
		builds string
	}{
		"complete":     {"nothing is to be made", everything, "", ""},
		"envtest's":    {"setup-envtest has no controller manager and no etcdctl", []string{"etcd", "kube-apiserver", "kubectl"}, "", "cmd/kube-controller-manager etcdctl/v3"},
		"no kubectl":   {"whoever set the variable meant that directory", []string{"etcd", "kube-apiserver"}, "lacks kubectl:", ""},
		"empty":        {"every one that lacks is named", nil, "lacks kube-apiserver, etcd, kubectl:", ""},
		"only helpers": {"the optional ones do not make up for it", []string{"etcdctl", "kube-controller-manager"}, "lacks kube-apiserver, etcd, kubectl:", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			dir := putBinaries(t, tc.has...)
			t.Setenv("KUBEBUILDER_ASSETS", dir)
			assets, err := Binaries(context.Background(), nil)
			if tc.lacks != "" {
				if err == nil || !strings.Contains(err.Error(), tc.lacks) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("%s: want an error with %q and the directory, got %v", tc.reason, tc.lacks, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if got := w.built(t); got != tc.builds {
				t.Errorf("%s: built %q, want %q", tc.reason, got, tc.builds)
			}
			if assets.Etcd != filepath.Join(dir, "etcd") || len(assets.missing()) > 0 {
				t.Errorf("%s: got %+v", tc.reason, assets)
			}
		})
	}
}

func TestGivenFileThatCannotRun(t *testing.T) {
	newWorld(t)
	dir := putBinaries(t, "etcd", "kube-apiserver")
	putFile(t, filepath.Join(dir, "kubectl"), "", 0o644)
	t.Setenv("KUBEBUILDER_ASSETS", dir)
	if _, err := Binaries(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "lacks kubectl:") {
		t.Fatalf("a file that is not executable is no binary, got %v", err)
	}
}

func TestBuildIsKept(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	first, err := Binaries(context.Background(), &log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "cmd/kube-apiserver server/v3 cmd/kubectl cmd/kube-controller-manager etcdctl/v3"; w.built(t) != want {
		t.Errorf("built %q, want %q", w.built(t), want)
	}
	for _, want := range []string{"setup-envtest cannot help", "[1/5] building kube-apiserver from Go modules (about 6 min", "[5/5] building etcdctl", w.cache} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	t.Setenv("PATH", "") // a full cache needs no go command
	second, err := Binaries(context.Background(), nil)
	if err != nil || second != first {
		t.Errorf("the second call gave %+v, %v, want %+v", second, err, first)
	}
	if want := filepath.Join(w.cache, "controlplane", "v1.99.3-"); !strings.HasPrefix(first.Etcd, want) {
		t.Errorf("etcd is kept at %s, want a path that begins with %s", first.Etcd, want)
	}
}

func TestInterruptedBuildGoesOn(t *testing.T) {
	w := newWorld(t)
	t.Setenv("FAKE_FAIL", "kubectl")
	_, err := Binaries(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), "building kubectl") || !strings.Contains(err.Error(), "x.go:1: broken on purpose") {
		t.Fatalf("want an error that quotes the compiler, got %v", err)
	}
	putFile(t, w.calls, "", 0o644)
	t.Setenv("FAKE_FAIL", "")
	if _, err := Binaries(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if want := "cmd/kubectl cmd/kube-controller-manager etcdctl/v3"; w.built(t) != want {
		t.Errorf("the second run built %q, want only what was not done: %q", w.built(t), want)
	}
}

func TestTwoAtOnceBuildOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = Binaries(context.Background(), nil) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if got := len(strings.Fields(w.built(t))); got != len(binaries) {
		t.Errorf("%d builds for %d binaries", got, len(binaries))
	}
}

func TestOutsideACheckout(t *testing.T) {
	newWorld(t)
	t.Chdir(t.TempDir())
	if _, err := Binaries(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "KUBEBUILDER_ASSETS") {
		t.Fatalf("want an error that says what to do, got %v", err)
	}
}

func TestDownload(t *testing.T) {
	const whole = "cmd/kube-apiserver server/v3 cmd/kubectl cmd/kube-controller-manager etcdctl/v3"
	cases := map[string]struct {
		reason string
		status int
		index  string
		gives  []string
		says   string
		builds string
	}{
		"offered":       {"etcd is built all the same, to be of etcdctl's release", 200, "releases:\n  v1.99.3:\n", []string{"kube-apiserver", "kubectl", "etcd"}, "downloading kube-apiserver and kubectl 1.99.3", "server/v3 cmd/kube-controller-manager etcdctl/v3"},
		"other release": {"another release is not the one we pin", 200, "releases:\n  v1.99.30:\n", nil, "does not offer 1.99.3", whole},
		"refused":       {"a proxy's error page is not an index", 403, "v1.99.3:", nil, "answers 403", whole},
		"half":          {"what a broken download lacks is built", 200, "v1.99.3:", []string{"kube-apiserver"}, "setup-envtest failed", "server/v3 cmd/kubectl cmd/kube-controller-manager etcdctl/v3"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			offer(t, func(out http.ResponseWriter, _ *http.Request) {
				out.WriteHeader(tc.status)
				fmt.Fprint(out, tc.index)
			})
			t.Setenv("FAKE_ENVTEST", putBinaries(t, tc.gives...))
			var log bytes.Buffer
			assets, err := Binaries(context.Background(), &log)
			if err != nil || len(assets.missing()) > 0 {
				t.Fatalf("%s: %+v, %v", tc.reason, assets, err)
			}
			if !strings.Contains(log.String(), tc.says) {
				t.Errorf("%s: the log lacks %q:\n%s", tc.reason, tc.says, log.String())
			}
			if got := w.built(t); got != tc.builds {
				t.Errorf("%s: built %q, want %q", tc.reason, got, tc.builds)
			}
		})
	}
}
