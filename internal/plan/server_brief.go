package plan

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/keelway/keelway/api/v1alpha1"
)

// NeedsDetails reports whether a machine that was shown in brief must be looked at itself. What its Server recorded earlier stays true
// where nothing in that answer is new: so of a fleet at rest, and of one that a new process finds, no machine is asked for by itself.
func NeedsDetails(s *v1alpha1.Server, m Machine) bool {
	switch {
	case !m.Brief, m.State != MachineRunning && m.State != MachineStopped, !s.DeletionTimestamp.IsZero():
		return false
	case s.Status.ID != m.ID, s.Status.Applied == nil:
		return true
	case s.Status.Access == nil:
		return m.State == MachineRunning
	}
	return meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.DriftedCondition) // an answer that tells less must not take it back
}
