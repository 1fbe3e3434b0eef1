package catalog

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// etcdBinaries finds etcd and etcdctl: in $KEELWAY_TEST_ETCD, or where hack/controlplane keeps what it built.
func etcdBinaries(t *testing.T) (etcd, etcdctl string) {
	t.Helper()
	var dirs []string
	if dir := os.Getenv("KEELWAY_TEST_ETCD"); dir != "" {
		dirs = append(dirs, dir)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		for _, depth := range []string{"etcd", "*/etcd", "*/*/etcd", "*/*/*/etcd"} {
			found, _ := filepath.Glob(filepath.Join(cache, "keelway", "controlplane", depth))
			for _, path := range found {
				dirs = append(dirs, filepath.Dir(path))
			}
		}
	}
	for _, dir := range dirs {
		etcd, etcdctl := filepath.Join(dir, "etcd"), filepath.Join(dir, "etcdctl")
		if exec.Command(etcd, "--version").Run() == nil && exec.Command(etcdctl, "version").Run() == nil {
			return etcd, etcdctl
		}
	}
	t.Skip("SKIPPED: no etcd and etcdctl in $KEELWAY_TEST_ETCD nor in the cache of hack/controlplane, which builds them")
	return "", ""
}

// etcdMirror serves an archive of the binaries as upstream's release page does.
type etcdMirror struct {
	*httptest.Server
	dir     string
	archive string
	hits    int
}

func newEtcdMirror(t *testing.T, version string, binaries map[string]string) *etcdMirror {
	t.Helper()
	m := &etcdMirror{dir: t.TempDir()}
	name := fmt.Sprintf("etcd-v%s-linux-%s", version, runtime.GOARCH)
	release := filepath.Join(m.dir, "etcd-io/etcd/releases/download/v"+version)
	if err := os.MkdirAll(release, 0o755); err != nil {
		t.Fatal(err)
	}
	m.archive = filepath.Join(release, name+".tar.gz")
	m.pack(t, name, binaries)
	files := http.FileServer(http.Dir(m.dir))
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.hits++
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *etcdMirror) pack(t *testing.T, name string, binaries map[string]string) {
	t.Helper()
	file, err := os.Create(m.archive)
	if err != nil {
		t.Fatal(err)
	}
	zipped, _ := gzip.NewWriterLevel(file, gzip.BestSpeed)
	archive := tar.NewWriter(zipped)
	for _, program := range slices.Sorted(maps.Keys(binaries)) {
		text, err := os.ReadFile(binaries[program])
		if err != nil {
			t.Fatal(err)
		}
		if err := archive.WriteHeader(&tar.Header{Name: name + "/" + program, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []io.Closer{archive, zipped, file} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(m.archive)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(whole)
	m.sums(t, hex.EncodeToString(sum[:]))
}

func (m *etcdMirror) sums(t *testing.T, digest string) {
	t.Helper()
	text := strings.Repeat("0", 64) + "  other.tar.gz\n" + digest + "  " + filepath.Base(m.archive) + "\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(m.archive), "SHA256SUMS"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *etcdMirror) mirrors() []Mirror {
	return []Mirror{{Prefix: "https://github.com/", URL: m.URL + "/"}}
}

// etcdService is the recipe over some machines.
type etcdService struct {
	t        *testing.T
	recipe   *Recipe
	machines []*machine
	mirrors  []Mirror
	version  string
}

func newEtcdService(t *testing.T, mirror *etcdMirror, version string, machines int) *etcdService {
	t.Helper()
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := c.Get("etcd")
	if err != nil {
		t.Fatal(err)
	}
	s := &etcdService{t: t, recipe: recipe, version: version, mirrors: mirror.mirrors()}
	for range machines {
		s.machines = append(s.machines, newMachine(t))
	}
	return s
}

func (s *etcdService) render(i int, parameters map[string]any) Rendered {
	s.t.Helper()
	in := Input{Service: "store", Version: s.version, Mirrors: s.mirrors}
	for j, m := range s.machines {
		in.Peers = append(in.Peers, Node{Name: fmt.Sprintf("db-%d", j), Address: m.address, Facts: Facts{Arch: runtime.GOARCH, InitSystem: "none"}})
	}
	in.Self = in.Peers[i]
	if err := s.recipe.Fits(in.Self); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if in.Parameters, err = s.recipe.Validate(parameters); err != nil {
		s.t.Fatal(err)
	}
	out, err := s.recipe.Render(in)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *etcdService) etcdctl(i int, args ...string) string {
	s.t.Helper()
	args = append([]string{"--endpoints=http://" + s.machines[i].address + ":2379"}, args...)
	out, err := exec.Command(filepath.Join(s.machines[i].root, "usr/local/bin/etcdctl"), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("etcdctl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

const etcdVersion = "3.7.3" // what hack/controlplane builds; the recipe's default, see TestVersionsAgree

func TestEtcdCluster(t *testing.T) {
	t.Parallel()
	etcd, etcdctl := etcdBinaries(t)
	mirror := newEtcdMirror(t, etcdVersion, map[string]string{"etcd": etcd, "etcdctl": etcdctl})
	s := newEtcdService(t, mirror, etcdVersion, 3)

	for i, m := range s.machines {
		m.want("first check", s.render(i, nil).Check, 10)
		if left := m.tree(); len(left) != 0 {
			t.Fatalf("a check must change nothing, found %v", left)
		}
	}
	m0 := s.machines[0]
	m0.want("apply", s.render(0, nil).Apply, 0)
	m0.want("check of the first member, alone", s.render(0, nil).Check, 0)
	m0.want("health without a quorum", s.render(0, nil).Health, 11)
	for i, m := range s.machines[1:] {
		m.want("apply", s.render(i+1, nil).Apply, 0)
		m.want("check", s.render(i+1, nil).Check, 0)
	}
	for i, m := range s.machines {
		m.want("health", s.render(i, nil).Health, 0)
	}
	s.etcdctl(0, "put", "planted", "through the first")
	for i := range s.machines {
		if got := s.etcdctl(i, "get", "planted"); !strings.Contains(got, "through the first") {
			t.Errorf("member %d does not know what was written through member 0: %q", i, got)
		}
	}

	t.Run("a second apply changes nothing", func(t *testing.T) {
		before, pids, hits := installed(m0), m0.processes(), mirror.hits
		m0.want("second apply", s.render(0, nil).Apply, 0)
		if diff := cmp.Diff(before, installed(m0)); diff != "" {
			t.Errorf("files changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(pids, m0.processes()); diff != "" || len(pids) != 1 {
			t.Errorf("want one daemon, not started again (-before +after):\n%s", diff)
		}
		if mirror.hits != hits {
			t.Errorf("downloaded again")
		}
	})
	t.Run("a changed parameter restarts, and only then", func(t *testing.T) {
		before := m0.processes()
		changed := map[string]any{"logLevel": "warn"}
		m0.want("check", s.render(0, changed).Check, 10)
		m0.want("apply", s.render(0, changed).Apply, 0)
		m0.want("check", s.render(0, changed).Check, 0)
		m0.want("health", s.render(0, changed).Health, 0)
		if after := m0.processes(); len(after) != 1 || after[0] == before[0] {
			t.Errorf("want one new daemon: before %v, after %v", before, after)
		}
		if got := s.etcdctl(0, "get", "planted"); !strings.Contains(got, "through the first") {
			t.Errorf("the restart lost data: %q", got)
		}
	})
	t.Run("what is fixed stays", func(t *testing.T) {
		for name, value := range map[string]any{"peerPort": 2390, "clusterToken": "other", "dataDir": "/srv/etcd"} {
			stderr := m0.want(name, s.render(0, map[string]any{name: value}).Apply, 1)
			if !strings.Contains(lastLine(stderr), "cannot change") {
				t.Errorf("%s: %q", name, lastLine(stderr))
			}
		}
		m0.want("apply as before", s.render(0, nil).Apply, 0)
	})
	t.Run("a killed daemon is found and started", func(t *testing.T) {
		kill(t, m0)
		m0.want("health", s.render(0, nil).Health, 1)
		m0.want("check", s.render(0, nil).Check, 10)
		m0.want("apply", s.render(0, nil).Apply, 0)
		m0.want("health", s.render(0, nil).Health, 0)
	})
	t.Run("a changed binary is found and put back", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(m0.root, "usr/local/bin/etcdctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		m0.want("check", s.render(0, nil).Check, 10)
		m0.want("apply", s.render(0, nil).Apply, 0)
		m0.want("check", s.render(0, nil).Check, 0)
	})
	t.Run("a member that lost its data does not join again", func(t *testing.T) {
		m2 := s.machines[2]
		m2.want("remove", s.recipe.Removal("store"), 0)
		stderr := m2.want("apply", s.render(2, nil).Apply, 1)
		if !strings.Contains(lastLine(stderr), "its data is gone") {
			t.Errorf("last line: %q", lastLine(stderr))
		}
	})
	for _, m := range s.machines {
		m.want("remove", s.recipe.Removal("store"), 0)
		m.want("second remove", s.recipe.Removal("store"), 0)
		if left := m.tree(); len(left) != 0 {
			t.Errorf("remove left %v", left)
		}
		if pids := m.processes(); len(pids) != 0 {
			t.Errorf("remove left processes %v", pids)
		}
	}
}

// installed is the tree without what a running daemon writes itself.
func installed(m *machine) []string {
	return slices.DeleteFunc(m.tree(), func(line string) bool {
		return strings.HasPrefix(line, "/var/lib/etcd/") || strings.HasPrefix(line, "/var/log/")
	})
}

func kill(t *testing.T, m *machine) {
	t.Helper()
	for _, pid := range m.processes() {
		process, _ := os.FindProcess(pid)
		_ = process.Kill()
	}
	for range 100 {
		if len(m.processes()) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("processes do not end")
}

func TestEtcdFailures(t *testing.T) {
	t.Parallel()
	etcd, etcdctl := etcdBinaries(t)
	script := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "etcd")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := map[string]string{"etcd": etcd, "etcdctl": etcdctl}
	tests := map[string]struct {
		reason  string
		prepare func(t *testing.T, s *etcdService, m *etcdMirror)
		program string // instead of etcd
		code    int
		last    string
		kept    []string // what may stay on the machine
	}{
		"wrong checksum": {
			reason:  "what does not have the promised digest is never unpacked, and asking again cannot help",
			prepare: func(t *testing.T, _ *etcdService, m *etcdMirror) { m.sums(t, strings.Repeat("ab", 32)) },
			code:    13, last: "want " + strings.Repeat("ab", 32),
		},
		"checksum not listed": {
			reason: "a list without our file promises nothing",
			prepare: func(t *testing.T, _ *etcdService, m *etcdMirror) {
				if err := os.WriteFile(filepath.Join(filepath.Dir(m.archive), "SHA256SUMS"), []byte("<html>\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			code: 13, last: "no line",
		},
		"unreachable mirror": {
			reason:  "a mirror that is down may come back: retried",
			prepare: func(_ *testing.T, _ *etcdService, m *etcdMirror) { m.Close() },
			code:    12, last: "downloading http://127.0.0.1:",
		},
		"release not there": {
			reason:  "a mirror may lag behind: retried",
			prepare: func(t *testing.T, _ *etcdService, m *etcdMirror) { _ = os.Remove(m.archive) },
			code:    12, last: "404",
		},
		"broken binary": {
			reason:  "the binary's own words are the root cause",
			program: "echo starting >&2; echo cannot load: bad magic >&2; exit 3",
			code:    1, last: "the downloaded etcd does not run: cannot load: bad magic",
		},
		"other version": {
			reason:  "an archive that holds another version would be installed again and again",
			program: "echo etcd Version: 1.2.3",
			code:    1, last: "is not " + etcdVersion + ": it says etcd Version: 1.2.3",
		},
		"dies at start": {
			reason:  "a daemon that ends at once is a failure with its last words, not a success",
			program: "[ \"$1\" != --version ] || { echo etcd Version: " + etcdVersion + "; exit; }\necho listen tcp: address in use >&2; exit 1",
			code:    1, last: "etcd ended right after its start: listen tcp: address in use",
			kept: []string{"/etc", "/run", "/usr", "/var"},
		},
		"foreign data": {
			reason: "somebody's directory is not taken over, and so never deleted",
			prepare: func(t *testing.T, s *etcdService, _ *etcdMirror) {
				s.machines[0].write(filepath.Join(s.machines[0].root, "var/lib/etcd/precious"), []byte("mine"))
			},
			code: 1, last: "/var/lib/etcd is not empty and this service did not make it",
			kept: []string{"/usr", "/var"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			binaries := maps.Clone(good)
			if tt.program != "" {
				binaries["etcd"] = script(t, tt.program)
				binaries["etcdctl"] = script(t, "exit 1")
			}
			mirror := newEtcdMirror(t, etcdVersion, binaries)
			s := newEtcdService(t, mirror, etcdVersion, 1)
			if tt.prepare != nil {
				tt.prepare(t, s, mirror)
			}
			m := s.machines[0]
			stderr := m.want("apply", s.render(0, nil).Apply, tt.code)
			if !strings.Contains(lastLine(stderr), tt.last) {
				t.Errorf("last line %q, want it to hold %q", lastLine(stderr), tt.last)
			}
			for _, line := range m.tree() {
				if !slices.Contains(tt.kept, "/"+strings.Split(line, "/")[1]) && !slices.Contains(tt.kept, strings.Fields(line)[0]) {
					t.Errorf("half-made: %s", line)
				}
			}
			m.want("remove", s.recipe.Removal("store"), 0)
			for _, line := range m.tree() {
				if !strings.HasPrefix("/var/lib/etcd/precious", strings.Fields(line)[0]) {
					t.Errorf("remove left %s", line)
				}
			}
			if name == "foreign data" && len(m.tree()) != 4 {
				t.Errorf("remove deleted what is not ours: %v", m.tree())
			}
		})
	}
}

// TestVersionsAgree ties the recipe's default to the version that hack/controlplane builds, so that neither is from memory.
func TestVersionsAgree(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	recipe, _ := c.Get("etcd")
	if recipe.Versions.Default != etcdVersion {
		t.Errorf("default is %s, the tests use %s", recipe.Versions.Default, etcdVersion)
	}
	text, err := os.ReadFile("../../hack/controlplane/binaries/go.mod")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	if want := recipe.Versions.Source.GoModule + " v" + etcdVersion; !strings.Contains(string(text), want) {
		t.Errorf("hack/controlplane/binaries/go.mod does not pin %q", want)
	}
}
