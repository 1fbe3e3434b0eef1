package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Phases of a workflow that waits for people.
const (
	// WorkflowPlanning: what runs ends before a plan can be made.
	WorkflowPlanning WorkflowPhase = "Planning"
	// WorkflowPlanned: spec.mode is Plan, and the plan is made.
	WorkflowPlanned WorkflowPhase = "Planned"
	// WorkflowAwaitingApproval: nothing but somebody's approval is awaited.
	WorkflowAwaitingApproval WorkflowPhase = "AwaitingApproval"
	// WorkflowPlanStale: somebody approved a plan that is no longer the one that would be made.
	WorkflowPlanStale WorkflowPhase = "PlanStale"
)

// WorkflowMode says whether a workflow is run, planned, or both.
// +kubebuilder:validation:Enum=Apply;Plan;ApplyAfterApproval
type WorkflowMode string

const (
	// ModeApply runs the workflow.
	ModeApply WorkflowMode = "Apply"
	// ModePlan says what a run would do, and runs nothing.
	ModePlan WorkflowMode = "Plan"
	// ModeApplyAfterApproval says what a run would do, and runs it once somebody has approved that very plan.
	ModeApplyAfterApproval WorkflowMode = "ApplyAfterApproval"
)

// PlanStatus is what a run would do, in one line. The whole plan is in the Checkpoint.
type PlanStatus struct {
	// hash of the plan: what an approval names.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Hash string `json:"hash"`
	// summary of what happens to children: +3 ~1 -0 for three made, one changed and none deleted, and ∓1 for one replaced.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Summary string `json:"summary"`
	// costChange an hour and a month of 730 hours, as far as prices are known. Absent: no Server is made, changed or deleted.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	CostChange string `json:"costChange,omitempty"`
	// irreversible lists operations of which something cannot be undone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=40
	Irreversible []string `json:"irreversible,omitempty"`
	// approvedBy is who approved it, or unverified. Absent: nobody has.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ApprovedBy string `json:"approvedBy,omitempty"`
	// approvedAt is when.
	// +optional
	ApprovedAt *metav1.Time `json:"approvedAt,omitempty"`
}

// Approval waits for somebody's word, the annotation keelway.dev/approve. Its outputs are approvedBy and approvedAt.
type Approval struct {
	// message says what is approved, for those who are asked.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// PowerSwitch switches servers that this workflow made.
// +kubebuilder:validation:XValidation:rule="has(self.target.operation)",message="target needs an operation: only servers that this workflow made are switched"
type PowerSwitch struct {
	// state that the servers are to be in.
	// +required
	State Power `json:"state"`
	// target names the servers by the operation that made them.
	// +required
	Target OperationTarget `json:"target"`
}
