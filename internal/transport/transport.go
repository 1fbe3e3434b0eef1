// Package transport knows how to run one process on a machine and hand back what it printed.
// It must not know what the process is for, nor which provider made the machine: it imports fault and its own drivers' protocols.
package transport

import "context"

// Names of transports, as they stand in Access.Transport.
const (
	Process = "Process" // a directory and a loopback address of the operator's own machine
	Script  = "Script"  // a simulated machine: nothing is run anywhere
	Docker  = "Docker"  // a container of the Docker Engine that the installation names
	SSH     = "SSH"     // a machine with an SSH server
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

// Access says how to reach one machine. It is plain data without secrets, published by a provider and passed on unread.
type Access struct {
	Transport string // Process, Script, Docker or SSH
	// Target is, for Process, the absolute path of the machine's private directory, whose last element is the machine's id
	// (commands see it as KEELWAY_SERVER); for Script, the machine's id; for Docker, the container's id; for SSH, nothing.
	Target  string
	Address string // the address that the machine's services listen on

	// The rest is for SSH.

	Host     string   // where its SSH server is; "" = Address
	Port     int32    // 0 = 22
	User     string   // "" = root
	Sudo     bool     // run commands as root through sudo, which must not ask for a password
	Secret   string   // the name of what holds the key; transports do not read it
	HostKeys []string // what the provider knows the machine by, before anybody talked to it: lines "ssh-ed25519 AAAA…"
	Jump     *Hop     // connect through this host, with the same key
}

// Hop is an SSH server that forwards connections.
type Hop struct {
	Host     string
	Port     int32 // 0 = 22
	User     string
	HostKeys []string // never empty: nobody pins a hop's keys on first contact
}

// Credentials open a door that is locked. The zero value is for transports without one.
type Credentials struct {
	PrivateKey []byte   // PEM or OpenSSH form, without a passphrase
	HostKeys   []string // what the machine is known by: one line an algorithm. Empty: SSH is refused
}

// Dialer opens the transport that an Access names. Dialling may be cheap or not; callers close what they got.
//
// Errors of SSH: Retry/Unreachable when nothing answers (the message says what was tried and what came back),
// Terminal/Unauthenticated when the machine refuses user or key or the key is unusable (it may pass while a machine boots: the
// caller knows whether it does), Terminal/HostKeyChanged when none of the keys it shows is a known one (the message holds the
// shown fingerprints), Terminal/Invalid for an Access that names nothing.
type Dialer interface {
	Dial(ctx context.Context, access Access, credentials Credentials) (Transport, error)
	// HostKeys asks the machine for the host keys of every algorithm that it has, without logging in there: lines sorted by
	// algorithm. nil for transports without host keys. The credentials are for a jump host. Who pins keys is the caller's business.
	HostKeys(ctx context.Context, access Access, credentials Credentials) ([]string, error)
}
