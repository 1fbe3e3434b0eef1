package lab

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/hack/controlplane"
)

// Writes returns the writes of one user agent to what counts as ours: objects of keelway.dev, Secrets and events, in the order
// of their answers. Leases do not count. The line of a write that has just been answered may be missing for a moment.
func (l *Lab) Writes(t testing.TB, userAgent string) []controlplane.AuditEvent {
	t.Helper()
	var out []controlplane.AuditEvent
	for _, event := range l.audit(t) {
		if agent(event) == userAgent {
			out = append(out, event)
		}
	}
	return out
}

// AuditCounts counts such writes by user agent.
func (l *Lab) AuditCounts(t testing.TB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, event := range l.audit(t) {
		counts[agent(event)]++
	}
	return counts
}

func (l *Lab) audit(t testing.TB) []controlplane.AuditEvent {
	t.Helper()
	all, err := controlplane.ReadAudit(l.AuditLog())
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	var out []controlplane.AuditEvent
	for _, event := range all {
		ref := event.ObjectRef
		if ref.APIGroup == "keelway.dev" || ref.Resource == "events" || ref.APIGroup == "" && ref.Resource == "secrets" {
			out = append(out, event)
		}
	}
	return out
}

// agent is the name of the program; kubectl adds its version and platform.
func agent(event controlplane.AuditEvent) string {
	name, _, _ := strings.Cut(event.UserAgent, " ")
	return name
}
