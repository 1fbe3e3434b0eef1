package e2e

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// bridgeMirror serves a release of etcd, made of the lab's own programs, where containers reach this machine.
func bridgeMirror(b *bench) (url, version string) {
	b.t.Helper()
	assets := b.ControlPlane.Assets()
	version, err := assets.EtcdVersion(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	name := fmt.Sprintf("etcd-v%s-linux-%s", version, runtime.GOARCH)
	path := filepath.Join(b.t.TempDir(), name+".tar.gz")
	file, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	zipped, _ := gzip.NewWriterLevel(file, gzip.NoCompression)
	archive := tar.NewWriter(zipped)
	for program, from := range map[string]string{"etcd": assets.Etcd, "etcdctl": assets.Etcdctl} {
		text, err := os.ReadFile(from)
		if err != nil {
			b.t.Fatal(err)
		}
		_ = archive.WriteHeader(&tar.Header{Name: name + "/" + program, Mode: 0o755, Size: int64(len(text))})
		_, _ = archive.Write(text)
	}
	_, _, _ = archive.Close(), zipped.Close(), file.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	bridge, err := net.InterfaceByName("docker0")
	if err != nil {
		b.t.Fatal(err)
	}
	addresses, _ := bridge.Addrs()
	host := netip.MustParsePrefix(addresses[0].String()).Addr().String()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		b.t.Fatal(err)
	}
	release := "/etcd-io/etcd/releases/download/v" + version + "/"
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+release+name+".tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	routes.HandleFunc("GET "+release+"SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(text), name))
	})
	server := &http.Server{Handler: routes}
	go func() { _ = server.Serve(listener) }()
	b.t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String() + "/", version
}

// inventory lists what a service could leave behind: files with mode, owner and size, users, groups, packages and units. What
// changes by itself (logs, caches, temporary files, the runner's own directories) is left out.
const inventory = `find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log -o -path /var/cache \
	-o -path /var/tmp -o -path /var/lib/systemd -o -path '/home/admin/.*' \) -prune -o -type f -printf 'file %p %m %u:%g %s\n' -o -type d -printf 'dir %p %m %u:%g\n' -o -type l -printf 'link %p %l\n' |
	grep -v -E '/etc/.*-( |$)|/etc/\.pwd\.lock|/root/\.|\.dpkg' | sort
	cut -d: -f1,3 /etc/passwd | sed 's/^/user /' | sort; cut -d: -f1,3 /etc/group | sed 's/^/group /' | sort
	dpkg-query -W -f 'package ${Package} ${Version}\n'
	systemctl list-unit-files --no-legend --no-pager | sed 's/  */ /g; s/^/unit /' | sort`

// differ shows the lines that only one of two lists has, the first twenty.
func differ(before, after string) (lines []string) {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[strings.TrimSpace(line)]--
	}
	for line := range strings.Lines(after) {
		count[strings.TrimSpace(line)]++
	}
	for line, n := range count {
		if n != 0 && len(lines) < 20 {
			lines = append(lines, fmt.Sprintf("%+d %s", n, line))
		}
	}
	return lines
}

// TestRealService: etcd on a Debian server with systemd, over SSH and sudo: installed, left alone by a second look, changed where
// something changed, put back after another hand's changes, and removed without a trace.
func TestRealService(t *testing.T) {
	debian.Require(t)
	b := newBench(t, mem.Options{}, "--local-drivers=Host")
	b.start()
	m := debian.Start(t)
	mirror, version := bridgeMirror(b)
	before := m.Shell(t, inventory)
	b.apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: rack}
spec:
  type: Local
  access: {user: admin, become: Sudo}
  mirrors: [{prefix: "https://github.com/", url: %q}]
  local:
    driver: Host
    hosts: [{address: 127.0.0.1, port: %d, serviceAddress: %s}]
`, mirror, m.SSHPort, m.Address))
	p := &v1alpha1.Provider{}
	b.eventually("a key is made", patience, func() error {
		if get(b, "rack", p); p.Status.PublicKey == "" {
			return fmt.Errorf("%+v", p.Status.Conditions)
		}
		return nil
	})
	m.Authorize(t, "admin", p.Status.PublicKey)
	b.kubectl("", "annotate", "kprov/rack", "keelway.dev/attempt=1")
	b.serverOf("rack", "a")
	b.serverReady("a")

	service := func(parameters string) {
		t.Helper()
		b.apply(fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: TaskService\nmetadata: {name: etcd}\nspec:\n  recipe: etcd\n  version: %q\n  servers: {names: [a]}\n  parameters: %s\n  health: {interval: 5s}\n", version, parameters))
		s := &v1alpha1.TaskService{}
		b.eventually("etcd is ready", patience, func() error {
			get(b, "etcd", s)
			if c := reconcile.Condition(s, v1alpha1.ReadyCondition); c == nil || c.Status != "True" || s.Status.ObservedGeneration != s.Generation {
				return fmt.Errorf("%+v", s.Status.Servers)
			}
			return nil
		})
	}
	started := func() string {
		return m.Shell(t, "systemctl is-active etcd || :; systemctl show etcd -p ExecMainStartTimestampMonotonic --value")
	}
	files := func() string {
		return m.Shell(t, "stat -c '%n %y' /etc/etcd/* /etc/systemd/system/etcd.service /usr/local/bin/etcd*")
	}
	service("{logLevel: warn}")
	first, stamps := started(), files()
	if !strings.HasPrefix(first, "active\n") || m.Shell(t, "ps -o user= -C etcd") != "etcd" {
		t.Errorf("etcd is %q", first)
	}
	service("{logLevel: warn, clientPort: 2379}") // the default, written out: another input that asks for the same
	if started() != first || files() != stamps {
		t.Error("a second application changed something")
	}
	service("{logLevel: error}")
	second := started()
	if second == first || !strings.Contains(m.Shell(t, "cat /etc/etcd/etcd.yaml"), "error") {
		t.Errorf("a changed parameter: %q", second)
	}
	if of := func(text string) string { return text[strings.Index(text, "/usr/local/bin/etcd "):] }; of(files()) != of(stamps) {
		t.Error("a changed parameter installed the program again")
	}

	m.Shell(t, "systemctl stop etcd; echo '# defaced' >>/etc/etcd/etcd.yaml")
	b.eventually("it is put back", patience, func() error {
		if state := started(); !strings.HasPrefix(state, "active\n") || strings.Contains(m.Shell(t, "cat /etc/etcd/etcd.yaml"), "defaced") {
			return fmt.Errorf("%s", state)
		}
		return nil
	})
	service("{logLevel: error}")

	b.kubectl("", "delete", "ktsv/etcd", "--timeout=2m")
	b.kubectl("", "delete", "ksrv/a", "--timeout=2m")
	after := m.Shell(t, inventory)
	var left []string
	for _, line := range differ(before, after) {
		if !strings.Contains(line, "/var/lib/keelway") { // the runner's own directories and lock
			left = append(left, line)
		}
	}
	if len(left) > 0 {
		t.Errorf("it is not as it was before:\n%s", strings.Join(left, "\n"))
	}
	b.kubectl("", "delete", "kprov/rack", "secret/rack-ssh")
}
