package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// says waits until a condition of a Server has a reason and its message holds the words, and returns the Server.
func (b *bench) says(server, condition, reason, words string) *v1alpha1.Server {
	b.t.Helper()
	s := &v1alpha1.Server{}
	b.eventually(server+" says "+reason, patience, func() error {
		get(b, server, s)
		c := reconcile.Condition(s, condition)
		if c == nil || c.Reason != reason || !strings.Contains(c.Message, words) {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	for _, problem := range reconcile.Check(s) {
		b.t.Errorf("%s: %s", server, problem)
	}
	return s
}

func (b *bench) serverReady(name string) *v1alpha1.Server {
	b.t.Helper()
	return b.says(name, v1alpha1.ReadyCondition, v1alpha1.ReasonReady, "")
}

func (b *bench) serverOf(provider, name string) {
	b.t.Helper()
	b.apply(fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: Server\nmetadata: {name: %s}\nspec: {providerRef: {name: %s}}\n", name, provider))
}

// command runs a script on a server as a Run, and returns what it printed.
func (b *bench) command(name, server, script string) string {
	b.t.Helper()
	b.apply(fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: Run\nmetadata: {name: %s}\nspec:\n  action: Command\n  target: {serverRef: {name: %s}}\n  command: {script: %q}\n  timeout: 1m\n", name, server, script))
	r := &v1alpha1.Run{}
	b.eventually("Run "+name, patience, func() error {
		if get(b, name, r); r.Status.Phase != v1alpha1.RunSucceeded {
			return fmt.Errorf("it is %s: %+v", r.Status.Phase, reconcile.Condition(r, v1alpha1.ReadyCondition))
		}
		return nil
	})
	return r.Status.Tail
}

// sshed is what a command prints that is run on a server by `keelway ssh`, with the key that the Provider keeps and the pinned host keys.
func (b *bench) sshed(server, command string) string {
	b.t.Helper()
	program := filepath.Join(b.t.TempDir(), "keelway")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/keelway").CombinedOutput(); err != nil {
		b.t.Fatalf("building keelway: %v: %s", err, out)
	}
	ssh := exec.Command(program, "ssh", server, "-n", b.namespace, "--kubeconfig", b.ControlPlane.Kubeconfig(), "--", command)
	var complaints strings.Builder
	ssh.Stderr = &complaints
	out, err := ssh.Output()
	if err != nil {
		b.t.Errorf("keelway ssh %s -- %s: %v: %s", server, command, err, complaints.String())
	}
	return strings.TrimSpace(string(out))
}

// TestRealHosts: three Debian servers over SSH, as a pool. Keys are made, pinned and trusted anew; a fourth Server waits; a dead
// host holds nobody up, and its Server goes when a person abandons the machine.
func TestRealHosts(t *testing.T) {
	t.Parallel()
	debian.Require(t)
	b := newBench(t, mem.Options{}, "--local-drivers=Host")
	b.start()
	var hosts []*debian.Machine
	list := ""
	for range 3 {
		m := debian.Start(t)
		hosts = append(hosts, m)
		list += fmt.Sprintf("    - {address: 127.0.0.1, port: %d, serviceAddress: %s}\n", m.SSHPort, m.Address)
	}
	b.apply("apiVersion: keelway.dev/v1alpha1\nkind: Provider\nmetadata: {name: rack}\nspec:\n  type: Local\n  access: {user: admin, become: Sudo}\n  local:\n    driver: Host\n    hosts:\n" + list)
	p := &v1alpha1.Provider{}
	b.eventually("a key is made", patience, func() error {
		if get(b, "rack", p); p.Status.PublicKey == "" {
			return fmt.Errorf("%+v", p.Status.Conditions)
		}
		return nil
	})
	for _, m := range hosts {
		m.Authorize(t, "admin", p.Status.PublicKey)
	}
	b.kubectl("", "annotate", "kprov/rack", "keelway.dev/attempt=1")
	b.eventually("the pool is ready", patience, func() error {
		get(b, "rack", p)
		c := reconcile.Condition(p, v1alpha1.ReadyCondition)
		if c == nil || !strings.Contains(c.Message, "3 hosts, 3 free") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	on := map[string]*debian.Machine{}
	for _, name := range []string{"a", "b", "c"} {
		b.serverOf("rack", name)
	}
	for _, name := range []string{"a", "b", "c"} {
		s := b.serverReady(name)
		if f := s.Status.Facts; f.OS != "debian" || f.InitSystem != "systemd" || !f.Root || len(s.Status.HostKeys) != 3 {
			t.Errorf("%s: facts %+v, %d host keys", name, f, len(s.Status.HostKeys))
		}
		for _, m := range hosts {
			if m.Address == s.Status.Access.Address {
				on[name] = m
			}
		}
	}
	if len(on) != 3 || on["a"] == on["b"] || on["b"] == on["c"] || on["a"] == on["c"] {
		t.Fatalf("three Servers are on %v", on)
	}
	if name := strings.TrimSpace(on["a"].Shell(t, "hostname")); b.sshed("a", "hostname") != name {
		t.Errorf("keelway ssh a comes to another machine than %s", name)
	}
	b.serverOf("rack", "d")
	b.says("d", v1alpha1.ReadyCondition, "ResourcesDepleted", "3 are taken and 0 cannot be used")
	if said := b.command("whoami", "a", "id -un; cat /etc/hostname"); !strings.HasPrefix(said, "root\n"+on["a"].ID[:12]) {
		t.Errorf("the command said %q", said)
	}

	t.Run("another host key", func(t *testing.T) {
		defer b.as(t)()
		on["b"].Shell(t, `rm -f /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; systemctl restart ssh; pkill -f "[s]shd: admin" || :`)
		s := b.says("b", v1alpha1.StalledCondition, "HostKeyChanged", "keelway.dev/trust")
		print := strings.Fields(on["b"].Shell(t, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
		if c := reconcile.Condition(s, v1alpha1.StalledCondition); !strings.Contains(c.Message, print) {
			t.Errorf("%s is not in %q", print, c.Message)
		}
		b.kubectl("", "annotate", "kprov/rack", "keelway.dev/trust="+print)
		b.kubectl("", "annotate", "ksrv/b", "keelway.dev/trust="+print)
		b.serverReady("b")
	})

	t.Run("a dead host", func(t *testing.T) {
		defer b.as(t)()
		on["c"].Kill(t)
		b.says("c", v1alpha1.ReadyCondition, "Unreachable", "admin@127.0.0.1")
		for _, name := range []string{"a", "b"} {
			if s := get(b, name, &v1alpha1.Server{}); !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ReadyCondition) {
				t.Errorf("%s is not ready either: %+v", name, s.Status.Conditions)
			}
		}
		id := get(b, "c", &v1alpha1.Server{}).Status.ID
		b.kubectl("", "delete", "ksrv/c", "--wait=false")
		b.says("c", v1alpha1.ReadyCondition, "Unreachable", "keelway.dev/abandon="+id)
		b.kubectl("", "annotate", "ksrv/c", "keelway.dev/abandon="+id)
	})
	b.kubectl("", "delete", "krun,ksrv", "--all", "--wait=false")
	b.eventually("the Servers go", patience, func() error {
		if left := b.servers(); len(left) > 0 {
			return fmt.Errorf("%d are left: %+v", len(left), left[0].Status.Conditions)
		}
		return nil
	})
	for _, name := range []string{"a", "b"} {
		if left := on[name].Shell(t, "ls /var/lib/keelway 2>/dev/null || :"); strings.Contains(left, "claim") {
			t.Errorf("%s was not given back: %q", name, left)
		}
	}
	b.kubectl("", "delete", "kprov/rack", "secret/rack-ssh")
}

// TestRealContainers: Debian servers in containers, made by the operator, with true facts and no trace afterwards.
func TestRealContainers(t *testing.T) {
	t.Parallel()
	image := debian.Require(t)
	b := newBench(t, mem.Options{}, "--local-drivers=Docker")
	b.start()
	b.apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: docker}
spec:
  type: Local
  local:
    driver: Docker
    docker:
      image: %s
      command: [/sbin/init]
      environment: {container: docker}
      capabilities: {add: [ALL], drop: [SYS_RESOURCE]}
      securityOptions: [seccomp=unconfined, apparmor=unconfined]
      cgroupNamespace: Host
      tmpfs: [/run, /run/lock, /tmp]
      volumes: [{path: /sys/fs/cgroup, hostPath: /sys/fs/cgroup}, {path: /srv}]
---
apiVersion: keelway.dev/v1alpha1
kind: Server
metadata: {name: lost}
spec: {providerRef: {name: docker}, image: no-such-image:1}
`, image))
	b.serverOf("docker", "a")
	s := b.serverReady("a")
	if f := s.Status.Facts; f.OS != "debian" || f.PackageManager != "apt" || !f.Root || len(f.Addresses) == 0 {
		t.Errorf("facts %+v", f)
	}
	b.says("lost", v1alpha1.StalledCondition, "Invalid", `no image "no-such-image:1"`)
	b.eventually("systemd has started", patience, func() error {
		if out, _ := exec.Command("docker", "exec", s.Status.ID, "systemctl", "is-system-running").Output(); !strings.Contains(string(out), "running") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if said := b.command("init", "a", "cat /proc/1/comm"); said != "systemd\n" {
		t.Errorf("process 1 is %q", said)
	}
	b.kubectl("", "delete", "krun,ksrv", "--all", "--timeout=2m")
	if out, err := exec.Command("docker", "inspect", s.Status.ID).CombinedOutput(); err == nil {
		t.Errorf("the container is left: %.200s", out)
	}
	b.kubectl("", "delete", "kprov/docker")
}
