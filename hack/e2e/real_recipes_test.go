package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/catalog"
)

// realRecipe is what is asked of one recipe on a real server. Parameters are in flow style.
type realRecipe struct {
	name    string
	daemon  string
	config  string   // the file that parameters change
	others  []string // files that a change leaves alone
	reloads bool     // a change reloads the daemon and does not restart it

	more    string // fields of the spec besides parameters
	first   string
	again   string // asks for the same in other words
	second  string // asks for something else; empty: the change comes from another service
	changed string // then in the configuration
	proof   string // a script that prints "works" on the server when the service does
}

// realRecipes are all built-in ones: TestRealRecipesAreAll holds that.
var realRecipes = []realRecipe{
	{
		name: "etcd", daemon: "etcd", config: "/etc/etcd/etcd.yaml", others: []string{"/usr/local/bin/etcd", "/usr/local/bin/etcdctl", "/etc/systemd/system/etcd.service"},
		first: "{logLevel: warn}", again: "{logLevel: warn, clientPort: 2379}", second: "{logLevel: error}", changed: "error",
		proof: `[ "$(ps -o user= -C etcd)" = etcd ]; etcdctl --endpoints="http://$(hostname -i):2379" put k works >/dev/null; etcdctl --endpoints="http://$(hostname -i):2379" get k --print-value-only`,
	},
	{
		name: "redis", daemon: "redis-server", config: "/etc/redis/redis.conf", more: "parametersFrom: [{parameter: password, secretKeyRef: {name: redis, key: password}}]",
		first: "{persistence: AppendOnly}", again: "{persistence: AppendOnly, port: 6379}", second: "{persistence: AppendOnly, maxMemoryMiB: 64}", changed: "maxmemory 64mb",
		proof: `REDISCLI_AUTH=$(sed -n "s/^requirepass //p" /etc/redis/redis.conf); export REDISCLI_AUTH; redis-cli SET k works >/dev/null
			[ "$(stat -c %U:%G:%a /etc/redis/redis.conf)" = root:redis:640 ]; redis-cli -h "$(hostname -i)" GET k`,
	},
	{
		name: "nginx", daemon: "nginx", config: "/etc/nginx/nginx.conf", reloads: true,
		first: "{workerProcesses: 1}", again: "{workerProcesses: 1, gzip: true}", second: "{workerProcesses: 1, port: 81}", changed: ":81 default_server",
		proof: `echo works >/var/www/html/w; curl -sf "http://$(hostname -i):81/w"; rm /var/www/html/w`,
	},
	{
		name: "haproxy", daemon: "haproxy", config: "/etc/haproxy/haproxy.cfg", reloads: true,
		more:  "parametersFrom: [{parameter: backends, taskServiceRef: {name: nginx, output: endpoints}}]",
		first: "{mode: HTTP, port: 8080, healthPath: /.well-known/keelway}", again: "{mode: HTTP, port: 8080, healthPath: /.well-known/keelway, maxConnections: 2000}", changed: ":81 check",
		proof: `n=0; until [ "$(curl -s "http://$(hostname -i):8080/.well-known/keelway")" = "nginx a" ] || [ $n = 50 ]; do n=$((n + 1)); sleep 0.2; done; [ $n = 50 ] || echo works`,
	},
	{
		name: "chrony", daemon: "chrony", config: "/etc/chrony/chrony.conf", others: []string{"/etc/default/chrony", "/etc/systemd/system/chrony.service.d/keelway.conf"},
		first: "{pools: [], localStratum: 8, adjustClock: false}", again: "{pools: [], localStratum: 8, adjustClock: false, stepSeconds: 1}",
		second: "{pools: [], localStratum: 9, adjustClock: false}", changed: "local stratum 9",
		proof: `chronyc -n tracking | grep -q "Stratum *: 9" && ps -o args= -C chronyd | grep -q -e -x && echo works`,
	},
	{
		name: "containerd", daemon: "containerd", config: "/etc/containerd/config.toml",
		first: "{restrictOOMScoreAdj: true}", again: "{restrictOOMScoreAdj: true, logLevel: info}", second: "{restrictOOMScoreAdj: true, logLevel: warn}", changed: `"warn"`,
		proof: `ctr namespaces create keelway-test; ctr namespaces remove keelway-test >/dev/null; ctr plugins ls | grep -q "cri .*ok" && echo works`,
	},
}

func TestRealRecipesAreAll(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Names() {
		found := false
		for _, r := range realRecipes {
			found = found || r.name == name
		}
		if !found {
			t.Errorf("recipe %s is in no test on real servers", name)
		}
	}
}

// TestRealRecipesOverSSH: every recipe over SSH and sudo, on a server that systemd-timesyncd keeps on time before and after.
func TestRealRecipesOverSSH(t *testing.T) {
	t.Parallel()
	p := overSSH(t, "a")
	testRecipes(t, p, `apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends systemd-timesyncd`)
}

// TestRealRecipesInContainers: every recipe through docker exec, where haproxy is there before and after, as somebody had it.
func TestRealRecipesInContainers(t *testing.T) {
	t.Parallel()
	p := inContainers(t, "a")
	testRecipes(t, p, `apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends haproxy
		printf '\nlisten theirs\n\tbind 127.0.0.1:9\n\tserver s 127.0.0.1:10\n' >>/etc/haproxy/haproxy.cfg; chmod 0640 /etc/haproxy/haproxy.cfg; systemctl restart haproxy`)
}

// testRecipes installs all of them, looks again, changes, drifts, and removes. What preparing made is somebody else's and stays.
func testRecipes(t *testing.T, p *place, preparing string) {
	m := p.on["a"]
	canary := p.Canary(t, p.namespace)
	m.Shell(t, "("+preparing+") >/var/tmp/prepared 2>&1")
	before := m.Shell(t, inventory)
	p.kubectl("", "create", "secret", "generic", "redis", "--from-literal=password="+canary)

	all := func(parameters func(realRecipe) string, more string) {
		t.Helper()
		for _, r := range realRecipes {
			if text := parameters(r); text != "" {
				p.service(r.name, r.name, "a", "parameters: "+text+", "+strings.Join(append([]string{more}, r.more), ", "))
			}
		}
		for _, r := range realRecipes {
			p.ready(r.name)
		}
	}
	begun := time.Now()
	all(func(r realRecipe) string { return r.first }, "driftPolicy: Correct")
	p.since(&begun, "all are installed")
	stamps := map[string]stamp{}
	for _, r := range realRecipes {
		if stamps[r.name] = stampOf(t, m, r); !strings.Contains(stamps[r.name].unit, "ActiveState=active") {
			t.Errorf("%s: %s", r.name, stamps[r.name].unit)
		}
	}
	if s := get(p.bench, "etcd", &v1alpha1.TaskService{}); s.Status.Version == "" || s.Status.Outputs["endpoints"] == "" {
		t.Errorf("etcd: status %+v", s.Status)
	}

	all(func(r realRecipe) string { return r.again }, "driftPolicy: Correct")
	for _, r := range realRecipes {
		if now := stampOf(t, m, r); now != stamps[r.name] {
			t.Errorf("%s: a second application changed something:\n%+v\n%+v", r.name, stamps[r.name], now)
		}
	}
	p.since(&begun, "applied a second time")

	all(func(r realRecipe) string { return r.second }, "driftPolicy: Correct")
	for _, r := range realRecipes {
		p.machine("a", "the change of "+r.name+" is there", "grep -qF -e '"+r.changed+"' "+r.config+" && echo yes || :", "yes")
		p.ready(r.name)
		now := stampOf(t, m, r)
		if now.others != stamps[r.name].others {
			t.Errorf("%s: a changed parameter touched %s", r.name, now.others)
		}
		if (now.unit == stamps[r.name].unit) != r.reloads {
			t.Errorf("%s: reloads %v, and its unit went from %s to %s", r.name, r.reloads, stamps[r.name].unit, now.unit)
		}
		if said := m.Shell(t, r.proof); said != "works" {
			t.Errorf("%s: %q", r.name, said)
		}
	}

	p.since(&begun, "changed")
	drift(t, p, m)
	p.since(&begun, "drifted and put back")
	p.Scan(t, p.namespace, "what is on the machine besides redis's configuration", m.Shell(t, `grep -rh canary- /var/lib/keelway /var/log /tmp /run/systemd 2>/dev/null || :
		journalctl -q --no-pager | grep canary- || :; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep '^canary-\|=canary-' || :`))

	p.kubectl("", "delete", "ktsv", "--all", "--timeout=10m")
	p.since(&begun, "removed")
	if left := differ(before, m.Shell(t, inventory)); len(left) > 0 {
		t.Errorf("it is not as it was before:\n%s", strings.Join(left, "\n"))
	}
	if left := m.Shell(t, "ls /var/lib/keelway/services 2>/dev/null || :"); left != "" {
		t.Errorf("left of the services: %s", left)
	}
	p.gone()
}

// drift: another hand stops every unit and defaces every file. That is put back, or only reported, as the policy says.
func drift(t *testing.T, p *place, m *debian.Machine) {
	deface := "echo '# defaced' >>"
	for _, r := range realRecipes {
		m.Shell(t, "systemctl stop "+r.daemon+"; "+deface+r.config)
	}
	for _, r := range realRecipes {
		p.machine("a", r.name+" is put back", "systemctl is-active "+r.daemon+" || :; grep defaced "+r.config+" || :", "active")
	}
	for _, r := range realRecipes {
		p.ready(r.name)
		p.kubectl("", "patch", "ktsv/"+r.name, "--type=merge", "-p", `{"spec":{"driftPolicy":"Report"}}`)
	}
	for _, r := range realRecipes {
		p.ready(r.name)
		m.Shell(t, "systemctl stop "+r.daemon+"; "+deface+r.config)
	}
	for _, r := range realRecipes {
		p.tellsOf(r.name, v1alpha1.DriftedCondition, "Drifted", "a", r.config)
		p.tellsOf(r.name, v1alpha1.ReadyCondition, "Unhealthy", "a")
		if said := m.Shell(t, "grep -c defaced "+r.config+"; systemctl is-active "+r.daemon+" || :"); said != "1\ninactive" {
			t.Errorf("%s: what should be reported was put back: %s", r.name, said)
		}
		p.kubectl("", "patch", "ktsv/"+r.name, "--type=merge", "-p", `{"spec":{"driftPolicy":"Correct"}}`)
	}
	for _, r := range realRecipes {
		p.machine("a", r.name+" is put back", "systemctl is-active "+r.daemon+" || :; grep defaced "+r.config+" || :", "active")
		p.ready(r.name)
	}
}

// stamp is what a change leaves another of: times of files, and when a unit became active.
type stamp struct{ unit, config, others string }

func stampOf(t *testing.T, m *debian.Machine, r realRecipe) stamp {
	t.Helper()
	s := stamp{unit: m.Shell(t, "systemctl show "+r.daemon+" -p ActiveState,ActiveEnterTimestampMonotonic"), config: m.Shell(t, "stat -c '%n %y %i' "+r.config)}
	if len(r.others) > 0 {
		s.others = m.Shell(t, "stat -c '%n %y %i' "+strings.Join(r.others, " "))
	}
	return s
}
