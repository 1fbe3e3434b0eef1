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
	// WorkflowRollbackBlocked: undone but for what is protected from deletion.
	WorkflowRollbackBlocked WorkflowPhase = "RollbackBlocked"
	WorkflowCancelled       WorkflowPhase = "Cancelled"
)

// BatchWorkflowSpec is a graph of operations and how to run it.
type BatchWorkflowSpec struct {
	// mode: Apply runs the workflow, Plan only says what a run would do, ApplyAfterApproval says so and runs it once somebody has approved
	// that very plan.
	// +optional
	// +kubebuilder:default=Apply
	Mode WorkflowMode `json:"mode,omitempty"`
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
	// deletionPolicy says what becomes of the children when this object is deleted: Delete deletes them, Orphan leaves them as they are, and
	// they belong to nobody from then on. It is about this object's deletion alone: a run is undone, and pruned, all the same. It acts
	// when status.observedGeneration says that it was seen.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// suspend starts nothing new while it is true; what runs goes on to its end, and deletion is not held up.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// runID asks for another run: when it is changed, a workflow that has ended runs what is missing, has changed or did not succeed.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	RunID string `json:"runID,omitempty"`
	// prune removes what operations had made that are no longer in spec.operations, at the end of a run that has otherwise succeeded.
	// Without it, that stays in place and is listed in status.removed.
	// +optional
	Prune bool `json:"prune,omitempty"`
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

	// The rule below reads two fields of each operation and not one more: the API server copies the schemas of all fields of an operation
	// for each field that a rule reads of it, at every write of the object, of its status too.

	// operations of the workflow and the edges between them.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5000
	// +kubebuilder:validation:XValidation:rule="[self.transformMapEntry(i, o, {o.name: o.?dependsOn.orValue([])})].all(graph, graph.all(name, graph[name].all(d, d.operation != name && (d.operation in graph || d.type == 'Optional'))))",message="every operation has a name of its own, and dependsOn names other operations that exist, unless the type of the edge is Optional"
	Operations []Operation `json:"operations"`
}

// OperationType is the discriminator of an Operation.
// +kubebuilder:validation:Enum=ServerBatch;TaskServiceBatch;Check;Command;Wait;Approval;Power
type OperationType string

const (
	OperationServerBatch      OperationType = "ServerBatch"
	OperationTaskServiceBatch OperationType = "TaskServiceBatch"
	OperationCheck            OperationType = "Check"
	OperationCommand          OperationType = "Command"
	OperationWait             OperationType = "Wait"
	OperationApproval         OperationType = "Approval"
	OperationPower            OperationType = "Power"
)

// Operation is one node of the graph. Its type says which one of the sections it has; it expands to one or many instances.
// +kubebuilder:validation:XValidation:rule="[self.type].all(t, (t == 'ServerBatch') == has(self.serverBatch) && (t == 'TaskServiceBatch') == has(self.taskServiceBatch) && (t == 'Check') == has(self.check) && (t == 'Command') == has(self.command) && (t == 'Wait') == has(self.wait) && (t == 'Approval') == has(self.approval) && (t == 'Power') == has(self.power))",message="exactly the section of the type is needed, such as serverBatch for type ServerBatch"
type Operation struct {
	// name of the operation, unique in the workflow.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`
	// type of the operation: ServerBatch, TaskServiceBatch, Check, Command, Wait, Approval or Power. The section of the same name holds the rest.
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
	// approval waits until somebody approves. It has no attempts: neither retry nor time-outs.
	// +optional
	Approval *Approval `json:"approval,omitempty"`
	// power switches servers on or off that this workflow made.
	// +optional
	Power *PowerSwitch `json:"power,omitempty"`
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

// TaskServiceBatch makes one TaskService a recipe, each over all targets, or one a recipe and server with forEach.
// +kubebuilder:validation:XValidation:rule="has(self.targets) != has(self.forEach)",message="exactly one of targets and forEach is needed"
type TaskServiceBatch struct {
	// recipes to install.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Recipes []RecipeChoice `json:"recipes"`
	// targets that carry the services.
	// +optional
	Targets OperationTarget `json:"targets,omitzero"`
	// forEach makes one TaskService for each server of an operation, by the server's key, instead of one over all of them.
	// +optional
	ForEach *EachServer `json:"forEach,omitempty"`
}

// EachServer names the servers of an operation, one by one.
type EachServer struct {
	// operation of type ServerBatch, on which this one depends.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Operation string `json:"operation"`
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
	// undo is a script that takes the effect back, with the same env on the same server. It runs when the run is undone, also after
	// a command that failed or whose end is not known. Absent: the command is Irreversible.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Undo string `json:"undo,omitempty"`
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
