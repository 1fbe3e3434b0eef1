package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Types of conditions. Ready is on every kind and always there once the object was seen; Reconciling and Stalled exist only
// while they are True, so that kstatus reads every object without configuration.
const (
	// ReadyCondition: the object is what its spec asks for.
	ReadyCondition = "Ready"
	// ReconcilingCondition: work is under way. Absent otherwise.
	ReconcilingCondition = "Reconciling"
	// StalledCondition: nothing more happens until somebody changes something; the message says what. Absent otherwise.
	StalledCondition = "Stalled"
	// ProvisionedCondition (Server): the provider says that the machine runs. Written by the provider's side.
	ProvisionedCondition = "Provisioned"
	// ReachableCondition (Server): the machine answers and its facts are known. Written by the reach side.
	ReachableCondition = "Reachable"
	// DriftedCondition (TaskService, Server): what is on a machine, or the machine itself, differs from what was applied. Absent otherwise.
	DriftedCondition = "Drifted"
	// SucceededCondition (Run, BatchWorkflow): absent while it runs, then True or False for good.
	SucceededCondition = "Succeeded"
)

// Reasons of conditions that are not errors. Reasons of errors are those of internal/fault.
const (
	ReasonReady       = "Ready"           // Ready=True: as wanted
	ReasonProgressing = "Progressing"     // Ready=False with Reconciling=True
	ReasonSuspended   = "Suspended"       // spec.suspend is set: nothing new starts
	ReasonDeleting    = "Deleting"        // the object is on its way out
	ReasonProvisioned = "Provisioned"     // Provisioned=True
	ReasonReachable   = "Reachable"       // Reachable=True
	ReasonStopped     = "Stopped"         // Provisioned=False, Ready=True: the machine is powered off, as wanted
	ReasonNotDialled  = "NotDialled"      // Reachable=Unknown: the machine does not run yet
	ReasonSucceeded   = "Succeeded"       // Succeeded=True
	ReasonFailed      = "Failed"          // Succeeded=False
	ReasonCancelled   = "Cancelled"       // Succeeded=False: somebody asked for the run's end; of an instance: it was ended by that
	ReasonNoPartner   = "NoPartner"       // of an instance: an edge joins it with none, because the other operation has not its key
	ReasonEmptyList   = "EmptyList"       // of an instance: it would be for servers that an output lists, and that lists none
	ReasonRolledBack  = "RolledBack"      // Succeeded=False: the run failed and everything that it made is gone again
	ReasonBlocked     = "RollbackBlocked" // Succeeded=False: the run failed, and what is left of it is protected from deletion
)

// Reasons of workflows that wait for people.
const (
	ReasonPlanned          = "Planned"          // Ready=True: spec.mode is Plan, and the plan is made
	ReasonAwaitingApproval = "AwaitingApproval" // Ready=False: nothing but somebody's approval is awaited
	ReasonChildVanished    = "ChildVanished"    // of an event and in messages: what a succeeded instance had made is gone by another hand
)

// Finalizer holds an object until what it stands for is gone.
const Finalizer = "keelway.dev/finalizer"

// Labels and annotations of children. They are written in the POST that makes the child.
const (
	// LabelWorkflow names the BatchWorkflow that ordered the child.
	LabelWorkflow = "keelway.dev/workflow"
	// LabelOperation names the operation.
	LabelOperation = "keelway.dev/operation"
	// LabelKey is the instance's key within its operation.
	LabelKey = "keelway.dev/key"
	// AnnotationRun is the number of the workflow's run that made the child.
	AnnotationRun = "keelway.dev/run"
	// AnnotationEffect says what that run did to the object: Created, Updated, Replaced, Adopted, or Reverted once it was taken back.
	AnnotationEffect = "keelway.dev/effect"
	// AnnotationPlanned is the generation of the workflow whose operations that run went by when it ordered the object as it is.
	AnnotationPlanned = "keelway.dev/planned"
	// AnnotationPrevious holds the labels and the spec that an update replaced, as JSON, until another run changes the object.
	AnnotationPrevious = "keelway.dev/previous"
	// AnnotationUndo (Run) is the script that takes the effect of a command back.
	AnnotationUndo = "keelway.dev/undo"
	// AnnotationAttempt is the number of the attempt that the child is asked for; a leaf that sees it raised tries again.
	AnnotationAttempt = "keelway.dev/attempt"
	// AnnotationOrderedBy is the resourceVersion of the Checkpoint that recorded the order.
	AnnotationOrderedBy = "keelway.dev/ordered-by"
)

// Verbs that people ask for by annotation.
const (
	// VerbPrefix stands before a verb in the name of its annotation (BatchWorkflow). Its value is what[@token]; each new value is acted
	// on once.
	VerbPrefix = "keelway.dev/"
	// VerbRetry tries again what failed: all, or names of operations.
	VerbRetry = "retry"
	// VerbRollback undoes what the run made.
	VerbRollback = "rollback"
	// VerbCancel starts nothing new, lets what runs end, and then does what onFailure says.
	VerbCancel = "cancel"
	// VerbApprove gives an approval that is awaited: the hash of a plan, or names of operations of type Approval.
	VerbApprove = "approve"
	// VerbAbort ends the run at once and undoes nothing; its value is the workflow's name.
	VerbAbort = "abort"
	// AnnotationApprovedBy (BatchWorkflow) is who last set the annotation keelway.dev/approve. The admission policies that we ship write
	// it from the request's user and let nobody else write it.
	AnnotationApprovedBy = "keelway.dev/approved-by"
	// AnnotationTrust (Server, Provider): the fingerprint (SHA256:…) of the host key that a machine with a changed key may have from now on.
	AnnotationTrust = "keelway.dev/trust"
	// AnnotationAbandon (Server, TaskService): ids of machines that deletion no longer waits for; they are left as they are.
	AnnotationAbandon = "keelway.dev/abandon"
)

// Object is what every reconciled kind offers to the frame.
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	GetConditions() []metav1.Condition
	SetConditions([]metav1.Condition)
	GetObservedGeneration() int64
	SetObservedGeneration(int64)
}
