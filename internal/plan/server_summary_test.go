package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

var summaryNoon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func serverPart(kind string, status metav1.ConditionStatus, reason fault.Reason) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: string(reason), Message: "words of " + kind, ObservedGeneration: 3}
}

func TestSummariseServer(t *testing.T) {
	const provisioned, reachable = v1alpha1.ProvisionedCondition, v1alpha1.ReachableCondition
	tests := map[string]struct {
		reason   string
		id       string
		deleting bool
		parts    []metav1.Condition
		want     ServerSummary
	}{
		"untouched": {
			reason: "nobody has looked at it", want: ServerSummary{Phase: v1alpha1.ServerPending, Reason: v1alpha1.ReasonProgressing, Message: "nothing was asked of the provider yet"},
		},
		"queued": {
			reason: "the workflow sees that its child waits for a turn",
			parts:  []metav1.Condition{serverPart(provisioned, metav1.ConditionFalse, fault.ReasonQueued)},
			want:   ServerSummary{Phase: v1alpha1.ServerPending, Reason: "Queued", Message: "words of Provisioned"},
		},
		"creating": {
			reason: "an id is recorded", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionFalse, fault.ReasonInProgress)},
			want:  ServerSummary{Phase: v1alpha1.ServerCreating, Reason: "InProgress", Message: "words of Provisioned"},
		},
		"refused": {
			reason: "only a person can raise a quota",
			parts:  []metav1.Condition{serverPart(provisioned, metav1.ConditionFalse, fault.ReasonQuotaExceeded)},
			want:   ServerSummary{Phase: v1alpha1.ServerFailed, Stalled: true, Reason: "QuotaExceeded", Message: "words of Provisioned"},
		},
		"running": {
			reason: "nobody has dialled it yet", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionTrue, "Provisioned")},
			want:  ServerSummary{Phase: v1alpha1.ServerBooting, Reason: v1alpha1.ReasonProgressing, Message: "the machine runs and has not answered yet"},
		},
		"silent": {
			reason: "a machine that boots does not answer: that is no failure", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionTrue, "Provisioned"), serverPart(reachable, metav1.ConditionFalse, fault.ReasonUnreachable)},
			want:  ServerSummary{Phase: v1alpha1.ServerBooting, Reason: "Unreachable", Message: "words of Reachable"},
		},
		"unsuitable": {
			reason: "no amount of dialling makes it another machine", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionTrue, "Provisioned"), serverPart(reachable, metav1.ConditionFalse, fault.ReasonPlatform)},
			want:  ServerSummary{Phase: v1alpha1.ServerFailed, Stalled: true, Reason: "PlatformUnsuitable", Message: "words of Reachable"},
		},
		"ready": {
			reason: "both parts are there", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionTrue, "Provisioned"), serverPart(reachable, metav1.ConditionTrue, "Reachable")},
			want:  ServerSummary{Phase: v1alpha1.ServerReady, Ready: true, Reason: v1alpha1.ReasonReady, Message: "the machine runs and answers"},
		},
		"lost": {
			reason: "that it answered once helps nobody", id: "i-1",
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionFalse, fault.ReasonMachineLost), serverPart(reachable, metav1.ConditionTrue, "Reachable")},
			want:  ServerSummary{Phase: v1alpha1.ServerFailed, Stalled: true, Reason: "MachineLost", Message: "words of Provisioned"},
		},
		"leaving": {
			reason: "nothing was done about it yet", id: "i-1", deleting: true,
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionTrue, "Provisioned"), serverPart(reachable, metav1.ConditionTrue, "Reachable")},
			want:  ServerSummary{Phase: v1alpha1.ServerDeleting, Reason: v1alpha1.ReasonDeleting, Message: "the server is being deleted"},
		},
		"held": {
			reason: "the message names what must go first", id: "i-1", deleting: true,
			parts: []metav1.Condition{serverPart(provisioned, metav1.ConditionFalse, fault.ReasonDeletionBlocked), serverPart(reachable, metav1.ConditionTrue, "Reachable")},
			want:  ServerSummary{Phase: v1alpha1.ServerDeleting, Reason: "DeletionBlocked", Message: "words of Provisioned"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.Server{Status: v1alpha1.ServerStatus{ID: tc.id, ObservedGeneration: -1, Conditions: tc.parts}}
			s.Generation = 4
			if tc.deleting {
				s.DeletionTimestamp = &metav1.Time{Time: summaryNoon}
			}
			if diff := cmp.Diff(tc.want, SumServer(s)); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", tc.reason, diff)
			}
			SummariseServer(s, summaryNoon)
			checkServerSummary(t, s)
			if len(tc.parts) > 0 && s.Status.ObservedGeneration != 3 {
				t.Errorf("observedGeneration is %d; the provider's side has seen 3", s.Status.ObservedGeneration)
			}
			once := s.DeepCopy()
			SummariseServer(s, summaryNoon.Add(time.Hour))
			if diff := cmp.Diff(once, s); diff != "" {
				t.Errorf("saying the same again must change nothing, or Servers at rest are written (-once +again):\n%s", diff)
			}
			if held := meta.FindStatusCondition(s.Status.Conditions, reachable); tc.deleting && held.Status != metav1.ConditionTrue {
				t.Error("a service that holds a leaving Server still has to reach it")
			}
		})
	}
}

type summaryTester interface {
	Helper()
	Fatalf(string, ...any)
}

// checkSummary holds what kstatus relies on.
func checkServerSummary(t summaryTester, s *v1alpha1.Server) {
	t.Helper()
	is := func(kind string) bool { return meta.IsStatusConditionTrue(s.Status.Conditions, kind) }
	ready, working, stalled := is(v1alpha1.ReadyCondition), is(v1alpha1.ReconcilingCondition), is(v1alpha1.StalledCondition)
	if n := map[bool]int{true: 1}; n[ready]+n[working]+n[stalled] != 1 {
		t.Fatalf("exactly one of Ready %v, Reconciling %v and Stalled %v must be True", ready, working, stalled)
	}
	for _, c := range s.Status.Conditions {
		if flag := c.Type == v1alpha1.ReconcilingCondition || c.Type == v1alpha1.StalledCondition; flag && c.Status != metav1.ConditionTrue {
			t.Fatalf("%s must be absent or True", c.Type)
		}
		if c.Reason == "" {
			t.Fatalf("%s has no reason", c.Type)
		}
	}
	if ready != (s.Status.Phase == v1alpha1.ServerReady) {
		t.Fatalf("Ready %v in phase %s", ready, s.Status.Phase)
	}
}

// TestSummariseServerProperty writes any sequence of parts: whoever writes last, the summary is sound.
func TestSummariseServerProperty(t *testing.T) {
	reasons := []fault.Reason{fault.ReasonQueued, fault.ReasonInternal, fault.ReasonMachineLost, fault.ReasonUnreachable, fault.ReasonPlatform, fault.ReasonDeletionBlocked}
	rapid.Check(t, func(t *rapid.T) {
		s := &v1alpha1.Server{}
		now := summaryNoon
		for range rapid.IntRange(1, 20).Draw(t, "writes") {
			now = now.Add(time.Second)
			if rapid.IntRange(0, 9).Draw(t, "delete") == 0 {
				s.DeletionTimestamp = &metav1.Time{Time: now}
			}
			if rapid.Bool().Draw(t, "id") {
				s.Status.ID = "i-1"
			}
			c := serverPart(rapid.SampledFrom([]string{v1alpha1.ProvisionedCondition, v1alpha1.ReachableCondition}).Draw(t, "part"), metav1.ConditionTrue, "Provisioned")
			if rapid.Bool().Draw(t, "bad") {
				c.Status, c.Reason = metav1.ConditionFalse, string(rapid.SampledFrom(reasons).Draw(t, "reason"))
			}
			meta.SetStatusCondition(&s.Status.Conditions, c)
			SummariseServer(s, now)
			checkServerSummary(t, s)
		}
	})
}
