// Package process knows how to run a command as a child of the operator, inside the private directory that a Process server is.
// It must not know runs, recipes or who made the directory; and it isolates nothing: commands have the operator's own rights.
package process

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// lingering is how long Exec waits, after its process has ended, for somebody who inherited the pipe of its input and does not read it.
const lingering = 500 * time.Millisecond

// defaultPath is used where the operator has no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Transport runs commands in one Process server's directory. It holds nothing open.
type Transport struct {
	directory string
	address   string
}

var _ transport.Transport = (*Transport)(nil)

// New returns the transport of the server whose private directory is access.Target (absolute, clean) and whose own loopback
// address is access.Address. It touches nothing; a directory that is not there shows at the first Exec.
func New(access transport.Access) (*Transport, error) {
	if !filepath.IsAbs(access.Target) || filepath.Clean(access.Target) != access.Target || filepath.Base(access.Target) == "/" {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "a Process server's target is a clean absolute directory, not %q", access.Target)
	}
	return &Transport{directory: access.Target, address: access.Address}, nil
}

// Close does nothing.
func (t *Transport) Close() error { return nil }

// Exec runs the command as leader of its own session and process group, and ends that whole group with SIGKILL when ctx ends.
// A process that left the group (setsid) is a daemon: Exec does not wait for it, and its writes to the output pipes fail
// with EPIPE once Exec has returned.
//
// Errors: Terminal/Invalid for a command that no process can be given or a program that cannot be run; Gone when the
// directory, and so the machine, is gone; Retry/Unreachable when the place where directories are kept is not there either;
// Retry/Transient when ctx ended before the start; Unknown/OutcomeUnknown when it ended later.
func (t *Transport) Exec(ctx context.Context, cmd transport.Command) (transport.Result, error) {
	if err := cmd.Validate(); err != nil {
		return transport.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return transport.Result{}, notStarted(err, cmd)
	}
	if err := t.lookup(); err != nil {
		return transport.Result{}, err
	}
	stdout, err := newOutput(cmd.Limit())
	if err != nil {
		return transport.Result{}, err
	}
	defer stdout.finish()
	stderr, err := newOutput(cmd.Limit())
	if err != nil {
		return transport.Result{}, err
	}
	defer stderr.finish()
	var ended atomic.Bool
	process := t.prepare(ctx, cmd, &ended)
	process.Stdout, process.Stderr = stdout.into, stderr.into
	if err := process.Start(); err != nil {
		return transport.Result{}, t.startFailure(ctx, err, cmd)
	}
	err = process.Wait()
	stdout.finish()
	stderr.finish()
	if ended.Load() {
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "%q was ended before it finished: %w", cmd.Argv[0], ctx.Err())
	}
	code, err := exitCode(err, process)
	if err != nil {
		return transport.Result{}, err
	}
	return transport.Result{
		Exit: code, Stdout: stdout.Bytes, Stderr: stderr.Bytes, Truncated: stdout.Truncated || stderr.Truncated,
	}, nil
}

// prepare sets ended when the end of ctx has reached the process: what it answers from then on is not its own doing.
func (t *Transport) prepare(ctx context.Context, cmd transport.Command, ended *atomic.Bool) *exec.Cmd {
	process := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	process.Dir = t.directory
	process.Env = t.environment(cmd.Env)
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	process.Cancel = func() error {
		if err := syscall.Kill(-process.Process.Pid, syscall.SIGKILL); err != nil {
			return os.ErrProcessDone // nobody is left in the group: it ended by itself
		}
		ended.Store(true)
		return nil
	}
	process.WaitDelay = lingering
	if cmd.Stdin != nil {
		process.Stdin = bytes.NewReader(cmd.Stdin)
	}
	return process
}

// environment is what a command on a Process server sees, and nothing of the operator's besides PATH. A command's own
// variables come last and win.
func (t *Transport) environment(extra map[string]string) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = defaultPath
	}
	env := []string{
		"PATH=" + path,
		"HOME=" + t.directory,
		"LANG=C.UTF-8",
		"KEELWAY_ROOT=" + t.directory,
		"KEELWAY_ADDRESS=" + t.address,
		"KEELWAY_SERVER=" + filepath.Base(t.directory),
	}
	own := len(env)
	for name, value := range extra {
		env = append(env, name+"="+value)
	}
	slices.Sort(env[own:])
	return env
}

// lookup tells a machine that is gone from a disk that is not there.
func (t *Transport) lookup() error {
	_, err := os.Stat(t.directory)
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, above := os.Stat(filepath.Dir(t.directory)); above == nil {
			return fault.New(fault.Gone, fault.ReasonNotFound, "the server's directory %s is gone", t.directory)
		}
	}
	return fault.New(fault.Retry, fault.ReasonUnreachable, "looking up the server's directory: %w", err)
}

// startFailure says why there is no process. Only a shortage passes by itself.
func (t *Transport) startFailure(ctx context.Context, err error, cmd transport.Command) error {
	if ctx.Err() != nil {
		return notStarted(ctx.Err(), cmd)
	}
	for _, passing := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, passing) {
			return fault.New(fault.Retry, fault.ReasonTransient, "could not start %q: %w", cmd.Argv[0], err)
		}
	}
	if gone := t.lookup(); gone != nil {
		return gone
	}
	return fault.New(fault.Terminal, fault.ReasonInvalid, "could not run %q: %w", cmd.Argv[0], err)
}

func notStarted(err error, cmd transport.Command) error {
	return fault.New(fault.Retry, fault.ReasonTransient, "did not start %q: %w", cmd.Argv[0], err)
}

// exitCode reads what Wait says. A daemon that kept the pipe of the input open past the delay is no failure.
func exitCode(err error, process *exec.Cmd) (int, error) {
	if exit := (*exec.ExitError)(nil); err != nil && !errors.Is(err, exec.ErrWaitDelay) && !errors.As(err, &exit) {
		return 0, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "waiting for %q: %w", process.Args[0], err)
	}
	status := process.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}
