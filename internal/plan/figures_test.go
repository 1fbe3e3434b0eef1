package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
)

// TestFigures: instances by type and phase, and since when nothing moves by itself.
func TestFigures(t *testing.T) {
	s := newStage(t, `operations:
- {name: a, type: ServerBatch, serverBatch: {count: 3, template: {spec: {providerRef: {name: p}}}}}
- {name: pause, type: Wait, wait: {duration: 10m}}
- {name: b, type: ServerBatch, dependsOn: [{operation: a}], serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}
`)
	moved := func() time.Duration { return Count(s.w, s.l).Moved.Sub(s.begun) }
	s.see("a/0", Sight{Ready: true, Asked: 1, Answered: 1}).at(30 * time.Second)
	want := map[Kin]int32{{"ServerBatch", "Running"}: 2, {"ServerBatch", "Succeeded"}: 1, {"ServerBatch", "Pending"}: 2, {"Wait", "Running"}: 1}
	if diff := cmp.Diff(want, Count(s.w, s.l).Instances); diff != "" {
		t.Error(diff)
	}
	if got := moved(); got != 10*time.Minute {
		t.Errorf("it moves by itself at %s, when the Wait is over", got)
	}
	if s.at(11 * time.Minute); moved() != 11*time.Minute {
		t.Errorf("it moved last at %s, when the Wait had ended", moved())
	}
	if s.at(2 * time.Hour); moved() != 11*time.Minute {
		t.Errorf("nothing has moved since, and %s is said", moved())
	}
	s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = true })
	if f := Count(s.at(3*time.Hour).w, s.l); !f.Moved.IsZero() || f.Phase != v1alpha1.WorkflowSuspended {
		t.Errorf("somebody holds it: %+v", f)
	}
	s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = false })
	if s.at(4 * time.Hour); moved() < 70*time.Minute {
		t.Errorf("the hour for which it was held counts: moved at %s", moved())
	}
	for _, name := range []string{"a/1", "a/2", "b/0", "b/1"} {
		s.see(name, Sight{Ready: true, Asked: 1, Answered: 1})
	}
	if s.at(4*time.Hour + time.Minute).at(4*time.Hour + 2*time.Minute); !Count(s.w, s.l).Moved.IsZero() {
		t.Errorf("it is over (%s) and said to be stuck", s.l.Phase)
	}
}
