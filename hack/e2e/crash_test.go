package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/saga"
)

const (
	parallelLimit = 25
	maxInFlight   = 10
)

// slow is a cloud in which something is always under way.
var slow = mem.Options{BootTime: 300 * time.Millisecond, DeleteTime: 200 * time.Millisecond, LogLimit: 1 << 16}

// fleet is a workflow of servers by count and by key, waits, and both kinds of edges: 200 instances at share 1, 178 of them Servers.
// The last operation asks for the given size; it has last of the servers.
func fleet(name, policy, lastSize string, part float64) (yaml string, servers, last int) {
	n := func(full int) int { return max(1, int(float64(full)*part)) }
	var keys []string
	for i := range n(30) {
		keys = append(keys, fmt.Sprintf("{key: site-%d, zone: zone-%d}", i, i%2+1))
	}
	yaml = fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: %s}
spec:
  parallelLimit: %d
  onFailure: %s
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: %d, template: {labels: {role: base}, spec: {providerRef: {name: cloud}}}}}
  - {name: breath, type: Wait, wait: {duration: 1s, count: %d}}
  - name: sites
    type: ServerBatch
    dependsOn: [{operation: base}]
    serverBatch: {forEach: [%s], template: {spec: {providerRef: {name: cloud}, size: medium}}}
  - name: pause
    type: Wait
    dependsOn: [{operation: base}, {operation: breath, type: Soft}]
    wait: {duration: 2s, count: %d}
  - name: workers
    type: ServerBatch
    dependsOn: [{operation: pause}]
    serverBatch: {count: %d, template: {spec: {providerRef: {name: cloud}}}}
  - name: edge
    type: ServerBatch
    dependsOn: [{operation: sites, type: Soft}, {operation: breath, type: Soft}]
    serverBatch: {count: %d, template: {spec: {providerRef: {name: cloud}, zone: zone-2}}}
  - name: last
    type: ServerBatch
    dependsOn: [{operation: workers}, {operation: edge}]
    serverBatch: {count: %d, template: {spec: {providerRef: {name: cloud}, size: %s}}}
`, name, parallelLimit, policy, n(50), n(12), strings.Join(keys, ", "), n(10), n(48), n(30), n(20), lastSize)
	return yaml, n(50) + n(30) + n(48) + n(30) + n(20), n(20)
}

func TestWorkflowSurvivesKillsOfTheOperator(t *testing.T) {
	t.Parallel()
	b, rng := newBench(t, slow), dice(t)
	b.start()
	b.provider(maxInFlight)
	yaml, servers, _ := fleet("crash", "Fail", "large", 1)
	b.apply(yaml)

	run := b.forward("crash")
	run.times = pick(10, 40)
	b.killAlong(rng, "forward", run)
	w := b.reaches("crash", v1alpha1.WorkflowSucceeded)
	b.complete(w, servers)
	if most := b.cloud.Report().MostMaking; most > maxInFlight {
		t.Errorf("%d machines were in the making at once, %d may be", most, maxInFlight)
	}

	b.kubectl("", "delete", "bwf", "crash", "--wait=false")
	end := b.emptying("crash", servers)
	end.times = pick(3, 12)
	b.killAlong(rng, "deletion", end)
	b.vanishes("provider.keelway.dev/cloud")
	b.once(servers)
}

// complete holds what must be true of a workflow that succeeded, whatever happened on the way.
func (b *bench) complete(w *v1alpha1.BatchWorkflow, servers int) {
	b.t.Helper()
	l := b.ledger(w.Name)
	b.agrees(w, l)
	for i := range l.N() {
		if l.Phases[i] != saga.Succeeded || l.Attempts[i] != 1 {
			b.t.Errorf("%s/%s is %s after %d attempts", l.Ops[l.OpOf(i)].Name, l.Key(i), l.Phases[i], l.Attempts[i])
		}
	}
	b.once(servers)
	if live := b.cloud.Report().Live; live != servers {
		b.t.Errorf("%d machines live for %d Servers", live, servers)
	}
	var ids []string
	all := b.servers()
	for i := range all {
		if all[i].Status.ID == "" || all[i].Status.Phase != v1alpha1.ServerReady {
			b.t.Errorf("server %s is %s with machine %q", all[i].Name, all[i].Status.Phase, all[i].Status.ID)
		}
		ids = append(ids, all[i].Status.ID)
	}
	slices.Sort(ids)
	if distinct := len(slices.Compact(ids)); len(all) != servers || distinct != servers {
		b.t.Errorf("%d Servers with %d machines, want %d of each", len(all), distinct, servers)
	}
	b.ordered(b.t, w.Name, parallelLimit)
}

// once holds that the cloud made one machine for each Server, ever, and never two at a time for one.
func (b *bench) once(servers int) {
	b.t.Helper()
	r := b.cloud.Report()
	if r.Made != servers || len(r.Violations) > 0 {
		b.t.Errorf("the cloud made %d machines for %d Servers; violations: %q", r.Made, servers, r.Violations)
	}
	seen := map[string]string{}
	for _, call := range r.Calls {
		if call.Verb == mem.Create && call.Effect {
			if other, again := seen[call.Owner.UID]; again {
				b.t.Errorf("server %s got the machines %s and %s", call.Owner.Name, other, call.ID)
			}
			seen[call.Owner.UID] = call.ID
		}
	}
}

// agrees holds the summary against the ledger.
func (b *bench) agrees(w *v1alpha1.BatchWorkflow, l *saga.Ledger) {
	b.t.Helper()
	c := l.Counts()
	want := v1alpha1.WorkflowCounts{
		Pending: c[saga.Pending] + c[saga.Retrying], Running: c[saga.Running] + c[saga.Undoing], Succeeded: c[saga.Succeeded],
		Failed: l.Failures(), Skipped: c[saga.Skipped], Omitted: c[saga.Omitted], Cancelled: c[saga.Cancelled], Undone: c[saga.Undone],
	}
	if w.Status.Counts == nil || *w.Status.Counts != want {
		b.t.Errorf("status.counts is %+v, the ledger has %+v", w.Status.Counts, want)
	}
	if got, want := w.Status.Progress, fmt.Sprintf("%d/%d", c.Passed(), c.Total()); got != want {
		b.t.Errorf("status.progress is %s, the ledger has %s", got, want)
	}
	if string(w.Status.Phase) != l.Phase.String() {
		b.t.Errorf("status.phase is %s, the ledger's is %s", w.Status.Phase, l.Phase)
	}
}
