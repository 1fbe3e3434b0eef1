package reconcile

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
)

// meaning is what a phase says about the conditions.
type meaning uint8

const (
	working meaning = iota // Ready=False; under way, or stopped by something that a person must mend
	done                   // Ready=True
	failed                 // Ready=False and Stalled
)

// phases says what each phase means; a phase that is missing here is a mistake. A phase "" means that nobody has looked yet.
var phases = map[string]map[string]meaning{
	"Server": {
		string(v1alpha1.ServerPending): working, string(v1alpha1.ServerCreating): working, string(v1alpha1.ServerBooting): working,
		string(v1alpha1.ServerUpdating): working, string(v1alpha1.ServerStopped): done,
		string(v1alpha1.ServerReady): done, string(v1alpha1.ServerDeleting): working, string(v1alpha1.ServerFailed): failed,
	},
	"TaskService": {
		string(v1alpha1.TaskServicePending): working, string(v1alpha1.TaskServiceInstalling): working,
		string(v1alpha1.TaskServiceReady): done, string(v1alpha1.TaskServiceUpdating): working,
		string(v1alpha1.TaskServiceDegraded): working, string(v1alpha1.TaskServiceRemoving): working,
		string(v1alpha1.TaskServiceFailed): failed,
	},
	"Run": {
		string(v1alpha1.RunPending): working, string(v1alpha1.RunRunning): working, string(v1alpha1.RunSucceeded): done,
		string(v1alpha1.RunFailed): failed, string(v1alpha1.RunUnknown): failed,
	},
	"BatchWorkflow": {
		string(v1alpha1.WorkflowPending): working, string(v1alpha1.WorkflowRunning): working,
		string(v1alpha1.WorkflowSuspended): working, string(v1alpha1.WorkflowUndoing): working, string(v1alpha1.WorkflowAwaitingApproval): working,
		string(v1alpha1.WorkflowPlanning): working, string(v1alpha1.WorkflowPlanned): done, string(v1alpha1.WorkflowPlanStale): failed,
		string(v1alpha1.WorkflowSucceeded): done, string(v1alpha1.WorkflowFailed): failed,
		string(v1alpha1.WorkflowRolledBack): failed, string(v1alpha1.WorkflowRollbackFailed): failed, string(v1alpha1.WorkflowRollbackBlocked): failed, string(v1alpha1.WorkflowCancelled): failed,
	},
}

// phase checks that an object's one word and its conditions tell the same story. An object on its way out keeps the word
// that it had, and Ready speaks of the deletion.
func (c *checker) phase() {
	kind, phase := phaseOf(c.obj)
	if phase == "" || c.deleting || !c.has(v1alpha1.ReadyCondition) {
		return
	}
	meant, known := phases[kind][phase]
	c.require(known, "phase %q is not one of a %s", phase, kind)
	if !known {
		return
	}
	ready := c.is(v1alpha1.ReadyCondition, metav1.ConditionTrue)
	c.require(ready == (meant == done), "phase %s and Ready=%t contradict each other", phase, ready)
	c.require(meant != failed || c.has(v1alpha1.StalledCondition), "phase %s and Stalled is absent", phase)
	c.require(meant != working || !c.has(v1alpha1.SucceededCondition), "phase %s and Succeeded is present", phase)
}

func phaseOf(obj v1alpha1.Object) (kind, phase string) {
	switch o := obj.(type) {
	case *v1alpha1.Server:
		return "Server", string(o.Status.Phase)
	case *v1alpha1.TaskService:
		return "TaskService", string(o.Status.Phase)
	case *v1alpha1.Run:
		return "Run", string(o.Status.Phase)
	case *v1alpha1.BatchWorkflow:
		return "BatchWorkflow", string(o.Status.Phase)
	}
	return "", ""
}
