package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

// slowDpkg makes every call of dpkg last two seconds longer, so that an installation has as many moments to be cut off in.
const slowDpkg = `printf 'pre-invoke="sleep 1"\npost-invoke="sleep 1"\n' >/etc/dpkg/dpkg.cfg.d/slow`

// doorkeeper stands before apt-get and writes down each installation that begins, with those that still run. It is asked before the deed
// and then becomes it, so that nothing is missed and no child that apt-get splits off is taken for another.
const doorkeeper = `dpkg-divert --quiet --local --rename --add /usr/bin/apt-get
cat >/usr/bin/apt-get <<'END'
#!/bin/bash
case " $* " in *" -s "*) ;; *" install "*)
	exec 9>/var/tmp/asked; flock 9
	others=; for pid in $(cut -d' ' -f1 /var/tmp/begun); do
		tr '\0' ' ' </proc/$pid/cmdline 2>/dev/null | grep -q '^apt-get .* install ' && others="$others $pid"
	done
	echo "$$ beside:$others" >>/var/tmp/begun
	exec 9>&- ;;
esac
exec -a apt-get /usr/bin/apt-get.distrib "$@"
END
chmod 755 /usr/bin/apt-get; : >/var/tmp/begun`

// sound is what has to be true of the package manager whenever nothing runs: dpkg has nothing to complain about.
const sound = `dpkg --audit; ls /var/lib/dpkg/updates; dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | grep -v '^.i' || :`

// TestRealKillsWhileInstalling: in every second of an installation the operator is killed, or its connections are cut. It goes on,
// once, and dpkg is sound.
func TestRealKillsWhileInstalling(t *testing.T) {
	t.Parallel()
	p := overSSH(t, "a")
	m := p.on["a"]
	m.Shell(t, slowDpkg+"\n"+doorkeeper)
	p.service("cache", "redis", "a", "")
	p.machine("a", "the installation begins", "[ ! -s /var/tmp/begun ] || echo begun", "begun")
	kills := 0
	for begun := time.Now(); m.Shell(t, `pgrep -x "apt-get.*|dpkg" >/dev/null || echo installed`) != "installed"; kills++ {
		if time.Since(begun) > longer {
			t.Fatalf("it is not installed after %d kills: %s", kills, p.story(20))
		}
		if kills%2 == 0 {
			p.present.kill()
			p.start()
		} else {
			m.Shell(t, `pkill -KILL -f "[s]shd: admin" || :`)
		}
		time.Sleep(time.Second)
	}
	p.ready("cache")
	t.Logf("installed after %d kills", kills)
	if kills < 4 {
		t.Errorf("only %d kills: the installation was too short for this test", kills)
	}
	if begun := m.Shell(t, "cat /var/tmp/begun"); strings.Count(begun, "beside:") != 1 {
		t.Errorf("installations that began, each with those that ran already:\n%s", begun)
	}
	if times := m.Shell(t, "grep -c '^Commandline: apt-get .* install ' /var/log/apt/history.log"); times != "1" {
		t.Errorf("it was installed %s times", times)
	}
	if said := m.Shell(t, sound); said != "" {
		t.Errorf("dpkg complains: %s", said)
	}
	p.gone()
}

// TestRealInterruptedInstallation: an installation that is ended in its middle, because the service is deleted, leaves nothing and no
// disorder, whenever that is.
func TestRealInterruptedInstallation(t *testing.T) {
	t.Parallel()
	p := inContainers(t, "a")
	m := p.on["a"]
	m.Shell(t, slowDpkg+"; apt-get -q update >/dev/null")
	before := m.Shell(t, inventory)
	cut := 0
	for seconds := 0; seconds < pick(9, 18); seconds += pick(3, 1) {
		p.service("cache", "redis", "a", "")
		p.machine("a", "dpkg runs", "pgrep -x dpkg >/dev/null && echo yes || :", "yes")
		time.Sleep(time.Duration(seconds) * time.Second)
		if s := get(p.bench, "cache", &v1alpha1.TaskService{}); s.Status.Version == "" {
			cut++
		}
		p.kubectl("", "delete", "ktsv/cache", "--timeout=10m")
		if said := m.Shell(t, sound); said != "" {
			t.Errorf("cut off after %d s, and dpkg complains: %s", seconds, said)
		}
		if left := differ(before, m.Shell(t, inventory)); len(left) > 0 {
			t.Errorf("cut off after %d s, and left are:\n%s", seconds, strings.Join(left, "\n"))
		}
	}
	if cut == 0 {
		t.Error("every installation was through before it was cut off")
	}
	p.gone()
}

// TestRealPowerCut: the machine goes dark in the middle of dpkg, and comes back. What was cut off is finished, by one further
// installation.
func TestRealPowerCut(t *testing.T) {
	t.Parallel()
	p := inContainers(t, "a")
	m := p.on["a"]
	m.Shell(t, slowDpkg+"\n"+doorkeeper)
	p.service("cache", "redis", "a", "")
	p.machine("a", "a package is half installed", `dpkg-query -W -f '${db:Status-Status}\n' | grep -qE '^(unpacked|half)' && echo yes || :`, "yes")
	m.Cut(t)
	if said := m.Shell(t, sound); said == "" {
		t.Error("dpkg was through already: nothing was cut off")
	}
	p.ready("cache")
	if said := m.Shell(t, sound); said != "" {
		t.Errorf("dpkg complains: %s", said)
	}
	if begun := m.Shell(t, "cat /var/tmp/begun"); strings.Contains(begun, "beside: ") {
		t.Errorf("installations that began, each with those that ran already:\n%s", begun)
	}
	p.gone()
}

// TestRealBadMachines: what is wrong with a machine is told in words that say what to do, and when it is mended all goes on.
func TestRealBadMachines(t *testing.T) {
	t.Parallel()
	p := overSSH(t, "a")
	m := p.on["a"]
	m.Shell(t, "apt-get -q update >/dev/null; apt-get -q -y install --no-install-recommends redis-tools >/dev/null 2>&1")
	begun := time.Now()

	t.Run("a disk that is full in the middle", func(t *testing.T) {
		defer p.as(t)()
		m.Shell(t, "mkdir -p /usr/share/nginx && mount -t tmpfs -o size=4k tmpfs /usr/share/nginx && head -c 4096 /dev/zero >/usr/share/nginx/full")
		p.service("web", "nginx", "a", "")
		p.tellsOf("web", v1alpha1.ReadyCondition, "ResourcesDepleted", "no space left on the machine's disk")
		m.Shell(t, "umount /usr/share/nginx")
		p.ready("web")
		if said := m.Shell(t, sound); said != "" {
			t.Errorf("dpkg complains: %s", said)
		}
		p.since(&begun, "room was found")
	})

	t.Run("apt's lock held by somebody else", func(t *testing.T) {
		defer p.as(t)()
		m.Shell(t, `(python3 -c 'import fcntl, time
f = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(600)' >/dev/null 2>&1 & echo $! >/var/tmp/holder); sleep 1`)
		p.service("time", "chrony", "a", "parameters: {pools: [], localStratum: 8, adjustClock: false}")
		p.tellsOf("time", v1alpha1.ReadyCondition, "InProgress", "another program holds the lock of the package manager", m.Shell(t, "cat /var/tmp/holder"))
		m.Shell(t, "kill $(cat /var/tmp/holder)")
		p.ready("time")
		p.since(&begun, "the lock was free")
	})

	t.Run("a port that is taken", func(t *testing.T) {
		defer p.as(t)()
		m.Shell(t, `(python3 -c 'import socket, time
s = socket.socket(); s.bind(("0.0.0.0", 6379)); s.listen(); time.sleep(600)' >/dev/null 2>&1 & echo $! >/var/tmp/holder); sleep 1`)
		p.service("cache", "redis", "a", "")
		p.tellsOf("cache", v1alpha1.StalledCondition, "ScriptFailed", "port 6379 is taken by process "+m.Shell(t, "cat /var/tmp/holder")+" (python3)", "choose another port")
		m.Shell(t, "kill $(cat /var/tmp/holder)")
		p.kubectl("", "annotate", "ktsv/cache", "keelway.dev/attempt=1")
		p.ready("cache")
		p.since(&begun, "the port was free")
	})

	t.Run("another version than the distribution has", func(t *testing.T) {
		defer p.as(t)()
		p.service("front", "haproxy", "a", `version: "2.8.1", parameters: {backends: "127.0.0.1:80"}`)
		p.tellsOf("front", v1alpha1.StalledCondition, "PlatformUnsuitable", "this machine's distribution has haproxy 2.6.12, and version 2.8.1 was asked for")
		if said := m.Shell(t, "dpkg-query -W -f '${db:Status-Status}' haproxy 2>&1 || :"); strings.HasPrefix(said, "installed") {
			t.Errorf("haproxy was installed: %s", said)
		}
	})

	t.Run("a package that others need", func(t *testing.T) {
		defer p.as(t)()
		p.kubectl("", "delete", "ktsv/cache", "--timeout=10m")
		if said := m.Shell(t, "dpkg-query -W -f '${Package}:${db:Status-Status} ' redis-tools redis-server 2>/dev/null || :"); !strings.Contains(said, "redis-tools:installed") || strings.Contains(said, "redis-server:installed") {
			t.Errorf("what was there before did not stay alone: %s", said)
		}
	})

	t.Run("a script that hangs", func(t *testing.T) {
		defer p.as(t)()
		p.apply("apiVersion: keelway.dev/v1alpha1\nkind: Run\nmetadata: {name: hangs}\nspec:\n  action: Command\n  target: {serverRef: {name: a}}\n  command: {script: \"sleep 1234 & sleep 1234\"}\n  timeout: 3s\n")
		r := &v1alpha1.Run{}
		p.eventually("the Run is out of time", patience, func() error {
			get(p.bench, "hangs", r)
			if c := reconcile.Condition(r, v1alpha1.StalledCondition); c == nil || c.Reason != "TimedOut" {
				return fmt.Errorf("%+v", r.Status)
			}
			return nil
		})
		if left := m.Shell(t, "pgrep -f 'sleep 123[4]' || :"); left != "" {
			t.Errorf("its group still runs: %s", left)
		}
	})

	t.Run("much output", func(t *testing.T) {
		defer p.as(t)()
		said := p.command("talks", "a", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo; echo the end", pick(100<<20, 1<<30)))
		if len(said) > 4096 || !strings.HasSuffix(said, "the end\n") {
			t.Errorf("%d bytes of it are kept, the last of them %q", len(said), said[max(0, len(said)-20):])
		}
		if left := m.Shell(t, "du -s /var/lib/keelway | cut -f1"); len(left) > 4 {
			t.Errorf("%s KiB are kept on the machine", left)
		}
		p.since(&begun, "much was said")
	})

	p.kubectl("", "delete", "krun", "--all", "--timeout=1m")
	p.gone()
}
