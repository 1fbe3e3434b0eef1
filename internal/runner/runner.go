// Package runner knows how to run a script on a machine so that it outlives whoever started it, and how to find it again by id.
// It must not know what the script does, nor recipes, plans or API types: scripts are opaque, and everything goes through a Transport.
//
// The protocol is shell (directory shell/), spoken in one round trip a call. Every run has a directory of its id on the machine;
// a lock on a file in it, held by the run's processes and released by the kernel, says whether the run is alive, so neither a
// reused process number nor a reboot can fool a reader. Every call may be repeated, so none returns fault.Unknown.
package runner

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// State says where a run stands.
type State string

const (
	// Missing: never started, forgotten, or its start was torn before the script began. Start it (again).
	Missing State = "Missing"
	// Waiting: somebody is starting it, or it is started, and its script has not begun; a mutating run waits here for the machine's
	// lock. When whoever started it dies before the supervisor is there, it turns Missing again.
	Waiting State = "Waiting"
	// Running: the script runs.
	Running State = "Running"
	// Exited: the script has ended and Code, Outputs and FinishedAt are final.
	Exited State = "Exited"
	// Lost: the script had begun, nothing of it runs any more under our eyes, and nobody saw its end: the machine was rebooted or
	// the supervisor killed. It may have done anything between nothing and everything. It is never run again under this id.
	Lost State = "Lost"
)

// Codes of runs that did not end by themselves.
const (
	CodeTimedOut = 124 // Status.TimedOut is set too
	CodeStopped  = 143
)

const (
	// DefaultTimeout bounds a script whose Timeout is zero.
	DefaultTimeout = time.Hour
	// MaxTail bounds Status.Tail, in bytes.
	MaxTail = 4 << 10
	// MaxOutputs bounds Status.Outputs, in bytes of "key=value" lines.
	MaxOutputs = 4 << 10
)

// Status is what a poll sees. Times are the machine's clock, in whole seconds.
type Status struct {
	State State
	// Code is the script's exit code, 0..255, when State is Exited.
	Code int
	// Tail is the end of stdout and stderr as they were printed: at most MaxTail bytes, valid UTF-8, redacted.
	Tail string
	// Outputs are the lines key=value that the script left in "$KEELWAY_RUN/outputs", redacted, when State is Exited. Lines that
	// are no key=value, and what is beyond MaxOutputs, are left out, and the last line of Tail says so.
	Outputs    map[string]string
	StartedAt  time.Time // when the script began; zero before
	FinishedAt time.Time
	TimedOut   bool
}

// Start begins the run, or finishes what a torn Start left. It is a no-op when the id has begun or ended, whatever the script.
//
// The script runs under sh in a session of its own, with the run's directory as its working directory and KEELWAY_RUN, no input, and
// umask 022. Processes that it puts into a session of their own (setsid) outlive it.
//
// Errors: Terminal/Invalid for an id or script that can never run; Terminal/PlatformUnsuitable when the machine lacks flock,
// setsid, tar or mkfifo; otherwise the transport's.
func Start(ctx context.Context, tr transport.Transport, id string, script Script) error {
	archive, err := script.archive()
	if err != nil {
		return fault.During(&fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Err: err}, "starting run %.64s", id)
	}
	_, err = call{verb: "start", id: id, stdin: archive, redact: script.Redact}.do(ctx, tr)
	return fault.During(err, "starting run %.64s", id)
}

// Poll looks at the run and changes nothing. Each redact value of at least four bytes is replaced by "[redacted]" wherever it
// stands, whole or cut, in Tail and Outputs; so is each line of at least eight bytes of a value of several lines.
func Poll(ctx context.Context, tr transport.Transport, id string, redact ...string) (Status, error) {
	secrets := newRedactor(redact)
	answer, err := call{verb: "poll", id: id, args: []string{strconv.Itoa(secrets.window())}, limit: secrets.window() + 64<<10, redact: redact}.do(ctx, tr)
	if err != nil {
		return Status{}, fault.During(err, "polling run %.64s", id)
	}
	status, err := parse(answer, secrets)
	return status, fault.During(err, "polling run %.64s", id)
}

// Stop ends the run and everything in its script's process group, waits for that on the machine (at most half a minute), and
// leaves it Exited with CodeStopped. It is a no-op for a run that is missing or has ended; a run that was stopped never starts.
// Wait/InProgress: something of it is still alive; repeat.
func Stop(ctx context.Context, tr transport.Transport, id string) error {
	_, err := call{verb: "stop", id: id}.do(ctx, tr)
	return fault.During(err, "stopping run %.64s", id)
}

// Forget removes what the machine keeps of a run that is not alive, and is a no-op for a missing one. Wait/InProgress: it is alive.
func Forget(ctx context.Context, tr transport.Transport, id string) error {
	_, err := call{verb: "forget", id: id}.do(ctx, tr)
	return fault.During(err, "forgetting run %.64s", id)
}

// idShape admits what is a safe name of a directory everywhere.
var idShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
