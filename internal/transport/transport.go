// Package transport knows how to run one process on a machine and hand back what it printed.
// It must not know what the process is for, nor which provider made the machine: it imports fault and its own drivers' protocols.
package transport

import "context"

// Names of transports, as they stand in Access.Transport.
const (
	Process = "Process" // a directory and a loopback address of the operator's own machine
	Script  = "Script"  // a simulated machine: nothing is run anywhere
)

// Transport runs one process somewhere. Implementations are safe for concurrent use.
//
// A non-zero exit is a Result; an error means "could not run it" and carries a fault class: Retry/Unreachable when the machine
// does not answer, Unknown when the process may have run, Terminal when it never will (bad key, refused driver).
type Transport interface {
	Exec(ctx context.Context, cmd Command) (Result, error)
	Close() error
}

// Result is what a finished process left. Exit is 0..255; 128+n when a signal n ended it.
type Result struct {
	Exit      int
	Stdout    []byte
	Stderr    []byte
	Truncated bool // more was printed than OutputLimit let us keep
}

// Access says how to reach one machine. It is plain data, published by a provider and passed on unread.
type Access struct {
	// Transport is Process or Script; SSH, Docker and Pod come with their drivers.
	Transport string
	// Target is, for Process, the absolute path of the machine's private directory, whose last element is the machine's id
	// (commands see it as KEELWAY_SERVER); for Script, the machine's id.
	Target  string
	Address string // the address that the machine's services listen on
	Port    int32
	User    string
}

// Dialer opens the transport that an Access names. Dialling may be cheap or not; callers close what they got.
type Dialer interface {
	Dial(ctx context.Context, access Access) (Transport, error)
}
