package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkflowCounts count operation instances.
type WorkflowCounts struct {
	// pending: not started, or waiting for the next attempt.
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
	// limit that holds it: parallelLimit, suspend, retry, or what the child says.
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
	// +kubebuilder:validation:MaxLength=40
	Key string `json:"key,omitempty"`
	// phase of the instance: Pending, Running, Retrying, Succeeded, Failed, Skipped, Omitted, Cancelled, Unknown, Undoing, Undone,
	// UndoFailed or Irreversible.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Phase string `json:"phase"`
	// attempt, from 1; 0 before the first.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// startedAt is when its present attempt, or undoing it, began.
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
	// phase in one word: Pending, Running, Suspended, Undoing, Succeeded, Failed, Cancelled, RolledBack or
	// RollbackFailed.
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
	// conditions: Ready, Succeeded; Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Leftover is something that undo could not remove.
type Leftover struct {
	// operation that made it.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation"`
	// key of the instance.
	// +optional
	// +kubebuilder:validation:MaxLength=40
	Key string `json:"key,omitempty"`
	// childRef names the object.
	// +optional
	ChildRef *ChildRef `json:"childRef,omitempty"`
	// message says why.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
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
// +kubebuilder:printcolumn:name="Duration",type=string,priority=1,JSONPath=`.status.run.duration`
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
