package plan

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

func TestNeedsDetails(t *testing.T) {
	brief := func(state MachineState) Machine { return Machine{ID: "i-1", State: state, Brief: true} }
	tests := map[string]struct {
		reason  string
		machine Machine
		change  func(*v1alpha1.Server)
		want    bool
	}{
		"at rest":         {"all that it does not tell is recorded", brief(MachineRunning), func(*v1alpha1.Server) {}, false},
		"told":            {"the look told everything", Machine{ID: "i-1", State: MachineRunning}, func(s *v1alpha1.Server) { s.Status.Access = nil }, false},
		"no access":       {"nobody could reach it", brief(MachineRunning), func(s *v1alpha1.Server) { s.Status.Access = nil }, true},
		"off, no access":  {"it has none while it is off", brief(MachineStopped), func(s *v1alpha1.Server) { s.Status.Access = nil }, false},
		"another machine": {"what is recorded is of the former one", brief(MachineRunning), func(s *v1alpha1.Server) { s.Status.ID = "i-0" }, true},
		"not noted yet":   {"an adopted one is told with its differences", brief(MachineStopped), func(s *v1alpha1.Server) { s.Status.Applied = nil }, true},
		"in the making":   {"it is looked at again anyhow", brief(MachinePending), func(s *v1alpha1.Server) { s.Status.Access = nil }, false},
		"ending":          {"nothing more is done with it", brief(MachineTerminating), func(s *v1alpha1.Server) { s.Status.Access = nil }, false},
		"its object goes": {"nothing is published any more", brief(MachineRunning), goes, false},
		"it has drifted":  {"the disks may be what drifted", brief(MachineRunning), drifted(metav1.ConditionTrue), true},
		"it drifted once": {"that is over", brief(MachineRunning), drifted(metav1.ConditionFalse), false},
	}
	for name, tc := range tests {
		s := &v1alpha1.Server{Status: v1alpha1.ServerStatus{ID: "i-1", Applied: &v1alpha1.ServerApplied{}, Access: &v1alpha1.ServerAccess{}}}
		tc.change(s)
		if got := NeedsDetails(s, tc.machine); got != tc.want {
			t.Errorf("%s: %v, want %v: %s", name, got, tc.want, tc.reason)
		}
	}
}

func drifted(status metav1.ConditionStatus) func(*v1alpha1.Server) {
	return func(s *v1alpha1.Server) {
		s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.DriftedCondition, Status: status}}
	}
}

func goes(s *v1alpha1.Server) {
	now := metav1.Now()
	s.DeletionTimestamp, s.Status.Access = &now, nil
}
