package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// TaskServicePhase is a TaskService's state in one word, derived from its conditions and servers.
type TaskServicePhase string

const (
	TaskServicePending    TaskServicePhase = "Pending"    // its servers or parameters are not there yet
	TaskServiceInstalling TaskServicePhase = "Installing" // never ready so far
	TaskServiceReady      TaskServicePhase = "Ready"      // every server checked and healthy
	TaskServiceUpdating   TaskServicePhase = "Updating"   // was ready; parameters, version or servers changed
	TaskServiceDegraded   TaskServicePhase = "Degraded"   // was ready; a server's health failed
	TaskServiceRemoving   TaskServicePhase = "Removing"
	TaskServiceFailed     TaskServicePhase = "Failed"
)

// ServerTargets says which Servers are meant: exactly one of names and selector.
// +kubebuilder:validation:XValidation:rule="has(self.names) != has(self.selector)",message="exactly one of names and selector is needed"
type ServerTargets struct {
	// names of Servers.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Names []string `json:"names,omitempty"`
	// selector of Servers by label.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Parameters are the values of a recipe's parameters, checked against the recipe's own schema.
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:validation:Type=object
type Parameters struct {
	runtime.RawExtension `json:",inline"`
}

// ParameterSource takes one parameter from elsewhere: exactly one of secretKeyRef and taskServiceRef. (Counted by the schema, because
// a rule would cost a workflow, which holds thousands of these, more than the API server grants.)
// +kubebuilder:validation:MinProperties=2
// +kubebuilder:validation:MaxProperties=2
type ParameterSource struct {
	// parameter of the recipe that gets the value.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][A-Za-z0-9]*$`
	Parameter string `json:"parameter"`
	// secretKeyRef holds the value. It is never shown, logged or kept elsewhere.
	// +optional
	SecretKeyRef *SecretKeyRef `json:"secretKeyRef,omitempty"`
	// taskServiceRef takes the value from what another TaskService offers, and follows it.
	// +optional
	TaskServiceRef *OutputRef `json:"taskServiceRef,omitempty"`
}

// OutputRef names an output of a TaskService of the same namespace.
type OutputRef struct {
	// name of the TaskService.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// output of its recipe, such as endpoints.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Output string `json:"output"`
}

// RolloutPolicy says how a change reaches many servers.
type RolloutPolicy struct {
	// maxUnavailable is how many servers a change, or the correction of a drift, may be under way on at once. A first installation
	// is made on all servers at once, because members of a cluster need each other.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=256
	MaxUnavailable int32 `json:"maxUnavailable,omitempty"`
}

// DriftPolicy says what is done about a machine that was changed by another hand.
// +kubebuilder:validation:Enum=Correct;Report;Ignore
type DriftPolicy string

const (
	DriftCorrect DriftPolicy = "Correct" // it is made as it was applied
	DriftReport  DriftPolicy = "Report"  // it is told by the condition Drifted and left alone
	DriftIgnore  DriftPolicy = "Ignore"  // it is not looked for
)

// HealthPolicy says how often a ready service is looked at.
type HealthPolicy struct {
	// interval between two looks at each server.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5s') && duration(self) <= duration('24h')",message="interval must lie between 5s and 24h"
	Interval metav1.Duration `json:"interval,omitzero"`
}

// TaskServiceSpec is one service on one or many servers.
// +kubebuilder:validation:XValidation:rule="self.recipe == oldSelf.recipe",message="recipe cannot be changed: make another TaskService"
type TaskServiceSpec struct {
	// recipe that says how the service is installed, configured, checked and removed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Recipe string `json:"recipe"`
	// version, exact or a range. Absent: the recipe's default, kept once it was resolved.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// servers that carry the service.
	// +required
	Servers ServerTargets `json:"servers"`
	// parameters of the recipe.
	// +optional
	Parameters *Parameters `json:"parameters,omitempty"`
	// parametersFrom takes parameters from Secrets.
	// +optional
	// +listType=map
	// +listMapKey=parameter
	// +kubebuilder:validation:MaxItems=32
	ParametersFrom []ParameterSource `json:"parametersFrom,omitempty"`
	// rollout says how a change reaches many servers.
	// +optional
	// +kubebuilder:default={}
	Rollout RolloutPolicy `json:"rollout,omitzero"`
	// health says how often a ready service is looked at.
	// +optional
	// +kubebuilder:default={}
	Health HealthPolicy `json:"health,omitzero"`
	// driftPolicy says what is done about files and daemons of a ready service that somebody else changed.
	// +optional
	// +kubebuilder:default=Correct
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`
}

// ServicePhase is the state of a service on one server.
type ServicePhase string

const (
	ServicePending    ServicePhase = "Pending"    // the server is not ready, or its turn has not come
	ServiceChecking   ServicePhase = "Checking"   // looking whether anything must change
	ServiceApplying   ServicePhase = "Applying"   // installing or reconfiguring
	ServiceVerifying  ServicePhase = "Verifying"  // checking what was applied
	ServiceReady      ServicePhase = "Ready"      // checked and healthy
	ServiceUnhealthy  ServicePhase = "Unhealthy"  // was ready; the last look failed
	ServiceFailed     ServicePhase = "Failed"     // a script ended in a way that repeating does not mend
	ServiceRemoving   ServicePhase = "Removing"   // remove runs
	ServiceUnassigned ServicePhase = "Unassigned" // the server no longer matches spec.servers; the service is still on it
)

// ServiceOnServer is the service's state on one server.
type ServiceOnServer struct {
	// name of the Server.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// machine is the Server's id when the service was last worked on: a new machine starts from nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Machine string `json:"machine,omitempty"`
	// phase in one word: Pending, Checking, Applying, Verifying, Ready, Unhealthy, Failed, Removing or Unassigned.
	// +optional
	Phase ServicePhase `json:"phase,omitempty"`
	// version that was applied.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// digest of the rendered input that was last applied and verified.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`
	// run that is under way on the machine; where the service failed, the one that failed.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Run string `json:"run,omitempty"`
	// round numbers the rounds of check, apply, verify on this machine. It never falls, so that no two runs share an id.
	// +optional
	Round int32 `json:"round,omitempty"`
	// try counts the retryable failures since the input changed or the service was ready.
	// +optional
	Try int32 `json:"try,omitempty"`
	// nextTry is when a retryable failure is tried again.
	// +optional
	NextTry *metav1.Time `json:"nextTry,omitempty"`
	// drift says what on the machine differs from what was applied there; absent while nothing does.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Drift string `json:"drift,omitempty"`
	// reason of the message in one word: one of the reasons of conditions.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`
	// message for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ResolvedRecipe is what the recipe's name and version turned out to be. It sticks across operator upgrades.
type ResolvedRecipe struct {
	// version that is installed.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version"`
	// recipeDigest of the recipe's files.
	// +required
	// +kubebuilder:validation:MaxLength=80
	RecipeDigest string `json:"recipeDigest"`
}

// TaskServiceStatus is what was found.
type TaskServiceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase in one word: Pending, Installing, Ready, Updating, Degraded, Removing or Failed.
	// +optional
	Phase TaskServicePhase `json:"phase,omitempty"`
	// version that is installed.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// attempt is the value of the annotation keelway.dev/attempt that this status answers.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// ready counts the servers on which the service is ready.
	// +optional
	Ready int32 `json:"ready"`
	// total counts the servers that are meant to carry it.
	// +optional
	Total int32 `json:"total"`
	// progress is ready/total, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Progress string `json:"progress,omitempty"`
	// servers and the service's state on each.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=512
	Servers []ServiceOnServer `json:"servers,omitempty"`
	// resolved recipe.
	// +optional
	Resolved *ResolvedRecipe `json:"resolved,omitempty"`
	// outputs of the recipe, such as endpoints.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Outputs map[string]string `json:"outputs,omitempty"`
	// conditions: Ready; Drifted, Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TaskService is one service on one or many servers.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ktsv,categories=keelway
// +kubebuilder:printcolumn:name="Recipe",type=string,JSONPath=`.spec.recipe`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Servers",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Drifted",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Drifted")].status`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TaskService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec TaskServiceSpec `json:"spec"`
	// status is what was found.
	// +optional
	// +kubebuilder:default={observedGeneration:-1,ready:0,total:0}
	Status TaskServiceStatus `json:"status,omitempty"`
}

// TaskServiceList is a list of TaskServices.
// +kubebuilder:object:root=true
type TaskServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TaskService `json:"items"`
}

// GetConditions returns status.conditions.
func (t *TaskService) GetConditions() []metav1.Condition { return t.Status.Conditions }

// SetConditions replaces status.conditions.
func (t *TaskService) SetConditions(c []metav1.Condition) { t.Status.Conditions = c }

// GetObservedGeneration returns status.observedGeneration.
func (t *TaskService) GetObservedGeneration() int64 { return t.Status.ObservedGeneration }

// SetObservedGeneration sets status.observedGeneration.
func (t *TaskService) SetObservedGeneration(g int64) { t.Status.ObservedGeneration = g }
