package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

// TestRealRolling: one service on three hosts. A change goes from one to the next, stops at the first failure and goes on there. A dead
// host leaves two ready, is named, holds nobody up, and is left behind by a person's word.
func TestRealRolling(t *testing.T) {
	t.Parallel()
	p := overSSH(t, "a", "b", "c")
	begun := time.Now()
	change := func(parameters string) {
		p.service("cache", "redis", "a, b, c", "rollout: {maxUnavailable: 1}, parameters: {topology: Replicated, "+parameters+"}")
	}
	change("port: 6379")
	p.ready("cache")
	p.since(&begun, "installed on three")
	if said := p.on["a"].Shell(t, `redis-cli -h "$(hostname -i)" SET k works >/dev/null; redis-cli -h "$(hostname -i)" WAIT 2 5000`); said != "2" {
		t.Errorf("%s replicas have the primary's data", said)
	}

	taken := `(python3 -c 'import socket, time
s = socket.socket(); s.bind(("0.0.0.0", 6400)); s.listen(); time.sleep(600)' >/dev/null 2>&1 & echo $! >/var/tmp/holder); sleep 1`
	p.on["b"].Shell(t, taken)
	change("port: 6400")
	s := p.tellsOf("cache", v1alpha1.StalledCondition, "ScriptFailed", "b", "port 6400 is taken")
	if ports := portsOf(t, p); ports != "a:6400 b:6379 c:6379 " {
		t.Errorf("stopped at the first failure: %s, %+v", ports, s.Status.Servers)
	}
	p.on["b"].Shell(t, "kill $(cat /var/tmp/holder)")
	p.kubectl("", "annotate", "ktsv/cache", "keelway.dev/attempt=1")
	p.ready("cache")
	if ports := portsOf(t, p); ports != "a:6400 b:6400 c:6400 " {
		t.Errorf("and went on there: %s", ports)
	}
	p.since(&begun, "stopped at b and went on")

	p.on["c"].Kill(t)
	p.eventually("the dead host is named", patience, func() error {
		get(p.bench, "cache", s)
		if c := reconcile.Condition(s, v1alpha1.ReadyCondition); s.Status.Progress != "2/3" || c == nil || !strings.Contains(c.Message, "c") || s.Status.Servers[0].Name != "c" {
			return fmt.Errorf("%s: %+v %+v", s.Status.Progress, c, s.Status.Servers)
		}
		return nil
	})
	change("port: 6400, maxMemoryMiB: 64")
	for _, name := range []string{"a", "b"} {
		p.machine(name, "the change goes past the dead host to "+name, "grep -c '^maxmemory 64mb' /etc/redis/redis.conf || :", "1")
	}
	p.since(&begun, "changed beside a dead host")

	p.kubectl("", "delete", "ktsv/cache", "--wait=false")
	p.eventually("what holds the deletion up is told", patience, func() error {
		get(p.bench, "cache", s)
		if c := reconcile.Condition(s, v1alpha1.ReadyCondition); c == nil || c.Reason != "DeletionBlocked" || !strings.Contains(c.Message, "c") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	p.kubectl("", "annotate", "ktsv/cache", "keelway.dev/abandon=c")
	p.kubectl("", "wait", "--for=delete", "ktsv/cache", "--timeout=10m")
	for _, name := range []string{"a", "b"} {
		if left := p.on[name].Shell(t, "ls /var/lib/keelway/services /etc/redis 2>/dev/null || :; dpkg-query -W -f '${Package}\n' 'redis*' 2>/dev/null || :"); left != "" {
			t.Errorf("left on %s: %s", name, left)
		}
	}
	p.kubectl("", "delete", "ksrv", "--all", "--wait=false")
	p.kubectl("", "annotate", "ksrv/c", "keelway.dev/abandon="+get(p.bench, "c", &v1alpha1.Server{}).Status.ID)
	p.gone()
}

// portsOf tells where redis is configured to listen on each server.
func portsOf(t *testing.T, p *place) (ports string) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		ports += name + ":" + p.on[name].Shell(t, "sed -n 's/^port //p' /etc/redis/redis.conf") + " "
	}
	return ports
}
