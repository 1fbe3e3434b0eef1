package catalog

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This machine's own systemd, apt and dnf are not for tests. Stubs on PATH record how they were called.

// stubs puts programs before the machine's PATH that write their name and arguments to a file and then run the given lines.
func stubs(t *testing.T, m *machine, programs map[string]string) (calls func() []string) {
	t.Helper()
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	for name, lines := range programs {
		text := "#!/bin/sh\necho \"" + name + " $*\" >>'" + log + "'\n" + lines + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.path = dir + ":" + os.Getenv("PATH")
	return func() []string {
		text, _ := os.ReadFile(log)
		_ = os.Remove(log)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

// asMachine lets the library take a test's directory for a whole machine.
const asMachine = "kw_init() { echo systemd; }\nkw_need_machine() { :; }\n"

func TestSystemdDaemon(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	state, enabled := filepath.Join(t.TempDir(), "active"), filepath.Join(t.TempDir(), "enabled")
	calls := stubs(t, m, map[string]string{
		"systemctl":  "case $1 in restart | start) touch '" + state + "' ;; disable | stop) rm -f '" + state + "' ;; is-active) [ -e '" + state + "' ] ;; enable) touch '" + enabled + "' ;; is-enabled) [ -e '" + enabled + "' ] ;; esac",
		"journalctl": "echo bind: permission denied",
		"sleep":      "",
	})
	ensure := daemon(t, "s", asMachine+"kw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/demo")
	check := daemon(t, "s", asMachine+"kw_daemon_check demo\n", "@KEELWAY_ROOT@/bin/demo")
	watch := []string{"systemctl is-active --quiet demo.service", "sleep 0.2"}
	watched := append(append(append(append(append([]string{}, watch...), watch...), watch...), watch...), watch...)

	m.want("check", check, 10)
	calls()
	m.want("start", ensure, 0)
	want := append([]string{"systemctl daemon-reload", "systemctl reset-failed demo.service", "systemctl is-enabled --quiet demo.service", "systemctl enable --quiet demo.service",
		"systemctl restart demo.service"}, watched...)
	if diff := cmp.Diff(want, calls()); diff != "" {
		t.Errorf("a new unit (-want +got):\n%s", diff)
	}
	unit, err := os.ReadFile(filepath.Join(m.root, "etc/systemd/system/demo.service"))
	if err != nil || !strings.Contains(string(unit), "ExecStart="+m.root+"/bin/demo\n") {
		t.Errorf("%v: unit %q", err, unit)
	}
	m.want("check", check, 0)
	calls()
	m.want("again", ensure, 0)
	if diff := cmp.Diff(append([]string{"systemctl is-enabled --quiet demo.service", "systemctl reset-failed demo.service", "systemctl start demo.service"}, watched...), calls()); diff != "" {
		t.Errorf("nothing changed (-want +got):\n%s", diff)
	}

	_ = os.Remove(enabled)
	if stderr := m.want("check of a disabled one", check, 10); !strings.Contains(lastLine(stderr), "demo is not enabled") {
		t.Errorf("said %q", stderr)
	}
	_ = os.Remove(state)
	m.want("check of a dead one", check, 10)
	dying := daemon(t, "s", asMachine+"kw_systemd_alive() { false; }\nkw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/demo")
	if stderr := m.want("dies", dying, 1); !strings.Contains(lastLine(stderr), "demo ended right after its start: bind: permission denied") {
		t.Errorf("said %q", stderr)
	}

	calls()
	m.want("remove", lib(t, "s", asMachine+"kw_remove_all\n"), 0)
	if diff := cmp.Diff([]string{"systemctl cat demo.service", "systemctl disable --now --quiet demo.service", "systemctl daemon-reload", watch[0],
		"systemctl reset-failed demo.service"}, calls()); diff != "" {
		t.Errorf("remove (-want +got):\n%s", diff)
	}
	if left := m.tree(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A unit that a package brings does not start before its configuration, is reloaded where that is enough, and one that was there
// before is again as it was.
func TestUnitOfAPackage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		exists, active, lines string
		calls                 string
	}{
		"held":     {"no", "no", "kw_daemon_hold web\n", "cat, mask --quiet --runtime"},
		"restart":  {"yes", "yes", "kw_record restart web\nkw_daemon_ensure web\n", "daemon-reload, reset-failed, is-enabled --quiet, restart"},
		"reload":   {"yes", "yes", "kw_record reload web\nkw_daemon_ensure web\n", "is-enabled --quiet, is-active --quiet, reload"},
		"restored": {"yes", "yes", "kw_daemon_hold web\nkw_daemon_remove() { :; }\nkw_remove_all\n", "cat, is-enabled, is-active, daemon-reload, enable --quiet, restart"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			calls := stubs(t, m, map[string]string{"sleep": "", "readlink": "", "journalctl": "", "systemctl": "case $1 in cat) [ " + tt.exists + " = yes ] ;; is-enabled) [ " + tt.exists + " = yes ] && echo enabled ;; " +
				"is-active) [ " + tt.active + " = yes ] && echo active ;; esac"})
			m.want(name, lib(t, "s", asMachine+tt.lines), 0)
			var said []string
			for _, call := range calls() {
				if verb, ok := strings.CutPrefix(call, "systemctl "); ok {
					said = append(said, strings.TrimSuffix(strings.TrimSuffix(verb, ".service"), " web"))
				}
			}
			if got := strings.TrimSuffix(strings.Join(said, ", "), strings.Repeat(", is-active --quiet", 5)); got != tt.calls {
				t.Errorf("called %s, want %s", got, tt.calls)
			}
		})
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	m := newMachine(t)
	stderr := m.want("taken", lib(t, "s", "kw_port_free "+port+" web\n"), 1)
	if want := "port " + port + " is taken by process " + strconv.Itoa(os.Getpid()) + " (catalog.test)"; !strings.Contains(lastLine(stderr), want) {
		t.Errorf("said %q, want %q in it", stderr, want)
	}
	stderr = m.want("somebody else's", lib(t, "s", asMachine+"kw_pause() { :; }\nkw_daemon_alive() { :; }\nkw_daemon_words() { echo bind failed; }\nkw_port_check "+port+" web\n"), 10)
	if !strings.Contains(lastLine(stderr), "web runs and does not listen on port "+port+": bind failed") {
		t.Errorf("said %q", stderr)
	}
	_ = listener.Close()
	m.want("free", lib(t, "s", "kw_port_free "+port+" web\n"), 0)
}

// A Process server changes nothing around it: neither packages, users nor the systemd of the machine that it is on.
func TestProcessServerChangesNothingAroundIt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	calls := stubs(t, m, map[string]string{"apt-get": "", "dnf": "", "useradd": "", "systemctl": "", "chown": ""})
	stderr := m.want("packages", lib(t, "s", "kw_pkg_install curl\n"), 14)
	if !strings.Contains(lastLine(stderr), "cannot be done on a Process server") {
		t.Errorf("said %q", stderr)
	}
	m.want("user", lib(t, "s", "kw_user nobody-of-ours /x\nkw_own nobody-of-ours /x\n"), 0)
	m.want("daemon", daemon(t, "s", "kw_daemon_ensure demo\n", "/bin/sleep 300"), 0)
	m.want("remove", lib(t, "s", "kw_remove_all\n"), 0)
	if got := calls(); len(got) != 1 || got[0] != "" {
		t.Errorf("called %v", got)
	}
}
