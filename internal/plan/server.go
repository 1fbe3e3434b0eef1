package plan

import "github.com/keelway/keelway/api/v1alpha1"

// MachineState is where a machine stands in its life, in the words of internal/provider.
type MachineState string

const (
	MachinePending     MachineState = "Pending"
	MachineRunning     MachineState = "Running"
	MachineStopped     MachineState = "Stopped"
	MachineTerminating MachineState = "Terminating"
	MachineFailed      MachineState = "Failed"
)

// Machine is one machine as a look at the provider's account showed it.
type Machine struct {
	ID           string
	Key          string // the key that its Create carried; "" for one that is not labelled yet
	UID          string // the UID of the object that it was made for
	Installation string
	Namespace    string
	Name         string
	Launch       Launch
	State        MachineState
	Message      string // the provider's words
	Size         string
	Zone         string
	Image        string
	Disks        []MachineDisk // the root disk first, its Name ""; nil: the look does not tell
	Lacks        []Label       // of those that it is to carry, that it has not or with another value, and those of ours that it is not to carry any more
	Brief        bool          // the look tells neither disks nor addresses, and a look at the one machine does
}

// MachineDisk is one disk of a machine.
type MachineDisk struct {
	Name      string
	SizeGiB   int32
	Tier      string
	Encrypted bool
}

// Label is one label that a machine is to carry, or is not to carry any more.
type Label struct {
	Key, Value string
	Off        bool // we wrote it, and it is not wanted now
}

// Launch is one member of a request for machines. The zero value is none.
type Launch struct {
	Token string
	Index int
}

// ServerSeen is what a walk knows about one Server and its machine. It starts with what the object itself says; each action
// that the shell does adds to it.
type ServerSeen struct {
	Installation string
	Namespace    string
	Name         string
	UID          string // of the object
	Key          string // that every Create for the object carries
	Recorded     string // status.id
	Launch       Launch // status.launch
	// Broken says that the launch was for many, by another process, and cannot be sent again: not all its members are there.
	Broken bool
	// Refused is how the same request was refused before, for want of what only a person can give.
	Refused   error
	Applied   *v1alpha1.ServerApplied
	Replacing *v1alpha1.ServerReplacement
	Deleting  bool
	Users     []string // what holds the Server while it is being deleted, as "TaskService db"
	// Abandoned says that a person decided, by the machine's id, that deletion does not wait for it.
	Abandoned bool

	Can ServerAbilities
	// Looked says that Machines is known, from a look that began after our last deed.
	Looked bool
	// Machines of our installation that carry our key, UID or launch, the recorded id or the one to adopt, or the object's namespace and name.
	Machines []Machine
	// Absences counts the answers that showed no machine of ours and whose question was asked after our last deed.
	Absences int
	// Settled says that the provider would show by now what our last deed made: a fresh machine is invisible for seconds.
	Settled bool
	// Ending says that the provider took our Delete, before which nothing that was looked at counts, and may not have finished it.
	Ending bool
}

// ServerAbilities are what the machine's provider can do besides making and ending machines.
type ServerAbilities struct {
	Power  bool
	Resize bool // of a machine that is powered off
	Adopt  bool
	Label  bool // in place
	// Untokened says that a Create which is repeated before the first one's machine shows makes a second machine.
	Untokened bool
	// EndsAtOnce says that a machine may be gone when its Delete returns.
	EndsAtOnce bool
}

// ServerVerb is what the shell is asked to do.
type ServerVerb string

const (
	ServerNone    ServerVerb = "None"    // the machine is as wanted: publish it
	ServerLook    ServerVerb = "Look"    // ask the provider, in a way that is independent of the answers so far
	ServerCreate  ServerVerb = "Create"  // take a turn, confirm that the object still wants it, create
	ServerAdopt   ServerVerb = "Adopt"   // a machine with our key was found: record its id
	ServerClaim   ServerVerb = "Claim"   // confirm that the object still wants it, and write our identity onto the machine
	ServerNote    ServerVerb = "Note"    // the machine is up for the first time: write down what it was made with, and how it differs
	ServerStart   ServerVerb = "Start"   // switch the machine on
	ServerStop    ServerVerb = "Stop"    // switch the machine off
	ServerResize  ServerVerb = "Resize"  // ask for spec.size; the machine is off
	ServerLabel   ServerVerb = "Label"   // write the labels that the machine lacks
	ServerReplace ServerVerb = "Replace" // record that the machine makes room for another, and why (Text)
	ServerRenew   ServerVerb = "Renew"   // the machine is gone: record that there is none, and a launch of the next
	ServerDelete  ServerVerb = "Delete"  // ask for the machine's end
	ServerRelease ServerVerb = "Release" // let the object go
	ServerWait    ServerVerb = "Wait"    // stop here; Err says for what, or why for good
)

// ServerAction is a decision as data.
type ServerAction struct {
	Do   ServerVerb
	ID   string // of the machine; for Look "" means any of ours
	Text string // for people, where the verb says so
	Err  error  // for Wait: of class Wait, or Terminal when only a person can help
}

// Server decides what comes next for one Server. The shell does the actions in order, adds what it learnt and asks again,
// until the last action is None, Release or Wait.
func Server(spec v1alpha1.ServerSpec, seen ServerSeen) []ServerAction {
	switch {
	case seen.Deleting:
		return seen.end(spec)
	case seen.Recorded != "" && seen.Replacing != nil && seen.Replacing.ID == seen.Recorded:
		return seen.replace(spec)
	case seen.Recorded != "":
		return seen.keep(spec)
	case spec.Adopt != nil:
		return seen.adopting(spec.Adopt.ID)
	default:
		return seen.begin()
	}
}
