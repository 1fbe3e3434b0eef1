package catalog

import (
	"os"
	"path/filepath"
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
	state := filepath.Join(t.TempDir(), "active")
	calls := stubs(t, m, map[string]string{
		"systemctl":  "case $1 in restart | start) touch '" + state + "' ;; disable | stop) rm -f '" + state + "' ;; is-active) [ -e '" + state + "' ] ;; esac",
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
	want := append([]string{"systemctl daemon-reload", "systemctl enable --quiet demo.service", "systemctl restart demo.service"}, watched...)
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
	if diff := cmp.Diff(append([]string{"systemctl start demo.service"}, watched...), calls()); diff != "" {
		t.Errorf("nothing changed (-want +got):\n%s", diff)
	}

	_ = os.Remove(state)
	m.want("check of a dead one", check, 10)
	dying := daemon(t, "s", asMachine+"kw_systemd_alive() { false; }\nkw_daemon_ensure demo\n", "@KEELWAY_ROOT@/bin/demo")
	if stderr := m.want("dies", dying, 1); !strings.Contains(lastLine(stderr), "demo ended right after its start: bind: permission denied") {
		t.Errorf("said %q", stderr)
	}

	calls()
	m.want("remove", lib(t, "s", asMachine+"kw_remove_all\n"), 0)
	if diff := cmp.Diff([]string{"systemctl disable --now --quiet demo.service", "systemctl daemon-reload", watch[0]}, calls()); diff != "" {
		t.Errorf("remove (-want +got):\n%s", diff)
	}
	if left := m.tree(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		manager         string
		programs        map[string]string
		install, remove []string
	}{
		"apt": {
			manager:  "apt",
			programs: map[string]string{"apt-get": "[ \"$DEBIAN_FRONTEND\" = noninteractive ]", "dpkg-query": "for last; do :; done; [ \"$last\" != there ] || printf installed"},
			install: []string{"dpkg-query -W -f ${db:Status-Status} there", "dpkg-query -W -f ${db:Status-Status} absent", "apt-get -q -y -o DPkg::Lock::Timeout=300 update",
				"apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends -- absent"},
			remove: []string{"apt-get -q -y -o DPkg::Lock::Timeout=300 purge -- absent"},
		},
		"dnf": {
			manager:  "dnf",
			programs: map[string]string{"dnf": "", "rpm": "for last; do :; done; [ \"$last\" = there ]"},
			install:  []string{"rpm -q --quiet there", "rpm -q --quiet absent", "dnf -q -y --setopt=exit_on_lock=False install -- absent"},
			remove:   []string{"dnf -q -y remove -- absent"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			calls := stubs(t, m, tt.programs)
			machine := asMachine + "kw_pkg_manager() { echo " + tt.manager + "; }\n"
			m.want("install", lib(t, "s", machine+"kw_pkg_install there absent\n"), 0)
			if diff := cmp.Diff(tt.install, calls()); diff != "" {
				t.Errorf("install (-want +got):\n%s", diff)
			}
			m.want("remove", lib(t, "s", machine+"kw_remove_all\n"), 0)
			if diff := cmp.Diff(tt.remove, calls()); diff != "" {
				t.Errorf("only what we installed goes (-want +got):\n%s", diff)
			}
			if left := m.tree(); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
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
