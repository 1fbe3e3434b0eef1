package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RunAction says what a Run does.
// +kubebuilder:validation:Enum=HTTP;TCP;Command
type RunAction string

const (
	RunHTTP    RunAction = "HTTP"    // one GET request
	RunTCP     RunAction = "TCP"     // one connection
	RunCommand RunAction = "Command" // one script on a server
)

// OnUnknown says what follows when it cannot be known whether a command ran to its end.
// +kubebuilder:validation:Enum=Verify;Retry;Halt
type OnUnknown string

const (
	// OnUnknownHalt ends the Run as Unknown: a person decides.
	OnUnknownHalt OnUnknown = "Halt"
	// OnUnknownRetry runs the script once more: it may be repeated.
	OnUnknownRetry OnUnknown = "Retry"
	// OnUnknownVerify runs the script verify, and believes it.
	OnUnknownVerify OnUnknown = "Verify"
)

// RunPhase is a Run's state in one word.
type RunPhase string

const (
	RunPending   RunPhase = "Pending" // its server is not ready, or another run holds the machine
	RunRunning   RunPhase = "Running"
	RunSucceeded RunPhase = "Succeeded"
	RunFailed    RunPhase = "Failed"
	RunUnknown   RunPhase = "Unknown" // it was started and its outcome cannot be known
)

// EnvVar is one variable of a script's environment.
type EnvVar struct {
	// name of the variable.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	Name string `json:"name"`
	// value as it is; it never passes through a shell.
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// HTTPProbe is one GET request.
type HTTPProbe struct {
	// url that is asked.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`
}

// TCPProbe is one connection.
type TCPProbe struct {
	// address as host:port.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=261
	Address string `json:"address"`
}

// CommandScript is one POSIX shell script.
type CommandScript struct {
	// script text. Values reach it through env, never by substitution into its text.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Script string `json:"script"`
	// env of the script.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Env []EnvVar `json:"env,omitempty"`
}

// Expectation says what makes a Run succeed.
type Expectation struct {
	// exitCode that a script must end with.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	ExitCode int32 `json:"exitCode,omitempty"`
	// status that an HTTP answer must have. Absent: any from 200 to 399.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	Status int32 `json:"status,omitempty"`
	// outputContains is text that the script's output or the HTTP answer's body must contain.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	OutputContains string `json:"outputContains,omitempty"`
}

// RunTarget is the server that a Run goes to, or goes out from.
type RunTarget struct {
	// serverRef names the Server.
	// +required
	ServerRef LocalRef `json:"serverRef"`
}

// RunSpec is one action, done once. It cannot be changed.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Run cannot be changed: make another one"
// +kubebuilder:validation:XValidation:rule="has(self.http) == (self.action == 'HTTP') && has(self.tcp) == (self.action == 'TCP') && has(self.command) == (self.action == 'Command')",message="exactly the section of the action is needed: http for HTTP, tcp for TCP, command for Command"
// +kubebuilder:validation:XValidation:rule="self.action != 'Command' || has(self.target)",message="a Command needs a target"
// +kubebuilder:validation:XValidation:rule="has(self.verify) == (self.onUnknown == 'Verify') && (self.action == 'Command' || self.onUnknown == 'Halt')",message="onUnknown is for a Command; Verify needs the script verify, and only Verify"
type RunSpec struct {
	// action that is done.
	// +required
	Action RunAction `json:"action"`
	// target is the server that a command runs on, or that a probe goes out from. A probe without a target goes out from the
	// operator, to addresses that the installation admits (--check-allow).
	// +optional
	Target *RunTarget `json:"target,omitempty"`
	// http is the request of action HTTP.
	// +optional
	HTTP *HTTPProbe `json:"http,omitempty"`
	// tcp is the connection of action TCP.
	// +optional
	TCP *TCPProbe `json:"tcp,omitempty"`
	// command is the script of action Command.
	// +optional
	Command *CommandScript `json:"command,omitempty"`
	// expect says what makes the Run succeed.
	// +optional
	// +kubebuilder:default={}
	Expect Expectation `json:"expect,omitzero"`
	// onUnknown says what follows when it cannot be known whether a command ran to its end, because its machine was cut off in the
	// middle or is gone: Halt ends as Unknown, Retry runs the script once more, Verify asks the script verify.
	// +optional
	// +kubebuilder:default=Halt
	OnUnknown OnUnknown `json:"onUnknown,omitempty"`
	// verify is a script that tells whether the effect is there, and changes nothing. It ends with 0: it is; 10: it is not, and the
	// command runs once more; anything else: it cannot tell, and the Run ends as Unknown.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Verify string `json:"verify,omitempty"`
	// timeout of the action itself, from its start on the machine.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="timeout must lie between 1s and 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// RunStatus is what happened.
type RunStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase in one word: Pending, Running, Succeeded, Failed or Unknown.
	// +optional
	Phase RunPhase `json:"phase,omitempty"`
	// attempt is the value of the annotation keelway.dev/attempt that this status answers.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// id of the run on the machine.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	ID string `json:"id,omitempty"`
	// machine is the id of the machine that the run was started on.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Machine string `json:"machine,omitempty"`
	// repeats is how often the command was started once more because an outcome could not be known.
	// +optional
	Repeats int32 `json:"repeats,omitempty"`
	// verifying is true while the script verify is asked.
	// +optional
	Verifying bool `json:"verifying,omitempty"`
	// exitCode of the script, or the status of the HTTP answer.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// outputs that the script wrote to $KEELWAY_RUN/outputs as key=value.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Outputs map[string]string `json:"outputs,omitempty"`
	// tail of what was printed, at most 4 KiB.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Tail string `json:"tail,omitempty"`
	// startedAt is when the action began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// finishedAt is when the action ended.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// duration from start to end, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Duration string `json:"duration,omitempty"`
	// conditions: Ready, Succeeded; Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Run is one action, done once.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=krun,categories=keelway
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.target.serverRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Exit",type=integer,JSONPath=`.status.exitCode`
// +kubebuilder:printcolumn:name="Duration",type=string,JSONPath=`.status.duration`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Run struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec RunSpec `json:"spec"`
	// status is what happened.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status RunStatus `json:"status,omitempty"`
}

// RunList is a list of Runs.
// +kubebuilder:object:root=true
type RunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Run `json:"items"`
}

// GetConditions returns status.conditions.
func (r *Run) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces status.conditions.
func (r *Run) SetConditions(c []metav1.Condition) { r.Status.Conditions = c }

// GetObservedGeneration returns status.observedGeneration.
func (r *Run) GetObservedGeneration() int64 { return r.Status.ObservedGeneration }

// SetObservedGeneration sets status.observedGeneration.
func (r *Run) SetObservedGeneration(g int64) { r.Status.ObservedGeneration = g }
