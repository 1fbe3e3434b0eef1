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
	ID      string
	Key     string // the key that its Create carried
	UID     string // the UID of the object that it was made for
	State   MachineState
	Message string // the provider's words
}

// ServerSeen is what a walk knows about one Server and its machine. It starts with what the object itself says; each action
// that the shell does adds to it.
type ServerSeen struct {
	UID      string // of the object
	Key      string // that every Create for the object carries
	Recorded string // status.id
	Deleting bool
	Users    []string // what holds the Server while it is being deleted, as "TaskService db"
	// Abandoned says that a person decided, by the machine's id, that deletion does not wait for it.
	Abandoned bool

	// Looked says that Machines is known, from a look that began after our last deed.
	Looked bool
	// Machines of our installation that carry our key or UID, the recorded id, or the object's namespace and name.
	Machines []Machine
	// Absences counts the answers that showed no machine of ours and whose question was asked after our last deed.
	Absences int
	// Settled says that the provider would show by now what our last deed made: a fresh machine is invisible for seconds.
	Settled bool
	// Ending says that the provider took our Delete and has not finished it.
	Ending bool
}

// ServerVerb is what the shell is asked to do.
type ServerVerb string

const (
	ServerNone    ServerVerb = "None"    // the machine runs: publish it
	ServerLook    ServerVerb = "Look"    // ask the provider, in a way that is independent of the answers so far
	ServerCreate  ServerVerb = "Create"  // take a turn, confirm that the object still wants it, create
	ServerAdopt   ServerVerb = "Adopt"   // a machine with our key was found: record its id
	ServerDelete  ServerVerb = "Delete"  // ask for the machine's end
	ServerRelease ServerVerb = "Release" // let the object go
	ServerWait    ServerVerb = "Wait"    // stop here; Err says for what, or why for good
)

// ServerAction is a decision as data.
type ServerAction struct {
	Do  ServerVerb
	ID  string // of the machine, for None, Adopt and Delete
	Err error  // for Wait: of class Wait, or Terminal when only a person can help
}

// Server decides what comes next for one Server. The shell does the actions in order, adds what it learnt and asks again,
// until the last action is None, Release or Wait.
func Server(spec v1alpha1.ServerSpec, seen ServerSeen) []ServerAction {
	switch {
	case seen.Deleting:
		return seen.end(spec.DeletionPolicy)
	case seen.Recorded != "":
		return seen.keep()
	default:
		return seen.begin()
	}
}
