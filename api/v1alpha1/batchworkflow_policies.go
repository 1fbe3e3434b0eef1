package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// FailurePolicy says what the failure of an operation does to the run.
// +kubebuilder:validation:Enum=Fail;Continue;Ignore;Rollback
type FailurePolicy string

const (
	// FailureFail starts nothing new and lets running operations end; the run is Failed.
	FailureFail FailurePolicy = "Fail"
	// FailureContinue lets the other branches go on; the run ends Failed.
	FailureContinue FailurePolicy = "Continue"
	// FailureIgnore lets the other branches go on; the failure is counted as allowed, and the run can still succeed.
	FailureIgnore FailurePolicy = "Ignore"
	// FailureRollback does as Fail and then undoes what the run made.
	FailureRollback FailurePolicy = "Rollback"
)

// EdgeType says what a dependent asks of its predecessor.
// +kubebuilder:validation:Enum=Hard;Soft;Optional
type EdgeType string

const (
	// EdgeHard: every instance of the predecessor succeeded.
	EdgeHard EdgeType = "Hard"
	// EdgeSoft: every instance of the predecessor is finished, however it ended.
	EdgeSoft EdgeType = "Soft"
	// EdgeOptional: as Soft, and the predecessor need not be in the workflow at all.
	EdgeOptional EdgeType = "Optional"
)

// EdgeMatch says which instances of two operations an edge joins.
// +kubebuilder:validation:Enum=All;SameIndex
type EdgeMatch string

const (
	// MatchAll: every instance waits for every instance.
	MatchAll EdgeMatch = "All"
	// MatchSameIndex: an instance waits for the one of the same key.
	MatchSameIndex EdgeMatch = "SameIndex"
)

// Dependency is one edge of the graph.
type Dependency struct {
	// operation that must come first.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation"`
	// type of the edge: Hard waits until the operation has succeeded, Soft until it is finished, however it ended, Optional as Soft,
	// and the operation may be absent.
	// +optional
	// +kubebuilder:default=Hard
	Type EdgeType `json:"type,omitempty"`
	// match: All joins all instances of the two operations, SameIndex those of the same key; one that has no partner is Omitted.
	// +optional
	// +kubebuilder:default=All
	Match EdgeMatch `json:"match,omitempty"`
}

// Backoff is the pause between attempts: duration, then factor times as long, up to maxDuration.
type Backoff struct {
	// duration of the first pause.
	// +optional
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="duration must lie between 0s and 1h"
	Duration *metav1.Duration `json:"duration,omitempty"`
	// factor by which each pause grows.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Factor int32 `json:"factor,omitempty"`
	// maxDuration bounds the pause.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="maxDuration must lie between 0s and 24h"
	MaxDuration *metav1.Duration `json:"maxDuration,omitempty"`
}

// RetryPolicy says how often a failed attempt is followed by another one.
type RetryPolicy struct {
	// limit of attempts after the first one.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Limit int32 `json:"limit,omitempty"`
	// backoff between attempts.
	// +optional
	// +kubebuilder:default={}
	Backoff Backoff `json:"backoff,omitzero"`
}

// UndoPolicy says how often and how long an instance is tried to be undone.
type UndoPolicy struct {
	// retry of failed tries. Absent: none.
	// +optional
	Retry *RetryPolicy `json:"retry,omitempty"`
	// timeout of one try; suspended time does not count. Absent: none.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="timeout must lie between 1s and 720h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}
