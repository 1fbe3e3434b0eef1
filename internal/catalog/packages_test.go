package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asDebian is a machine whose packages are files in a directory. Package web needs lib, and excludes clock; the text of "plan" is what
// a simulated installation says.
func asDebian(t *testing.T, m *machine, apt string) (dir string, calls func() []string) {
	t.Helper()
	dir = t.TempDir()
	m.write(filepath.Join(dir, "there"), nil)
	return dir, stubs(t, m, map[string]string{
		"dpkg":       "[ \"$1\" != --audit ] || cat '" + dir + "/audit' 2>/dev/null || :",
		"dpkg-query": "for last; do :; done; [ ! -e \"" + dir + "/$last\" ] || case $* in *Version*) printf 1:4.3-2+deb12u3 ;; *) printf installed ;; esac",
		"apt-cache":  "printf 'web:\\n  Installed: (none)\\n  Candidate: 1:4.3-2+deb12u3\\n'",
		"apt-get": `case " $* " in
*" -s install "*) echo 'Inst web (1:4.3-2 Debian:12 [amd64])'; echo 'Inst lib (2 Debian:12 [amd64])'; echo 'Inst there [1] (2 Debian:12 [amd64])' ;;
*" -s autoremove "*) [ -e '` + dir + `/web' ] || { echo 'Remv lib [2]'; echo 'Remv theirs [2]'; } ;;
*" -s purge "*) for last; do :; done; echo "Purg $last [1]" ;;
*" install "*) touch '` + dir + `/web' '` + dir + `/lib' ;;
*" purge "*) for last; do :; done; rm -f "` + dir + `/$last" ;;
esac
` + apt,
	})
}

const onDebian = asMachine + "kw_pkg_manager() { echo apt; }\nls() { :; }\nKW_VERSION=4.3.0\n"

// short takes the options that every call has out of a list of calls.
func short(calls []string) (kept []string) {
	for _, call := range calls {
		call = strings.NewReplacer(" -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Acquire::Retries=2", "", " -q -y", "").Replace(call)
		if strings.HasPrefix(call, "apt-get") {
			kept = append(kept, call)
		}
	}
	return kept
}

func TestPackagesByApt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	_, calls := asDebian(t, m, "")
	m.want("install", lib(t, "s", onDebian+"kw_pkg_service web there\n"), 0)
	want := []string{"apt-get update", "apt-get -s install --no-install-recommends -- web", "apt-get install --no-install-recommends -- web"}
	if diff := cmp.Diff(want, short(calls())); diff != "" {
		t.Errorf("install (-want +got):\n%s", diff)
	}
	recorded := m.want("record", lib(t, "s", onDebian+"cat \"$KW_RECORD\" >&2\n"), 0)
	if strings.Contains(recorded, "there") || !strings.Contains(recorded, "package\tweb\n") || !strings.Contains(recorded, "dependency\tlib\n") {
		t.Errorf("recorded %q", recorded)
	}
	calls()
	m.want("again", lib(t, "s", onDebian+"kw_pkg_service web there\n"), 0)
	if got := short(calls()); len(got) > 0 {
		t.Errorf("installed again: %v", got)
	}
	m.want("remove", lib(t, "s", onDebian+"kw_remove_all\n"), 0)
	want = []string{"apt-get -s purge -- web", "apt-get purge -- web", "apt-get -s autoremove", "apt-get -s purge -- lib", "apt-get purge -- lib"}
	if diff := cmp.Diff(want, short(calls())); diff != "" {
		t.Errorf("only what we installed goes (-want +got):\n%s", diff)
	}
	if left := m.tree(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What one service brought and another needs stays until the last of them goes.
func TestSharedPackages(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	dir, _ := asDebian(t, m, "")
	m.want("a", lib(t, "a", onDebian+"kw_pkg_install web\n"), 0)
	m.want("b", lib(t, "b", onDebian+"kw_pkg_install web\n"), 0)
	m.want("remove a", lib(t, "a", onDebian+"kw_remove_all\n"), 0)
	for _, name := range []string{"web", "lib"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("removing a took %s from b", name)
		}
	}
	m.want("remove b", lib(t, "b", onDebian+"kw_remove_all\n"), 0)
	for _, name := range []string{"web", "lib"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("the last one left %s behind", name)
		}
	}
	if left := m.tree(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestPackagesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reason, lines, apt string
		code               int
		last               string
	}{
		"another series": {"another version is another service", "KW_VERSION=5.0.0\nkw_pkg_service web\n", "", 14, "this machine's distribution has web 4.3, and version 5.0.0 was asked for"},
		"another patch":  {"the distribution decides about it", "KW_VERSION=4.3.9\nkw_pkg_service web\n", "", 0, ""},
		"takes away":     {"it is somebody else's", "kw_pkg_install web\n", `case "$*" in *"-s install"*) echo 'Remv clock [1]' ;; esac`, 1, "installing web would remove package clock, which somebody else installed"},
		"may replace":    {"the recipe says so", "kw_replaces=clock\nkw_pkg_install web\n", `case "$*" in *"-s install"*) echo 'Remv clock [1]' ;; esac`, 0, ""},
		"locked": {"whoever holds it ends some time", "KW_APT_TRIES=2\nkw_pkg_install web\n",
			"echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 12 (apt-get)'; exit 100", 11, "held by process 12 (apt-get)"},
		"no room":   {"room comes back", "kw_pkg_install web\n", "echo 'dpkg: error: failed to write (No space left on device)'; exit 100", 15, "no space left"},
		"no mirror": {"mirrors come back", "kw_pkg_install web\n", "echo 'E: Failed to fetch http://deb.debian.org/x  Could not connect'; exit 100", 12, "Failed to fetch"},
		"dpkg fails": {"the package's own script", "kw_pkg_install web\n",
			`case "$*" in *-s*) ;; *install*) echo 'dpkg: error processing package web'; echo 'E: Sub-process /usr/bin/dpkg returned an error code (1)'; exit 100 ;; esac`, 1, "dpkg: error processing package web"},
		"purge takes along": {"somebody else installed it later", "touch \"$KW_WORK/x\"\nkw_pkg_install web\nkw_remove_all\n", `case "$*" in *"-s purge"*) echo 'Purg theirs [1]' ;; esac`, 1,
			"would remove package theirs, which somebody else installed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(tt.reason)
			m := newMachine(t)
			asDebian(t, m, tt.apt)
			stderr := m.want(name, lib(t, "s", onDebian+tt.lines), tt.code)
			if tt.code != 0 && !strings.Contains(lastLine(stderr), tt.last) {
				t.Errorf("last line %q, want %q in it", lastLine(stderr), tt.last)
			}
		})
	}
}

// An installation that was cut off is finished before anything else is asked of apt.
func TestPackagesAreMended(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	dir, calls := asDebian(t, m, "")
	m.write(filepath.Join(dir, "audit"), []byte("half configured: x\n"))
	stderr := m.want("cannot", lib(t, "s", onDebian+"kw_pkg_install web\n"), 1)
	if !strings.Contains(lastLine(stderr), "dpkg is in disorder and could not be mended: half configured: x") {
		t.Errorf("said %q", stderr)
	}
	if got := strings.Join(calls(), "\n"); !strings.Contains(got, "dpkg --force-confdef --force-confold --configure -a\n") || strings.Contains(got, "install --no-install-recommends") {
		t.Errorf("called %s", got)
	}
}

func TestPackagesByDnf(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	calls := stubs(t, m, map[string]string{"dnf": "", "rpm": "for last; do :; done; [ \"$last\" = there ]"})
	machine := asMachine + "kw_pkg_manager() { echo dnf; }\n"
	m.want("install", lib(t, "s", machine+"kw_pkg_install there absent\n"), 0)
	if diff := cmp.Diff([]string{"rpm -q --quiet there", "rpm -q --quiet absent", "dnf -q -y --setopt=exit_on_lock=False install -- absent"}, calls()); diff != "" {
		t.Errorf("install (-want +got):\n%s", diff)
	}
	m.want("remove", lib(t, "s", machine+"kw_remove_all\n"), 0)
	if diff := cmp.Diff([]string{"dnf -q -y remove -- absent"}, calls()); diff != "" {
		t.Errorf("only what we installed goes (-want +got):\n%s", diff)
	}
	if left := m.tree(); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What somebody else had in the place of a file comes back with its mode when the service goes; what our package brought does not.
func TestFilesThatWereThereComeBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		before string
		lines  string
		back   bool
	}{
		"without packages": {"theirs", "", true},
		"before a package": {"theirs", "kw_save /etc/demo.conf\nkw_record package web\n", true},
		"of our package":   {"", "kw_record package web\nmkdir -p \"$KEELWAY_ROOT/etc\"\necho of the package >\"$KEELWAY_ROOT/etc/demo.conf\"\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			asDebian(t, m, "")
			path := filepath.Join(m.root, "etc/demo.conf")
			if tt.before != "" {
				m.write(path, []byte(tt.before))
			}
			before := m.tree()
			place := onDebian + tt.lines + "echo ours >\"$KW_WORK/x\"\nkw_file \"$KW_WORK/x\" /etc/demo.conf 0644\n"
			m.want("apply", lib(t, "s", place), 0)
			if text, err := os.ReadFile(path); err != nil || string(text) != "ours\n" {
				t.Fatalf("%v: %q", err, text)
			}
			m.want("remove", lib(t, "s", onDebian+"kw_remove_all\n"), 0)
			if text, err := os.ReadFile(path); (err == nil) != tt.back || tt.back && string(text) != tt.before {
				t.Errorf("%v: %q is there", err, text)
			}
			if diff := cmp.Diff(before, m.tree()); tt.back && diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.write(filepath.Join(m.root, "var/lib/theirs/x"), nil)
	out := m.want("claim", lib(t, "s", "kw_claim data /var/lib/theirs /var/lib/ours\nkw_claim user root nobody-of-ours\ncat \"$KW_RECORD\" >&2\n"), 0)
	for _, line := range []string{"data\t/var/lib/ours\n", "user\tnobody-of-ours\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not recorded", line)
		}
	}
	if strings.Contains(out, "theirs") || strings.Contains(out, "root\n") {
		t.Errorf("what was there was claimed: %q", out)
	}
}
