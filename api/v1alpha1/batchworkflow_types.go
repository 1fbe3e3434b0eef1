package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkflowPhase is a workflow's state in one word.
type WorkflowPhase string

const (
	WorkflowPending        WorkflowPhase = "Pending"
	WorkflowRunning        WorkflowPhase = "Running"
	WorkflowSuspended      WorkflowPhase = "Suspended"
	WorkflowUndoing        WorkflowPhase = "Undoing"
	WorkflowSucceeded      WorkflowPhase = "Succeeded"
	WorkflowFailed         WorkflowPhase = "Failed"
	WorkflowRolledBack     WorkflowPhase = "RolledBack"
	WorkflowRollbackFailed WorkflowPhase = "RollbackFailed"
	WorkflowCancelled      WorkflowPhase = "Cancelled"
)

// BatchWorkflowSpec is a graph of operations and how to run it.
type BatchWorkflowSpec struct {
	// parallelLimit is how many operation instances may be started and not yet ended. It acts at once when changed.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ParallelLimit int32 `json:"parallelLimit,omitempty"`
	// onFailure says what the failure of an operation does to the run: Fail leaves what it made, Continue goes on with the other
	// branches, Ignore does so and can still succeed, Rollback undoes what it made. It is the default for operations.
	// +optional
	// +kubebuilder:default=Fail
	OnFailure FailurePolicy `json:"onFailure,omitempty"`
	// suspend starts nothing new while it is true; what runs goes on to its end, and deletion is not held up.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// timeout of the run, from the moment its first child leaves its queue; suspended time does not count. Absent: none. When it
	// is over, nothing is waited for any more and onFailure applies.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="timeout must lie between 1s and 720h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// undo is how operations are undone: the default for them.
	// +optional
	Undo *UndoPolicy `json:"undo,omitempty"`
	// ttlAfterFinished is how long a run that is over keeps its story. After it the Checkpoint holds the outcomes alone, and the Runs
	// of the workflow are deleted; Servers and TaskServices never are. Absent: for ever.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="ttlAfterFinished must lie between 0s and 8760h"
	TTLAfterFinished *metav1.Duration `json:"ttlAfterFinished,omitempty"`
	// operations of the workflow and the edges between them.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5000
	// +kubebuilder:validation:XValidation:rule="[self.transformMapEntry(i, o, {o.name: true})].all(names, self.all(o, !has(o.dependsOn) || o.dependsOn.all(d, d.operation in names || d.type == 'Optional')))",message="every operation has a name of its own, and dependsOn names operations that exist, unless the type of the edge is Optional"
	Operations []Operation `json:"operations"`
}

// OperationType is the discriminator of an Operation.
// +kubebuilder:validation:Enum=ServerBatch;TaskServiceBatch;Check;Command;Wait
type OperationType string

const (
	OperationServerBatch      OperationType = "ServerBatch"
	OperationTaskServiceBatch OperationType = "TaskServiceBatch"
	OperationCheck            OperationType = "Check"
	OperationCommand          OperationType = "Command"
	OperationWait             OperationType = "Wait"
)

// Operation is one node of the graph. Its type says which one of the sections it has; it expands to one or many instances.
// +kubebuilder:validation:XValidation:rule="(self.type == 'ServerBatch') == has(self.serverBatch) && (self.type == 'TaskServiceBatch') == has(self.taskServiceBatch) && (self.type == 'Check') == has(self.check) && (self.type == 'Command') == has(self.command) && (self.type == 'Wait') == has(self.wait)",message="exactly the section of the type is needed, such as serverBatch for type ServerBatch"
// +kubebuilder:validation:XValidation:rule="!has(self.dependsOn) || self.dependsOn.all(d, d.operation != self.name)",message="an operation cannot depend on itself"
type Operation struct {
	// name of the operation, unique in the workflow.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`
	// type of the operation: ServerBatch, TaskServiceBatch, Check, Command or Wait. The section of the same name holds the rest.
	// +required
	Type OperationType `json:"type"`
	// dependsOn lists the operations that must come first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// when is a CEL expression over what comes before: operations.NAME.phase, .succeeded, .failed, .total and .outputs.KEY. Where it is
	// false, the operation is Skipped, which counts as success. It is decided once, when the operation could start.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	When string `json:"when,omitempty"`
	// onFailure of this operation. Absent: the workflow's.
	// +optional
	OnFailure FailurePolicy `json:"onFailure,omitempty"`
	// retry of failed attempts. Absent: none.
	// +optional
	Retry *RetryPolicy `json:"retry,omitempty"`
	// totalTimeout of the operation with all its instances and attempts, from the moment its first child leaves its queue; suspended
	// time does not count. Absent: none.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="totalTimeout must lie between 1s and 720h"
	TotalTimeout *metav1.Duration `json:"totalTimeout,omitempty"`
	// keepOnUndo stops undo at this operation: what it made stays, and so does all that it depends on.
	// +optional
	KeepOnUndo bool `json:"keepOnUndo,omitempty"`
	// undo of this operation. Absent: the workflow's.
	// +optional
	Undo *UndoPolicy `json:"undo,omitempty"`
	// timeout of one attempt, while its child is out of its queue; suspended time does not count. Absent: none.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('720h')",message="timeout must lie between 1s and 720h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// serverBatch makes Servers.
	// +optional
	ServerBatch *ServerBatch `json:"serverBatch,omitempty"`
	// taskServiceBatch makes one TaskService a recipe, over all its targets.
	// +optional
	TaskServiceBatch *TaskServiceBatch `json:"taskServiceBatch,omitempty"`
	// check is a health gate: it makes a Run for each target, or one without a target, and succeeds with it; or it is a condition.
	// +optional
	Check *Check `json:"check,omitempty"`
	// command runs a script once on each target.
	// +optional
	Command *Command `json:"command,omitempty"`
	// wait lets time pass.
	// +optional
	Wait *Wait `json:"wait,omitempty"`
}

// ServerBatch makes Servers: count of them by number, or one for each entry of forEach by its key.
// +kubebuilder:validation:XValidation:rule="has(self.count) != has(self.forEach)",message="exactly one of count and forEach is needed"
type ServerBatch struct {
	// count of Servers; their keys are 0, 1, 2, …
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Count *int32 `json:"count,omitempty"`
	// forEach makes one Server an entry.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	ForEach []ServerItem `json:"forEach,omitempty"`
	// template of the Servers.
	// +required
	Template ServerTemplate `json:"template"`
}

// ServerItem is one entry of forEach: its key, and what differs from the template.
type ServerItem struct {
	// key of the instance, unique in the operation.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Key string `json:"key"`
	// size in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Size string `json:"size,omitempty"`
	// zone in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// image in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`
}

// ServerTemplate is what the Servers of a batch look like.
type ServerTemplate struct {
	// labels of the Servers, besides those that the workflow sets. Keys of keelway.dev are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keelway.dev/'))",message="labels of keelway.dev are set by the operator"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="the key of a label is at most 63 letters, digits, dashes, underscores and dots, after a domain and a slash if need be"
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// spec of the Servers.
	// +required
	Spec ServerTemplateSpec `json:"spec"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// ServerTemplateSpec is the spec of a templated Server, without the rules that hold between an old and a new one.
type ServerTemplateSpec struct {
	ServerShape `json:",inline"`

	// deletionPolicy says what becomes of the machine when its Server is deleted.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// OperationTarget names servers: all those of an operation, one of them by key, or one Server by name.
// +kubebuilder:validation:XValidation:rule="has(self.operation) != has(self.server)",message="exactly one of operation and server is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.key) || has(self.operation)",message="key is only for targets of an operation"
type OperationTarget struct {
	// operation of type ServerBatch, on which this one depends.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation,omitempty"`
	// key of one of the operation's servers. Absent: all of them.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Key string `json:"key,omitempty"`
	// server by name, made elsewhere.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Server string `json:"server,omitempty"`
}

// TaskServiceBatch makes one TaskService a recipe, each over all targets.
type TaskServiceBatch struct {
	// recipes to install.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Recipes []RecipeChoice `json:"recipes"`
	// targets that carry the services.
	// +required
	Targets OperationTarget `json:"targets"`
}

// RecipeChoice is one recipe of a batch.
type RecipeChoice struct {
	// name of the recipe.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`
	// version, exact or a range. Absent: the recipe's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
	// parameters of the recipe. Strings may use ${operations.NAME.outputs.KEY}.
	// +optional
	Parameters *Parameters `json:"parameters,omitempty"`
	// parametersFrom takes parameters from Secrets.
	// +optional
	// +listType=map
	// +listMapKey=parameter
	// +kubebuilder:validation:MaxItems=32
	ParametersFrom []ParameterSource `json:"parametersFrom,omitempty"`
}

// Check is a health gate. Its attempts are those of the operation's retry.
// +kubebuilder:validation:XValidation:rule="[has(self.http), has(self.tcp), has(self.command), has(self.condition)].filter(x, x).size() == 1",message="exactly one of http, tcp, command and condition is needed"
// +kubebuilder:validation:XValidation:rule="!has(self.condition) || !has(self.target) && !has(self.expect)",message="a condition has neither target nor expect: it is decided by the operator"
// +kubebuilder:validation:XValidation:rule="!has(self.command) || has(self.target)",message="a check by command needs a target"
type Check struct {
	// http asks an address by GET. The url may use ${operations.NAME.outputs.KEY}.
	// +optional
	HTTP *HTTPProbe `json:"http,omitempty"`
	// tcp opens a connection. The address may use ${operations.NAME.outputs.KEY}.
	// +optional
	TCP *TCPProbe `json:"tcp,omitempty"`
	// command runs a script. Values of env may use ${operations.NAME.outputs.KEY}.
	// +optional
	Command *CommandScript `json:"command,omitempty"`
	// condition is a CEL expression over operations, as in when, and children: children.NAME[KEY] of the operations in dependsOn, each
	// with kind, name, ready, reason, message and outputs. It makes no Run; where it is false, the attempt has failed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Condition string `json:"condition,omitempty"`
	// target that the check runs on, or goes out from.
	// +optional
	Target *OperationTarget `json:"target,omitempty"`
	// expect says what makes the check succeed.
	// +optional
	Expect *Expectation `json:"expect,omitempty"`
	// timeout of one attempt's action on the machine.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="timeout must lie between 1s and 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// Command runs a script once on each target. It has effects: undo reports it as irreversible.
// +kubebuilder:validation:XValidation:rule="has(self.verify) == (self.onUnknown == 'Verify')",message="onUnknown Verify needs the script verify, and only Verify"
type Command struct {
	CommandScript `json:",inline"`

	// target that the script runs on.
	// +required
	Target OperationTarget `json:"target"`
	// onUnknown says what follows when it cannot be known whether the script ran to its end: Halt ends the instance as Unknown, Retry
	// runs the script once more, Verify asks the script verify.
	// +optional
	// +kubebuilder:default=Halt
	OnUnknown OnUnknown `json:"onUnknown,omitempty"`
	// verify is a script that tells whether the effect is there, and changes nothing. It ends with 0: it is; 10: it is not, and the
	// script runs once more; anything else: it cannot tell.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Verify string `json:"verify,omitempty"`
	// expect says what makes the command succeed.
	// +optional
	Expect *Expectation `json:"expect,omitempty"`
	// timeout of one attempt's script on the machine.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="timeout must lie between 1s and 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// Wait lets time pass.
type Wait struct {
	// duration to wait.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="duration must lie between 0s and 720h"
	Duration metav1.Duration `json:"duration"`
	// count of instances, each waiting by itself.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Count int32 `json:"count,omitempty"`
}
