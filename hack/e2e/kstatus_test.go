package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/keelway/keelway/api/v1alpha1"
)

// everything makes one object of each kind at least, all of which end well.
const everything = `
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: shop}
spec:
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 2, template: {labels: {role: shop}, spec: {providerRef: {name: cloud}}}}}
  - {name: etcd, type: TaskServiceBatch, dependsOn: [{operation: base}], taskServiceBatch: {recipes: [{name: etcd}], targets: {operation: base}}}
  - {name: check, type: Check, dependsOn: [{operation: etcd}], check: {target: {operation: base, key: "0"}, command: {script: 'true'}}}
---
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: broken}
spec:
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: cloud}, size: colossal}}}}
---
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: back}
spec:
  onFailure: Rollback
  operations:
  - {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: cloud}}}}}
  - {name: more, type: ServerBatch, dependsOn: [{operation: base}], serverBatch: {count: 1, template: {spec: {providerRef: {name: cloud}, size: colossal}}}}
`

// Whoever reads our objects by kstatus, as Flux does, never takes one for done that nobody has looked at.
func TestKstatusFromTheFirstMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t, slow)
	b.provider(maxInFlight) // before there is an operator: nothing may look done by itself
	b.apply(everything)
	time.Sleep(300 * time.Millisecond)
	for kind, read := range b.kstatus() {
		for name, at := range read {
			if last := at[len(at)-1]; last.status != status.InProgressStatus {
				t.Errorf("%s %s is %s without an operator", kind, name, last.status)
			}
		}
	}
	b.start()
	b.apply(object("Provider", "second", fmt.Sprintf("{type: Local, local: {driver: Memory, endpoint: %q}}", b.endpoint))) // while one works
	ends := map[string]status.Status{"shop": status.CurrentStatus, "broken": status.FailedStatus, "back": status.FailedStatus}
	b.reaches("shop", v1alpha1.WorkflowSucceeded)
	b.reaches("broken", v1alpha1.WorkflowFailed)
	b.reaches("back", v1alpha1.WorkflowRolledBack)

	b.eventually("the ends are seen by who watches, too", patience, func() error {
		for name, at := range b.kstatus()["BatchWorkflow"] {
			if last := at[len(at)-1]; last.status != ends[name] {
				return fmt.Errorf("%s is %s: %s", name, last.status, last.message)
			}
		}
		return nil
	})

	all := b.kstatus()
	for _, kind := range []string{"Provider", "Server", "TaskService", "Run", "BatchWorkflow"} {
		if len(all[kind]) == 0 {
			t.Errorf("no %s was seen", kind)
		}
		for name, at := range all[kind] {
			b.young(kind, name, at)
			last, want := at[len(at)-1], status.CurrentStatus
			switch {
			case kind == "BatchWorkflow":
				want = ends[name]
			case last.deleted: // undone
				want = status.TerminatingStatus
			case kind == "Server" && last.size == "colossal":
				want = status.FailedStatus
			}
			if last.status != want {
				t.Errorf("%s %s ends %s (%s), want %s", kind, name, last.status, last.message, want)
			}
		}
	}
}

// reading is what kstatus made of an object at one moment.
type reading struct {
	age     time.Duration // since the object was first seen
	status  status.Status
	message string
	ready   bool // its condition Ready is True, for its present generation
	deleted bool
	size    string
}

// kstatus reads all that was seen of every object, by kind and name.
func (b *bench) kstatus() map[string]map[string][]reading {
	b.t.Helper()
	all, first := map[string]map[string][]reading{}, map[string]time.Time{}
	for _, s := range b.sightings() {
		name, uid := s.object.GetName(), string(s.object.GetUID())
		if s.kind == "Checkpoint" {
			continue // hidden: nobody waits for it
		}
		if _, seen := first[uid]; !seen {
			first[uid] = s.at
		}
		read, err := status.Compute(s.object)
		if err != nil {
			b.t.Errorf("%s %s: %v", s.kind, name, err)
			continue
		}
		if all[s.kind] == nil {
			all[s.kind] = map[string][]reading{}
		}
		all[s.kind][name] = append(all[s.kind][name], reading{
			age: s.at.Sub(first[uid]), status: read.Status, message: read.Message, ready: isReady(s.object),
			deleted: s.verb == kwatch.Deleted, size: text(s.object, "spec", "size"),
		})
	}
	return all
}

// young holds that an object begins InProgress, is Current only once its own condition says so, and that in its first 100 ms
// nobody takes it for done.
func (b *bench) young(kind, name string, at []reading) {
	b.t.Helper()
	if at[0].status != status.InProgressStatus {
		b.t.Errorf("%s %s is %s at first sight (%s)", kind, name, at[0].status, at[0].message)
	}
	for _, r := range at {
		if r.status == status.CurrentStatus && !r.ready {
			b.t.Errorf("%s %s is Current after %s and not Ready", kind, name, r.age)
		}
		// A Provider that has nothing to wait for, and a Run on a simulated machine, may well be done by then.
		if r.status == status.CurrentStatus && r.age < 100*time.Millisecond && kind != "Provider" && kind != "Run" {
			b.t.Errorf("%s %s is Current after %s", kind, name, r.age)
		}
	}
}
