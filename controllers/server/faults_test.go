package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider/mem"
)

// TestFaults orders each fault of the cloud, at the way up and at the way down: one machine is made, and none is left.
func TestFaults(t *testing.T) {
	transient := []mem.What{mem.RateLimited, mem.ResourcesDepleted, mem.Transient, mem.Stuck, mem.Panic}
	type plan struct {
		reason   string
		up, down []mem.Order
		stalls   fault.Reason // on the way up
		final    bool         // trying again does not help: the machine is lost
	}
	tests := map[string]plan{
		"none":                {reason: "the rig itself is sound"},
		"create, reply lost":  {reason: "the machine is found by its key", up: []mem.Order{{Verb: mem.Create, What: mem.ReplyLost}}},
		"hidden":              {reason: "a List that lags makes no second machine", up: []mem.Order{{What: mem.Hidden, For: testSettle / 2}}},
		"denied":              {reason: "NotFound of a fresh machine is not its end", up: []mem.Order{{What: mem.Denied, For: testSettle / 2}}},
		"quota":               {reason: "nothing is retried until somebody asks", up: []mem.Order{{Verb: mem.Create, What: mem.QuotaExceeded}}, stalls: fault.ReasonQuotaExceeded},
		"unauthorized":        {reason: "nothing is retried until somebody asks", up: []mem.Order{{Verb: mem.Create, What: mem.Unauthorized}}, stalls: fault.ReasonUnauthorized},
		"boot fails":          {reason: "the provider's words reach people, and the machine still goes", up: []mem.Order{{What: mem.BootFails}}, stalls: fault.ReasonMachineFailed, final: true},
		"delete, reply lost":  {reason: "it is asked again until it is Gone", down: []mem.Order{{Verb: mem.Delete, What: mem.ReplyLost}}},
		"delete, three times": {reason: "whatever it takes", down: []mem.Order{{Verb: mem.Delete, What: mem.ReplyLost, Count: 2}, {Verb: mem.Delete, What: mem.Transient}}},
		"delete, refused":     {reason: "a deletion is never given up", down: []mem.Order{{Verb: mem.Delete, What: mem.Unauthorized, Count: 3}}},
	}
	for _, what := range transient {
		for _, verb := range []mem.Verb{mem.Create, mem.List} {
			tests[fmt.Sprintf("%s %s", verb, what)] = plan{reason: "it passes", up: []mem.Order{{Verb: verb, What: what, Count: 2}}}
		}
		for _, verb := range []mem.Verb{mem.Delete, mem.List, mem.Get} {
			tests[fmt.Sprintf("leaving, %s %s", verb, what)] = plan{reason: "it passes", down: []mem.Order{{Verb: verb, What: what, Count: 2}}}
		}
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rg := newRig(t, mem.Options{BootTime: 3 * time.Millisecond, DeleteTime: 3 * time.Millisecond}, readyProvider(), newServer("a"))
			r := rg.boot(rg.client)
			rg.cloud.Inject(tc.up...)
			if tc.stalls != "" {
				rg.drive(r, "a", "stalled by "+string(tc.stalls), stalled(tc.stalls))
				rg.raise("a", "1")
			}
			if tc.final {
				rg.reconcile(r, "a")
				rg.drive(r, "a", "stalled still", stalled(tc.stalls))
			} else {
				rg.up(r, "a")
			}
			if made := rg.cloud.Report().Made; made != 1 {
				t.Errorf("%s: %d machines were made", tc.reason, made)
			}
			rg.sound(1)
			if held := r.Turnstile.Held(testAccount); len(held) > 0 {
				t.Errorf("%s: a machine that is not in the making holds a slot", tc.reason)
			}
			rg.cloud.Inject(tc.down...)
			rg.down(r, "a")
			rg.sound(0)
		})
	}
}

func (rg *rig) raise(name, attempt string) {
	rg.t.Helper()
	s := rg.get(name)
	patch := client.MergeFrom(s.DeepCopy())
	s.Annotations = map[string]string{v1alpha1.AnnotationAttempt: attempt}
	if err := rg.client.Patch(context.Background(), s, patch); err != nil {
		rg.t.Fatal(err)
	}
}

// TestCrashes kills the process at each of its writes, on the way up and on the way down, before the write is sent and after it
// was committed; with a cloud that lists a fresh machine at once, and one that takes its time. The end is always the same.
func TestCrashes(t *testing.T) {
	var total int
	rg := newRig(t, mem.Options{}, readyProvider(), newServer("a")).unhurried()
	r := rg.boot(rg.crashing(0, false, &total))
	rg.up(r, "a")
	rg.down(r, "a")
	if total < 3 {
		t.Fatalf("a life has at least three writes, not %d", total)
	}
	for n := 1; n <= total; n++ {
		for mode := range 4 {
			committed, late := mode&1 != 0, mode&2 != 0
			t.Run(fmt.Sprintf("write %d committed %v late %v", n, committed, late), func(t *testing.T) {
				t.Parallel()
				rg := newRig(t, mem.Options{}, readyProvider(), newServer("a")).unhurried()
				if late {
					rg.cloud.Inject(mem.Order{What: mem.Hidden, For: testSettle / 2})
				}
				writes := 0
				r := rg.boot(rg.crashing(n, committed, &writes))
				step := func() *Reconciler {
					if rg.reconcile(r, "a") {
						t.Logf("killed at write %d", writes)
						r = rg.boot(rg.client)
					}
					return r
				}
				rg.walk("a", "provisioned", provisioned, step)
				rg.sound(1)
				rg.remove("a")
				rg.walk("a", "gone", func(s *v1alpha1.Server) bool { return s == nil }, step)
				rg.sound(0)
				if made := rg.cloud.Report().Made; made != 1 {
					t.Errorf("%d machines were made", made)
				}
			})
		}
	}
}
