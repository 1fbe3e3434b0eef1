package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// TestLook: what is believed of a child's status.
func TestLook(t *testing.T) {
	meta := func(generation int64, change ...func(*metav1.ObjectMeta)) metav1.ObjectMeta {
		m := metav1.ObjectMeta{Name: "x", UID: "u", Generation: generation, Annotations: map[string]string{v1alpha1.AnnotationAttempt: "2"}}
		for _, c := range change {
			c(&m)
		}
		return m
	}
	deleted := func(m *metav1.ObjectMeta) { m.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	conditions := func(ready metav1.ConditionStatus, reason string, stalled bool) []metav1.Condition {
		out := []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: ready, Reason: reason, Message: "words"}}
		if stalled {
			out = append(out, metav1.Condition{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: reason})
		}
		return out
	}
	access := &v1alpha1.ServerAccess{Address: "127.1.2.3"}
	cases := map[string]struct {
		why   string
		child metav1.Object
		want  Sight
	}{
		"new": {"nobody has looked at it yet", &v1alpha1.Server{ObjectMeta: meta(1), Status: v1alpha1.ServerStatus{ObservedGeneration: -1}},
			Sight{Exists: true, Queued: true, Asked: 2, UID: "u"}},
		"ready": {"", &v1alpha1.Server{ObjectMeta: meta(1), Status: v1alpha1.ServerStatus{ObservedGeneration: 1, Attempt: 1, Access: access, Conditions: conditions("True", "Ready", false)}},
			Sight{Exists: true, Ready: true, Asked: 2, Answered: 1, UID: "u", Reason: "Ready", Message: "words", Outputs: map[string]string{"addresses": "127.1.2.3"}}},
		"an older spec": {"a status that speaks of it says nothing yet", &v1alpha1.Server{ObjectMeta: meta(2), Status: v1alpha1.ServerStatus{ObservedGeneration: 1, Attempt: 2, Conditions: conditions("True", "Ready", false)}},
			Sight{Exists: true, Queued: true, Asked: 2, Answered: 2, UID: "u"}},
		"stalled before its deletion": {"the API server raises the generation with the deletion: what is said is not about it", &v1alpha1.Server{ObjectMeta: meta(2, deleted), Status: v1alpha1.ServerStatus{ObservedGeneration: 1, Attempt: 2, Conditions: conditions("False", "QuotaExceeded", true)}},
			Sight{Exists: true, Deleting: true, Queued: true, Asked: 2, Answered: 2, UID: "u"}},
		"queued": {"its provider has no room", &v1alpha1.TaskService{ObjectMeta: meta(1), Status: v1alpha1.TaskServiceStatus{ObservedGeneration: 1, Attempt: 2, Conditions: conditions("False", "Queued", false)}},
			Sight{Exists: true, Queued: true, Asked: 2, Answered: 2, UID: "u", Reason: "Queued", Message: "words"}},
		"unknown": {"", &v1alpha1.Run{ObjectMeta: meta(1), Status: v1alpha1.RunStatus{ObservedGeneration: 1, Attempt: 2, Phase: v1alpha1.RunUnknown, Conditions: conditions("False", "OutcomeUnknown", true)}},
			Sight{Exists: true, Stalled: true, Unknown: true, Asked: 2, Answered: 2, UID: "u", Reason: "OutcomeUnknown", Message: "words"}},
		"unknown before its deletion": {"as above", &v1alpha1.Run{ObjectMeta: meta(2, deleted), Status: v1alpha1.RunStatus{ObservedGeneration: 1, Attempt: 2, Phase: v1alpha1.RunUnknown, Conditions: conditions("False", "OutcomeUnknown", true)}},
			Sight{Exists: true, Deleting: true, Queued: true, Asked: 2, Answered: 2, UID: "u"}},
		"failed": {"", &v1alpha1.Run{ObjectMeta: meta(1), Status: v1alpha1.RunStatus{ObservedGeneration: 1, Attempt: 2, Phase: v1alpha1.RunFailed, Conditions: conditions("False", "ScriptFailed", true)}},
			Sight{Exists: true, Stalled: true, Asked: 2, Answered: 2, UID: "u", Reason: "ScriptFailed", Message: "words"}},
		"no attempt": {"somebody took the annotation away", &v1alpha1.Run{ObjectMeta: meta(1, func(m *metav1.ObjectMeta) { m.Annotations = nil })}, Sight{Exists: true, Queued: true, UID: "u"}},
	}
	for name, c := range cases {
		seen := Look(c.child)
		if seen.Child != c.child {
			t.Errorf("%s: the child itself is not in sight", name)
		}
		seen.Child = nil
		if diff := cmp.Diff(c.want, seen); diff != "" {
			t.Errorf("%s (%s): -want +got\n%s", name, c.why, diff)
		}
	}
}
