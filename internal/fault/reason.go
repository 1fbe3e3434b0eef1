package fault

// Reason is one word from a closed list. It becomes the reason of a condition and a label of a metric, so it never holds a
// name, an id or free text.
type Reason string

// Reasons of errors that are retried.
const (
	ReasonInternal          Reason = "InternalError"     // nobody classified the error
	ReasonTransient         Reason = "Transient"         // the other side failed in a way that passes: 5xx, reset, time-out on a read
	ReasonRateLimited       Reason = "RateLimited"       // the other side asked for fewer calls
	ReasonResourcesDepleted Reason = "ResourcesDepleted" // the provider has no capacity now
	ReasonUnreachable       Reason = "Unreachable"       // the machine or endpoint does not answer
	ReasonConflict          Reason = "Conflict"          // somebody else wrote first; read again
	ReasonPanic             Reason = "Panic"             // a bug of ours, caught at the edge of one reconcile
	ReasonDownloadFailed    Reason = "DownloadFailed"    // an artifact or its mirror could not be reached
	ReasonDrifted           Reason = "Drifted"           // somebody else changed what was applied: it is put back
	ReasonUnhealthy         Reason = "Unhealthy"         // a service's own health script finds fault with it
)

// Reasons of waiting: nothing failed.
const (
	ReasonInProgress       Reason = "InProgress"         // something that was asked for is under way
	ReasonQueued           Reason = "Queued"             // a limit holds it: its turn comes
	ReasonDependency       Reason = "DependencyNotReady" // something it refers to exists and is not ready
	ReasonDeletionBlocked  Reason = "DeletionBlocked"    // something must go first; the message names it
	ReasonProtected        Reason = "DeletionProtected"  // a person forbade its deletion
	ReasonProviderNotFound Reason = "ProviderNotFound"   // the Provider that is referred to does not exist
	ReasonSecretNotFound   Reason = "SecretNotFound"     // the Secret that is referred to does not exist, or lacks a key
	ReasonServerNotFound   Reason = "ServerNotFound"     // a Server that is referred to does not exist
	ReasonMachineBusy      Reason = "MachineBusy"        // another run holds the machine's lock
	ReasonOutcomeUnknown   Reason = "OutcomeUnknown"     // a call may have taken effect: it is being looked up
)

// Reasons that stop an object until its input changes.
const (
	ReasonInvalid           Reason = "Invalid"            // the spec can never work; the message names the field
	ReasonUnauthenticated   Reason = "Unauthenticated"    // credentials are refused
	ReasonUnauthorized      Reason = "Unauthorized"       // credentials are known and not allowed to do this
	ReasonHostKeyChanged    Reason = "HostKeyChanged"     // an SSH server showed another key than it is known by
	ReasonQuotaExceeded     Reason = "QuotaExceeded"      // the account's quota is used up
	ReasonDriverNotAllowed  Reason = "DriverNotAllowed"   // the installation does not admit this local driver
	ReasonNameTaken         Reason = "NameTaken"          // a foreign object has the name
	ReasonIdentityConflict  Reason = "IdentityConflict"   // a machine of the same name but another UID lives
	ReasonDuplicateName     Reason = "DuplicateName"      // two operations share a name
	ReasonUnknownDependency Reason = "UnknownDependency"  // an operation depends on one that does not exist
	ReasonCycle             Reason = "DependencyCycle"    // operations depend on each other
	ReasonRecipeNotFound    Reason = "RecipeNotFound"     // no recipe of that name or version
	ReasonRecipeConflict    Reason = "RecipeConflict"     // two recipes exclude each other
	ReasonPlatform          Reason = "PlatformUnsuitable" // the machine lacks what the recipe needs
	ReasonChecksumMismatch  Reason = "ChecksumMismatch"   // a download is not what the recipe promised
	ReasonScriptFailed      Reason = "ScriptFailed"       // a script on a machine ended with a non-zero code
	ReasonExpectationFailed Reason = "ExpectationFailed"  // a check ran and found something else
	ReasonTimedOut          Reason = "TimedOut"           // the time given is over
	ReasonNotAllowed        Reason = "NotAllowed"         // the installation's settings forbid it
	ReasonCodecUnknown      Reason = "CodecUnknown"       // a ledger of a newer or broken format: refused, never overwritten
	ReasonCheckpointLost    Reason = "CheckpointLost"     // a workflow's ledger is gone, so what it did cannot be known
	ReasonMachineLost       Reason = "MachineLost"        // the machine ended by another hand
	ReasonMachineFailed     Reason = "MachineFailed"      // the provider gave up on the machine
	ReasonChangeRefused     Reason = "ChangeRefused"      // what is wanted cannot be reached in place, and no other machine may take its place
	ReasonPlanStale         Reason = "PlanStale"          // the plan that was approved is no longer the one that would be made
)

// stops holds the reasons above. A condition carries a reason and no class: whoever reads a condition learns from it whether
// somebody still works on the object.
var stops = map[Reason]bool{
	ReasonInvalid: true, ReasonUnauthenticated: true, ReasonUnauthorized: true, ReasonQuotaExceeded: true, ReasonDriverNotAllowed: true,
	ReasonNameTaken: true, ReasonIdentityConflict: true, ReasonDuplicateName: true, ReasonUnknownDependency: true, ReasonCycle: true,
	ReasonRecipeNotFound: true, ReasonRecipeConflict: true, ReasonPlatform: true, ReasonChecksumMismatch: true, ReasonScriptFailed: true,
	ReasonExpectationFailed: true, ReasonTimedOut: true, ReasonNotAllowed: true, ReasonCodecUnknown: true,
	ReasonHostKeyChanged: true, ReasonCheckpointLost: true, ReasonMachineLost: true, ReasonMachineFailed: true, ReasonChangeRefused: true, ReasonPlanStale: true,
}

// Stops reports whether a Terminal error carries this reason: nothing happens until the input changes.
func (r Reason) Stops() bool { return stops[r] }

// Reasons of Gone.
const (
	ReasonNotFound Reason = "NotFound" // it does not exist
	ReasonOrphaned Reason = "Orphaned" // it exists without the owner that it had
)
