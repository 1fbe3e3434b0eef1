package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkflowCounts count operation instances.
type WorkflowCounts struct {
	// pending: not started, awaiting approval, or waiting for the next attempt.
	// +optional
	Pending int32 `json:"pending"`
	// running: started and not ended.
	// +optional
	Running int32 `json:"running"`
	// succeeded instances.
	// +optional
	Succeeded int32 `json:"succeeded"`
	// failed instances, those whose outcome cannot be known, and those that could not be undone; also after they were undone.
	// +optional
	Failed int32 `json:"failed"`
	// failedAllowed are failed instances of operations with onFailure Ignore; they are not among failed.
	// +optional
	FailedAllowed int32 `json:"failedAllowed,omitempty"`
	// skipped instances: their condition was false.
	// +optional
	Skipped int32 `json:"skipped,omitempty"`
	// cancelled instances: somebody ended the run before they did.
	// +optional
	Cancelled int32 `json:"cancelled,omitempty"`
	// omitted instances never ran: a predecessor did not succeed, there is no partner, or the run ended before.
	// +optional
	Omitted int32 `json:"omitted,omitempty"`
	// undone instances: what they made is gone again.
	// +optional
	Undone int32 `json:"undone,omitempty"`
}

// RunInfo says when the run began and ended.
type RunInfo struct {
	// number of the run, from 1.
	// +optional
	Number int32 `json:"number,omitempty"`
	// startedAt is when the run began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when the run ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// operations is a hash of the operations by which the run goes, as they were written. While it is not that of spec.operations, the run
	// has not begun with what was edited.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Operations string `json:"operations,omitempty"`
	// generation of the workflow when the operations were planned by which the run goes.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// duration from start to end, for people; written when the run has ended.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Duration string `json:"duration,omitempty"`
}

// WaitingFor says what an operation waits for: other operations, or a limit.
type WaitingFor struct {
	// operation that must come first.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation,omitempty"`
	// type of the edge.
	// +optional
	Type EdgeType `json:"type,omitempty"`
	// phase that the operation is in.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Phase string `json:"phase,omitempty"`
	// limit that holds it: parallelLimit, suspend, retry, approval, or what the child says.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Limit string `json:"limit,omitempty"`
}

// OperationStatus is one operation instance, for people.
type OperationStatus struct {
	// name of the operation.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// key of the instance.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Key string `json:"key,omitempty"`
	// phase of the instance: Pending, AwaitingApproval, Running, Retrying, Succeeded, Failed, Skipped, Omitted, Cancelled, Unknown, Undoing, Undone,
	// UndoFailed or Irreversible.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Phase string `json:"phase"`
	// attempt, from 1; 0 before the first.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// startedAt is when its present attempt, or undoing it, began; of an Approval, since when it is awaited.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when it ended, or when undoing it did.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// nextAttemptAt is when the next attempt is due.
	// +optional
	NextAttemptAt *metav1.Time `json:"nextAttemptAt,omitempty"`
	// childRef names the object that does the work.
	// +optional
	ChildRef *ChildRef `json:"childRef,omitempty"`
	// approvedBy is who approved an Approval, where the admission policies vouch for the name; otherwise: unverified. When is in finishedAt.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ApprovedBy string `json:"approvedBy,omitempty"`
	// waitingFor says what it waits for.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	WaitingFor []WaitingFor `json:"waitingFor,omitempty"`
	// reason of the last failure.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`
	// message for people, in the words of whoever failed.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// BatchWorkflowStatus is a summary of at most 32 KiB. What the workflow knows is in the Checkpoint of the same name.
type BatchWorkflowStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase in one word: Pending, Planning, Planned, AwaitingApproval, PlanStale, Running, Suspended, Undoing, Succeeded, Failed, Cancelled, RolledBack,
	// RollbackFailed or RollbackBlocked.
	// +optional
	Phase WorkflowPhase `json:"phase,omitempty"`
	// progress is succeeded/all instances, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Progress string `json:"progress,omitempty"`
	// counts of operation instances.
	// +optional
	Counts *WorkflowCounts `json:"counts,omitempty"`
	// run that this status speaks of.
	// +optional
	Run *RunInfo `json:"run,omitempty"`
	// plan of the run, with spec.mode Plan or ApplyAfterApproval.
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`
	// operations that matter now: failed, running, blocked, just finished.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Operations []OperationStatus `json:"operations,omitempty"`
	// handled is, by verb, the last value of the annotation keelway.dev/<verb> that was acted on or refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=8
	Handled map[string]string `json:"handled,omitempty"`
	// leftovers that undo could not remove.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Leftovers []Leftover `json:"leftovers,omitempty"`
	// cost of the Servers that there are now. Absent where none of them costs anything.
	// +optional
	Cost *WorkflowCost `json:"cost,omitempty"`
	// removed is what operations had made that are no longer in spec.operations, and that was left in place.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Removed []Removed `json:"removed,omitempty"`
	// conditions: Ready, Succeeded; Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// WorkflowCost is what the Servers of a workflow cost together.
type WorkflowCost struct {
	// monthly sum with its currency, such as "26.07 EUR"; several are joined by " + ", and so is unknown.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Monthly string `json:"monthly"`
	// unknown is the number of Servers whose cost nobody knows.
	// +optional
	Unknown int32 `json:"unknown,omitempty"`
}

// Leftover is something that undo could not remove.
type Leftover struct {
	// operation that made it.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation"`
	// key of the instance.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Key string `json:"key,omitempty"`
	// childRef names the object.
	// +optional
	ChildRef *ChildRef `json:"childRef,omitempty"`
	// provider that the machine is at, for a Server.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Provider string `json:"provider,omitempty"`
	// id of the machine at its provider.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ID string `json:"id,omitempty"`
	// costPerHour of a Server, with its currency, such as "0.0119 EUR". Absent where nobody knows it, and where it costs nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	CostPerHour string `json:"costPerHour,omitempty"`
	// message says why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// Removed is something that the workflow made and no longer asks for.
type Removed struct {
	// operation that made it.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation"`
	// key of the instance.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Key string `json:"key,omitempty"`
	// childRef names the object.
	// +optional
	ChildRef *ChildRef `json:"childRef,omitempty"`
}

// BatchWorkflow is a graph of operations that runs to its end, or back.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=bwf,categories=keelway
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Progress",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Running",type=integer,JSONPath=`.status.counts.running`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.counts.failed`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Plan",type=string,priority=1,JSONPath=`.status.plan.summary`
// +kubebuilder:printcolumn:name="Duration",type=string,priority=1,JSONPath=`.status.run.duration`
// +kubebuilder:printcolumn:name="Cost/mo",type=string,priority=1,JSONPath=`.status.cost.monthly`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name of a BatchWorkflow has at most 63 characters: it becomes a label of its children"
type BatchWorkflow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec BatchWorkflowSpec `json:"spec"`
	// status is what happened.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status BatchWorkflowStatus `json:"status,omitempty"`
}

// BatchWorkflowList is a list of BatchWorkflows.
// +kubebuilder:object:root=true
type BatchWorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BatchWorkflow `json:"items"`
}

// GetConditions returns status.conditions.
func (w *BatchWorkflow) GetConditions() []metav1.Condition { return w.Status.Conditions }

// SetConditions replaces status.conditions.
func (w *BatchWorkflow) SetConditions(c []metav1.Condition) { w.Status.Conditions = c }

// GetObservedGeneration returns status.observedGeneration.
func (w *BatchWorkflow) GetObservedGeneration() int64 { return w.Status.ObservedGeneration }

// SetObservedGeneration sets status.observedGeneration.
func (w *BatchWorkflow) SetObservedGeneration(g int64) { w.Status.ObservedGeneration = g }
