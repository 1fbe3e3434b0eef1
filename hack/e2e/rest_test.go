package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
)

// Servers that are Ready, with a workflow that has ended, cost the API server no write: no status, no event, nothing.
func TestNoWritesAtRest(t *testing.T) {
	t.Parallel()
	servers, quiet := pick(100, 500), pick(15*time.Second, 2*time.Minute)
	b := newBench(t, brisk)
	b.start()
	b.provider(1000)
	b.apply(fmt.Sprintf(`
apiVersion: keelway.dev/v1alpha1
kind: BatchWorkflow
metadata: {name: many}
spec:
  parallelLimit: 1000
  operations:
  - {name: servers, type: ServerBatch, serverBatch: {count: %d, template: {spec: {providerRef: {name: cloud}}}}}
`, servers))
	b.reaches("many", v1alpha1.WorkflowSucceeded)
	b.eventually("every Server is Ready and counted", patience, func() error {
		for _, s := range b.servers() {
			if s.Status.Phase != v1alpha1.ServerReady {
				return fmt.Errorf("server %s is %s", s.Name, s.Status.Phase)
			}
		}
		if p := get(b, "cloud", &v1alpha1.Provider{}); int(p.Status.Servers) != servers {
			return fmt.Errorf("the Provider counts %d", p.Status.Servers)
		}
		return nil
	})
	before := len(b.writes())
	if before < 3*servers {
		t.Fatalf("only %d writes were seen for %d Servers: the audit log shows nothing", before, servers)
	}
	time.Sleep(2 * time.Second) // events are told after the fact, and the log's last lines come late
	begun := time.Now()
	time.Sleep(quiet)
	var late []controlplane.AuditEvent
	for _, event := range b.writes() {
		if event.StageTimestamp.After(begun) {
			late = append(late, event)
		}
	}
	t.Logf("%d writes for %d Servers until they were Ready; %d in the %s after that", before, servers, len(late), quiet)
	for _, event := range late[:min(len(late), 10)] {
		t.Errorf("%s %s %s/%s %s at rest", event.Verb, event.ObjectRef.Resource, event.ObjectRef.Name, event.ObjectRef.Subresource, event.StageTimestamp.Format(time.StampMilli))
	}
}

// writes are all of the operators' writes in this namespace, whatever they wrote; leases are elsewhere.
func (b *bench) writes() (own []controlplane.AuditEvent) {
	b.t.Helper()
	all, err := controlplane.ReadAudit(b.AuditLog())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, event := range all {
		if event.User.Username == account && event.ObjectRef.Namespace == b.namespace {
			own = append(own, event)
		}
	}
	return own
}
