package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/mem"
)

// crowd is a workflow of servers that all may start at once, as far as it goes.
func crowd(name string, servers int) string {
	return workflow(name, fmt.Sprintf("{name: base, type: ServerBatch, serverBatch: {count: %d, template: {spec: {providerRef: {name: cloud}}}}}", servers))
}

// Two workflows at an account that has fewer places than they want: neither keeps the other waiting until it is done, what waits
// says for whose limit, no place stays free, and the cloud never sees more than may be.
func TestWorkflowsTakeTurnsAtAnAccount(t *testing.T) {
	t.Parallel()
	const places, servers = 2, 8
	b := newBench(t, mem.Options{BootTime: 700 * time.Millisecond, DeleteTime: 50 * time.Millisecond, LogLimit: 1 << 16})
	b.provider(places)
	b.apply(crowd("first", servers))
	b.apply(crowd("other", servers))
	b.start() // both are there at its first look
	b.eventually("what waits says for whose limit", patience, func() error {
		for _, name := range []string{"first", "other"} {
			for _, op := range get(b, name, &v1alpha1.BatchWorkflow{}).Status.Operations {
				for _, waits := range op.WaitingFor {
					if strings.Contains(waits.Limit, "limits.maxInFlight of Provider cloud") {
						return nil
					}
				}
			}
		}
		return fmt.Errorf("nobody does")
	})
	b.reaches("first", v1alpha1.WorkflowSucceeded)
	b.reaches("other", v1alpha1.WorkflowSucceeded)
	r := b.cloud.Report()
	if r.MostMaking != places {
		t.Errorf("%d machines were in the making at once, %d places are there", r.MostMaking, places)
	}
	b.once(2 * servers)
	var order []string
	for _, call := range r.Calls {
		if call.Verb == mem.Create && call.Effect {
			workflow, _, _ := strings.Cut(call.Owner.Name, "-")
			order = append(order, workflow)
		}
	}
	t.Logf("machines were made in the order of %v", order)
	last := map[string]int{}
	for n, workflow := range order {
		last[workflow] = n
	}
	if min(last["first"], last["other"]) < servers { // without turns one has all its machines before the other has any
		t.Errorf("one had no turn before the other one had all: %v", order)
	}
}
