package lab

import (
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

// Problems says what is wrong with the conditions of an object, given both as our type and as the API server shows it: what
// reconcile.Check finds, and where kstatus, which Flux and others read by, would tell another story than our own conditions.
func Problems(obj v1alpha1.Object, shown *unstructured.Unstructured) []string {
	problems := reconcile.Check(obj)
	read, err := status.Compute(shown)
	if err != nil {
		return append(problems, fmt.Sprintf("kstatus cannot read it: %v", err))
	}
	if want := meaning(obj); read.Status != want {
		problems = append(problems, fmt.Sprintf("kstatus reads %s (%s), its conditions mean %s", read.Status, read.Message, want))
	}
	return problems
}

// meaning is what we mean by an object's conditions, in the words of kstatus.
func meaning(obj v1alpha1.Object) status.Status {
	ready := reconcile.Condition(obj, v1alpha1.ReadyCondition)
	switch {
	case !obj.GetDeletionTimestamp().IsZero():
		return status.TerminatingStatus
	case ready == nil || obj.GetObservedGeneration() != obj.GetGeneration():
		return status.InProgressStatus
	case ready.Status == metav1.ConditionTrue:
		return status.CurrentStatus
	case reconcile.Condition(obj, v1alpha1.StalledCondition) != nil:
		return status.FailedStatus
	}
	return status.InProgressStatus
}
