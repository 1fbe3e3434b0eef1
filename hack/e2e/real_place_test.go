package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
)

// longer is how long anything may take that installs packages on a real server, behind others that wait for the same machine's lock.
const longer = 10 * time.Minute

// place is a way to Debian servers: a bench whose operator has Servers a, b, … there, each with the machine behind it.
type place struct {
	*bench
	on map[string]*debian.Machine
}

// overSSH makes hosts and puts them into a pool that the operator reaches as admin, with sudo.
func overSSH(t *testing.T, names ...string) *place {
	debian.Require(t)
	p := &place{bench: newBench(t, mem.Options{}, "--local-drivers=Host"), on: map[string]*debian.Machine{}}
	p.start()
	list, behind := "", map[string]*debian.Machine{}
	for range names {
		m := debian.Start(t)
		behind[m.Address] = m
		list += fmt.Sprintf("    - {address: 127.0.0.1, port: %d, serviceAddress: %s}\n", m.SSHPort, m.Address)
	}
	mirror, _ := bridgeMirror(p.bench)
	p.apply(fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: Provider\nmetadata: {name: rack}\nspec:\n  type: Local\n  access: {user: admin, become: Sudo}\n"+
		"  mirrors: [{prefix: \"https://github.com/\", url: %q}]\n  local:\n    driver: Host\n    hosts:\n%s", mirror, list))
	rack := &v1alpha1.Provider{}
	p.eventually("a key is made", patience, func() error {
		if get(p.bench, "rack", rack); rack.Status.PublicKey == "" {
			return fmt.Errorf("%+v", rack.Status.Conditions)
		}
		return nil
	})
	for _, m := range behind {
		m.Authorize(t, "admin", rack.Status.PublicKey)
	}
	p.kubectl("", "annotate", "kprov/rack", "keelway.dev/attempt=1")
	for _, name := range names {
		p.serverOf("rack", name)
	}
	for _, name := range names {
		p.on[name] = behind[p.serverReady(name).Status.Access.Address]
	}
	return p
}

// inContainers lets the operator make the servers, and reaches them through the Engine. They may not adjust the clock.
func inContainers(t *testing.T, names ...string) *place {
	image := debian.Require(t)
	p := &place{bench: newBench(t, mem.Options{}, "--local-drivers=Docker"), on: map[string]*debian.Machine{}}
	p.start()
	mirror, _ := bridgeMirror(p.bench)
	p.apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: Provider
metadata: {name: rack}
spec:
  type: Local
  mirrors: [{prefix: "https://github.com/", url: %q}]
  local:
    driver: Docker
    docker:
      image: %s
      command: [/sbin/init]
      environment: {container: docker}
      capabilities: {add: [ALL], drop: [SYS_RESOURCE, SYS_TIME]}
      securityOptions: [seccomp=unconfined, apparmor=unconfined]
      cgroupNamespace: Host
      tmpfs: [/run, /run/lock, /tmp]
      volumes: [{path: /sys/fs/cgroup, hostPath: /sys/fs/cgroup}]
`, mirror, image))
	for _, name := range names {
		p.serverOf("rack", name)
	}
	for _, name := range names {
		s := p.serverReady(name)
		p.on[name] = &debian.Machine{ID: s.Status.ID, Address: s.Status.Access.Address}
		p.machine(name, "systemd has started on "+name, "systemctl is-system-running | sed s/degraded/running/ || :", "running")
	}
	return p
}

// gone deletes everything, in whatever order it goes.
func (p *place) gone() {
	p.t.Helper()
	p.kubectl("", "delete", "ktsv,ksrv,kprov", "--all", "--timeout=10m")
	p.kubectl("", "delete", "secret", "--all")
}

// service applies a TaskService; spec is what comes after recipe and servers, in flow style.
func (p *place) service(name, recipe, servers, spec string) {
	p.t.Helper()
	p.apply(fmt.Sprintf("apiVersion: keelway.dev/v1alpha1\nkind: TaskService\nmetadata: {name: %s}\nspec: {recipe: %s, servers: {names: [%s]}, health: {interval: 5s}, %s}\n", name, recipe, servers, spec))
}

// ready waits until TaskServices are ready for the spec that they have now.
func (p *place) ready(names ...string) {
	p.t.Helper()
	for _, name := range names {
		s := &v1alpha1.TaskService{}
		p.eventually(name+" is ready", longer, func() error {
			get(p.bench, name, s)
			if c := reconcile.Condition(s, v1alpha1.ReadyCondition); c == nil || c.Status != "True" || s.Status.ObservedGeneration != s.Generation {
				return fmt.Errorf("%+v %+v", c, s.Status.Servers)
			}
			return nil
		})
		for _, problem := range reconcile.Check(s) {
			p.t.Errorf("%s: %s", name, problem)
		}
	}
}

// machine waits until a script on a server prints nothing more than what is wanted. It asks seldom: each question is a process there.
func (p *place) machine(server, what, script, want string) {
	p.t.Helper()
	p.eventually(what, longer, func() error {
		if said := p.on[server].Shell(p.t, script); said != want {
			time.Sleep(500 * time.Millisecond)
			return fmt.Errorf("%s", said)
		}
		return nil
	})
}

// since tells how long a part of a test took.
func (p *place) since(begun *time.Time, what string) {
	p.t.Logf("%s after %.1f s", what, time.Since(*begun).Seconds())
	*begun = time.Now()
}

// tellsOf waits until a condition of a TaskService has a reason and words.
func (p *place) tellsOf(name, condition, reason string, words ...string) *v1alpha1.TaskService {
	p.t.Helper()
	s := &v1alpha1.TaskService{}
	p.eventually(name+" says "+reason, longer, func() error {
		get(p.bench, name, s)
		c := reconcile.Condition(s, condition)
		if c == nil || c.Reason != reason {
			return fmt.Errorf("%+v, servers %+v", c, s.Status.Servers)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("%q is not in %q", word, c.Message)
			}
		}
		return nil
	})
	return s
}

// inventory lists what a service could leave behind: files with mode, owner and size, users, groups, packages and units, with what
// runs. What changes by itself (logs, caches, temporary files, the package manager's own books, the runner's directories) is left out.
const inventory = `find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/log -o -path /var/cache -o -path /var/lib/apt \
	-o -path /var/lib/ucf -o -path /var/tmp -o -path /var/lib/systemd -o -path /var/lib/keelway -o -path '/home/admin/.*' \) -prune \
	-o -type f -printf 'file %p %m %u:%g %s\n' -o -type d -printf 'dir %p %m %u:%g\n' -o -type l -printf 'link %p %l\n' |
	grep -v -E '/etc/.*-( |$)|/etc/\.pwd\.lock|/root/\.|\.dpkg|/var/lib/dpkg/(status|statoverride)|/etc/ld\.so\.cache' | sort
	cut -d: -f1,3 /etc/passwd | sed 's/^/user /' | sort; cut -d: -f1,3 /etc/group | sed 's/^/group /' | sort
	dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\n'
	systemctl list-unit-files --no-legend --no-pager | sed 's/  */ /g; s/^/unit /' | sort
	systemctl list-units --type=service --state=active --no-legend --no-pager | sed 's/  */ /g; s/^/runs /' | grep -v -E 'user@|user-runtime|systemd-(tmpfiles|update)' | sort`

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
