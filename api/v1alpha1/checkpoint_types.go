package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CheckpointStatus holds a workflow's ledger.
type CheckpointStatus struct {
	// data is the ledger in the codec of internal/saga: versioned, compressed, checked. It is written before every deed,
	// compare-and-swap by resourceVersion.
	// +optional
	// +kubebuilder:validation:MaxLength=1048576
	Data []byte `json:"data,omitempty"`
	// plan of the run, with spec.mode Plan or ApplyAfterApproval of the workflow.
	// +optional
	Plan *CheckpointPlan `json:"plan,omitempty"`
}

// CheckpointPlan is a plan on record.
type CheckpointPlan struct {
	PlanStatus `json:",inline"`

	// run is which run of which operations the plan is for: the number of the one, a hash of the others.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Run string `json:"run"`
	// superseded are the hashes of earlier plans for this run, which are no longer what would be done.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	Superseded []string `json:"superseded,omitempty"`
	// stale: somebody approved one of them, and nobody has approved this one yet.
	// +optional
	Stale bool `json:"stale,omitempty"`
	// data is the whole plan, compressed.
	// +optional
	// +kubebuilder:validation:MaxLength=393216
	Data []byte `json:"data,omitempty"`
}

// Checkpoint is what a workflow knows: hidden, one a workflow, of the workflow's name, made and removed by the operator alone.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Checkpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status holds the ledger.
	// +optional
	Status CheckpointStatus `json:"status,omitempty"`
}

// CheckpointList is a list of Checkpoints.
// +kubebuilder:object:root=true
type CheckpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Checkpoint `json:"items"`
}
