package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lib is a script of the library and some lines, for a service of that name. The lines may define functions anew, which is how
// a test plays a machine that this one is not.
func lib(t *testing.T, service, lines string) Script {
	t.Helper()
	shell, err := shellLibrary()
	if err != nil {
		t.Fatal(err)
	}
	return Script{Body: shell + lines, Env: map[string]string{"KW_SERVICE": service}, Files: map[string][]byte{"files": nil}}
}

// tools makes a directory with only the named programs, to be a machine's whole PATH.
func tools(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	base := strings.Fields("sh cat chmod cp cut env grep head id ls mkdir mv rm rmdir sed setsid sha256sum sleep sort stat tail tar tr wc")
	for _, name := range append(base, names...) {
		path, err := exec.LookPath(name)
		if name == "python3" && err == nil { // may be a shim that needs more than itself
			var out []byte
			out, err = exec.Command(path, "-c", "import sys; print(sys.executable)").Output()
			path = strings.TrimSpace(string(out))
		}
		if err != nil {
			t.Skipf("SKIPPED: this machine has no %s", name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFetch(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("\x00\r\n\xffpayload\n"), 5000)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a/file.bin" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}))
	t.Cleanup(server.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, tool := range []string{"curl", "wget", "python3", "bash", "none"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if m.path = tools(t); tool != "none" {
				m.path = tools(t, tool)
			}
			file := filepath.Join(m.root, "upstream.bin")
			m.write(file, content)
			dest := filepath.Join(m.root, "got")
			for _, tt := range []struct {
				what, url, digest string
				code              int
				last              string
			}{
				{"whole", server.URL + "/a/file.bin", digest, 0, ""},
				{"from a file", "file://" + file, digest, 0, ""},
				{"other digest", server.URL + "/a/file.bin", strings.Repeat("0", 64), 13, "found sha256 " + digest + ", want " + strings.Repeat("0", 64)},
				{"not there", server.URL + "/b", digest, 12, "downloading " + server.URL + "/b: "},
				{"no server", gone.URL + "/a/file.bin", digest, 12, "downloading " + gone.URL},
				{"no file", "file:///nowhere/x", digest, 12, "downloading file:///nowhere/x"},
			} {
				if tool == "none" && strings.HasPrefix(tt.url, "http") {
					tt.code, tt.last = 14, "none of curl, wget, python3 and bash"
				}
				stderr := m.want(tt.what, lib(t, "s", "kw_fetch '"+tt.url+"' "+tt.digest+" '"+dest+"'\n"), tt.code)
				got, err := os.ReadFile(dest)
				if tt.code == 0 && !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes arrived, %v", tt.what, len(got), err)
				}
				if tt.code != 0 && (err == nil || !strings.Contains(lastLine(stderr), tt.last)) {
					t.Errorf("%s: half-made %v, last line %q, want %q in it", tt.what, err == nil, lastLine(stderr), tt.last)
				}
				_ = os.Remove(dest)
				if parts, _ := filepath.Glob(dest + "*"); len(parts) > 0 {
					t.Errorf("%s left %v", tt.what, parts)
				}
			}
		})
	}
}

func TestListedChecksum(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("a", 64)
	for name, tt := range map[string]struct {
		list, want string
		code       int
	}{
		"text mode":      {list: good + "  x.tar.gz\n", want: good},
		"binary mode":    {list: good + " *x.tar.gz\n", want: good},
		"with directory": {list: good + "  ./dist/x.tar.gz\n", want: good},
		"first of two":   {list: good + "  x.tar.gz\n" + strings.Repeat("b", 64) + "  x.tar.gz\n", want: good},
		"other name":     {list: good + "  yx.tar.gz\n" + good + "  x.tar.gz.asc\n", code: 1},
		"short digest":   {list: "abc  x.tar.gz\n", code: 1},
		"no list":        {list: "<html>404</html>\n", code: 1},
	} {
		m := newMachine(t)
		list := filepath.Join(m.root, "sums")
		m.write(list, []byte(tt.list))
		got := m.want(name, lib(t, "s", "kw_listed_sha '"+list+"' x.tar.gz >&2\n"), tt.code)
		if strings.TrimSpace(got) != tt.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestFilesRestartOnlyForAChange(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	script := func(text, mode string) Script {
		s := lib(t, "s", "kw_files_apply\nkw_recorded_values restart >&2\nkw_recorded_values reload >&2\n")
		s.Files = map[string][]byte{"files": []byte("file-0\t" + mode + "\t-\t/etc/demo/demo.conf\tone two reload:three\n"), "file-0": []byte(text)}
		return s
	}
	path := filepath.Join(m.root, "etc/demo/demo.conf")
	m.want("first", script("root=@KEELWAY_ROOT@/x\n", "0640"), 0)
	got, err := os.ReadFile(path)
	if info, _ := os.Stat(path); err != nil || string(got) != "root="+m.root+"/x\n" || info.Mode().Perm() != 0o640 {
		t.Fatalf("%v: %q, %v", err, got, info.Mode())
	}
	m.want("restarted", lib(t, "s", "kw_unrecord restart one\nkw_unrecord restart two\nkw_unrecord reload three\n"), 0)
	before := m.tree()
	if out := m.want("again", script("root=@KEELWAY_ROOT@/x\n", "0640"), 0); out != "" {
		t.Errorf("said %q", out)
	}
	if diff := cmp.Diff(before, m.tree()); diff != "" {
		t.Errorf("an equal file was written:\n%s", diff)
	}
	if out := m.want("other content", script("other\n", "0640"), 0); out != "s: wrote /etc/demo/demo.conf\none\ntwo\nthree\n" {
		t.Errorf("said %q", out)
	}
	if out := m.want("other mode", script("other\n", "0600"), 0); !strings.Contains(out, "wrote") {
		t.Errorf("said %q", out)
	}
	check := script("other\n", "0640")
	check.Body = lib(t, "s", "kw_files_check\n").Body
	m.want("check", check, 10)
}

func TestServicesDoNotTouchEachOther(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	place := func(path string) string {
		return "echo x >\"$KW_WORK/x\"\nkw_file \"$KW_WORK/x\" " + path + " 0644\nkw_data /var/lib/shared-" + strings.ReplaceAll(path[1:], "/", "-") + "\n"
	}
	m.write(filepath.Join(m.root, "etc/theirs"), []byte("somebody's"))
	start := m.tree()
	m.want("a", lib(t, "a", place("/etc/shared/a")), 0)
	m.want("b", lib(t, "b", place("/etc/shared/b")), 0)
	stderr := m.want("b takes a's file", lib(t, "b", "echo y >\"$KW_WORK/x\"\nkw_file \"$KW_WORK/x\" /etc/shared/a 0644\n"), 1)
	if !strings.Contains(lastLine(stderr), "/etc/shared/a belongs to service a") {
		t.Errorf("last line %q", lastLine(stderr))
	}
	m.want("remove a", lib(t, "a", "kw_remove_all\n"), 0)
	if _, err := os.Stat(filepath.Join(m.root, "etc/shared/b")); err != nil {
		t.Errorf("removing a took a file of b along: %v", err)
	}
	m.want("remove b", lib(t, "b", "kw_remove_all\n"), 0)
	if diff := cmp.Diff(start, m.tree()); diff != "" {
		t.Errorf("the last one to leave did not put out the light (-before +after):\n%s", diff)
	}
}

// A crash at any point between record and deed leaves nothing that remove does not find.
func TestRemoveAfterACrash(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"before the file":   "kw_put() { exit 9; }\necho x >\"$KW_WORK/x\"\nkw_file \"$KW_WORK/x\" /etc/demo/x 0644\n",
		"before the rename": "mv() { exit 9; }\necho x >\"$KW_WORK/x\"\nkw_file \"$KW_WORK/x\" /etc/demo/x 0644\n",
		"before the data":   "kw_dir() { exit 9; }\nkw_data /var/lib/demo\n",
	} {
		m := newMachine(t)
		m.want(name, lib(t, "s", lines), 9)
		m.want("remove", lib(t, "s", "kw_remove_all\n"), 0)
		if left := m.tree(); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestRemoveGuardsWhatItDeletes(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/var", "/var/../x", "/a/.."} {
		m := newMachine(t)
		m.write(filepath.Join(m.root, "var/lib/x"), []byte("x"))
		m.want(path, lib(t, "s", "kw_record data "+path+"\nkw_remove_all\n"), 1)
		if _, err := os.Stat(filepath.Join(m.root, "var/lib/x")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func daemon(t *testing.T, service, lines, command string) Script {
	s := lib(t, service, lines)
	s.Files["unit-demo"] = []byte("[Service]\nExecStart=" + command + "\n")
	return s
}

func TestPlainDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	ensure := daemon(t, "s", "kw_daemon_ensure demo\n", "/bin/sleep 300")
	check := daemon(t, "s", "kw_daemon_check demo\n", "/bin/sleep 300")
	m.want("check before", check, 10)
	m.want("start", ensure, 0)
	m.want("check", check, 0)
	pids := m.processes()
	if len(pids) != 1 {
		t.Fatalf("processes %v", pids)
	}
	pid := strconv.Itoa(pids[0])
	environ, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil || bytes.Contains(environ, []byte("KW_")) || bytes.Contains(environ, []byte("KEELWAY_RUN")) {
		t.Errorf("%v: the daemon got the script's environment: %q", err, environ)
	}
	if cwd, _ := os.Readlink("/proc/" + pid + "/cwd"); cwd != m.root {
		t.Errorf("it runs in %s, which keeps a run's directory in use", cwd)
	}

	m.want("again", ensure, 0)
	if diff := cmp.Diff(pids, m.processes()); diff != "" {
		t.Errorf("started again:\n%s", diff)
	}
	m.want("other command", daemon(t, "s", "kw_daemon_check demo\n", "/bin/sleep 301"), 10)
	m.want("other command", daemon(t, "s", "kw_daemon_ensure demo\n", "/bin/sleep 301"), 0)
	after := m.processes()
	if len(after) != 1 || after[0] == pids[0] {
		t.Errorf("before %v, after %v", pids, after)
	}

	// The pid file of a daemon that is gone may name a process that is somebody else's by now.
	file := filepath.Join(m.root, "run/demo.pid")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(good))
	for what, text := range map[string]string{
		"other start time": words[0] + " 1 " + words[2], "other boot": words[0] + " " + words[1] + " x", "no such pid": "999999999 1 " + words[2], "garbage": "\n", "torn": words[0],
	} {
		m.write(file, []byte(text+"\n"))
		m.want(what, lib(t, "s", "kw_daemon_alive demo || exit 7\n"), 7)
		m.want(what+", stop", lib(t, "s", "kw_daemon_remove demo\n"), 0)
		if diff := cmp.Diff(after, m.processes()); diff != "" {
			t.Fatalf("%s: a process that is not ours was stopped", what)
		}
	}
	m.write(file, good)
	m.want("remove", lib(t, "s", "kw_remove_all\n"), 0)
	if left := append(m.tree(), pidsOf(m)...); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func pidsOf(m *machine) []string {
	var all []string
	for _, pid := range m.processes() {
		all = append(all, "process "+strconv.Itoa(pid))
	}
	return all
}

func TestDaemonThatDies(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	program := filepath.Join(m.root, "bin/die")
	m.write(program, []byte("#!/bin/sh\necho an older line\necho the reason >&2\necho\nexit 1\n"))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	stderr := m.want("start", daemon(t, "s", "kw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/die"), 1)
	if !strings.Contains(lastLine(stderr), "demo ended right after its start: the reason") || !strings.Contains(stderr, "an older line") {
		t.Errorf("said:\n%s", stderr)
	}
	stderr = m.want("missing program", daemon(t, "s", "kw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/nothing"), 1)
	if !strings.Contains(lastLine(stderr), "No such file") || strings.Contains(stderr, "the reason") {
		t.Errorf("said:\n%s", stderr)
	}
	m.want("a change is still due", lib(t, "s", "kw_recorded restart demo || exit 7\n"), 0)
}

// A daemon that ignores SIGTERM, and its children, end by SIGKILL.
func TestStubbornDaemonEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	program := filepath.Join(m.root, "bin/stubborn")
	m.write(program, []byte("#!/bin/sh\ntrap '' TERM\nsleep 300 &\nwait\nsleep 300\n"))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	m.want("start", daemon(t, "s", "kw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/stubborn"), 0)
	m.want("stop", lib(t, "s", "kw_plain_polls=5\nkw_daemon_remove demo\n"), 0)
	if pids := m.processes(); len(pids) > 0 {
		t.Errorf("still there: %v", pids)
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	log := filepath.Join(m.root, "var/log/demo.log")
	m.write(log, append(bytes.Repeat([]byte("x"), 6<<20), []byte("the end\n")...))
	m.want("start", daemon(t, "s", "kw_daemon_ensure demo\n", "/bin/sleep 300"), 0)
	text, err := os.ReadFile(log)
	if err != nil || len(text) > 1<<20+100 || !bytes.Contains(text, []byte("the end")) {
		t.Errorf("%v: %d bytes", err, len(text))
	}
}
