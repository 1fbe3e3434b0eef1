// Package docker knows how to run a command in a container of a Docker Engine, through the Engine's API.
// It must not know who made the container, nor what the command is for.
package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/posix"
)

const (
	endTimeout = 10 * time.Second       // of the call that ends a command's group
	lastWords  = 5 * time.Second        // until a command that is to be ended has told who it is
	exitPause  = 20 * time.Millisecond  // between looks for the exit code, which follows the end of the output
	exitLimit  = 500 * time.Millisecond // of all of them: by then a daemon holds the output, and the command is done with it
)

// Engine is a Docker Engine whose containers are reached.
type Engine struct{ client *client.Client }

// NewEngine returns the Engine at an address like unix:///var/run/docker.sock. It sends nothing.
func NewEngine(host string) (*Engine, error) {
	c, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "the Docker Engine's address %.128q: %w", host, err)
	}
	return &Engine{c}, nil
}

// Close gives idle connections back.
func (e *Engine) Close() error { return e.client.Close() }

// Transport runs commands in one container, as root of the container. It holds nothing open.
type Transport struct {
	engine    *client.Client
	container string
}

var _ transport.Transport = (*Transport)(nil)

// Open returns the transport of the container with that id. It sends nothing.
func (e *Engine) Open(container string) (*Transport, error) {
	if container == "" || strings.ContainsAny(container, "/?#% ") {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "a container's id is needed, not %.80q", container)
	}
	return &Transport{engine: e.client, container: container}, nil
}

// Close does nothing.
func (t *Transport) Close() error { return nil }

// Exec runs the command in a session and process group of its own, and ends that whole group with SIGKILL when ctx ends.
//
// Errors: Terminal/Invalid for a command that no process can be given or a program that is not there; Terminal/PlatformUnsuitable
// when the container has no shell; Gone when there is no such container; Retry/Unreachable when the Engine does not answer or the
// container does not run; Unknown/OutcomeUnknown when ctx or the connection ended after the start.
func (t *Transport) Exec(ctx context.Context, cmd transport.Command) (transport.Result, error) {
	if err := cmd.Validate(); err != nil {
		return transport.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return transport.Result{}, fault.New(fault.Retry, fault.ReasonTransient, "did not start %q: %w", cmd.Argv[0], err)
	}
	program := posix.New(cmd)
	created, err := t.engine.ExecCreate(ctx, t.container, client.ExecCreateOptions{
		Cmd: program.Argv, AttachStdin: len(program.Stdin) > 0, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return transport.Result{}, t.refusal(err)
	}
	attached, err := t.engine.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return transport.Result{}, t.refusal(err)
	}
	defer attached.Close()
	r := &running{t: t, id: created.ID, conn: attached.HijackedResponse,
		stdout: posix.NewOutput(program, cmd.Limit()), stderr: &transport.Kept{Limit: cmd.Limit()}}
	return r.finish(ctx, cmd, program)
}

// running is a command that the Engine has started.
type running struct {
	t      *Transport
	id     string
	conn   client.HijackedResponse
	stdout *posix.Output
	stderr *transport.Kept
}

// finish feeds the command, reads what it prints and asks for its exit code.
func (r *running) finish(ctx context.Context, cmd transport.Command, program posix.Program) (transport.Result, error) {
	read := make(chan error, 1)
	go func() {
		_, err := stdcopy.StdCopy(r.stdout, r.stderr, r.conn.Reader)
		read <- err
	}()
	go func() {
		_, _ = r.conn.Conn.Write(program.Stdin) // a command need not read its input
		_ = r.conn.CloseWrite()
	}()
	select {
	case err := <-read:
		if err != nil && !errors.Is(err, io.EOF) {
			return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the connection to the Docker Engine broke while %q ran: %w", cmd.Argv[0], err)
		}
	case <-ctx.Done():
		r.end(read)
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "%q was ended before it finished: %w", cmd.Argv[0], ctx.Err())
	}
	code, err := r.exit(ctx)
	if err != nil {
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "asking how %q ended: %w", cmd.Argv[0], err)
	}
	start, began := r.stdout.Started()
	switch {
	case !began:
		return transport.Result{}, fault.New(fault.Terminal, fault.ReasonPlatform, "the container ran no shell (code %d): %.300q", code, strings.TrimSpace(r.stdout.Greeting()+string(r.stderr.Bytes)))
	case start.Missing:
		return transport.Result{}, fault.New(fault.Terminal, fault.ReasonInvalid, "could not run %q: it is not in the container", cmd.Argv[0])
	}
	return transport.Result{Exit: code, Stdout: r.stdout.Bytes, Stderr: r.stderr.Bytes, Truncated: r.stdout.Truncated || r.stderr.Truncated}, nil
}

// end ends the command's group by a second command in the same container, once it is known.
func (r *running) end(read <-chan error) {
	select {
	case <-r.stdout.Said():
	case <-read: // it ended by itself
	case <-time.After(lastWords):
	}
	start, began := r.stdout.Started()
	if !began || start.End() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	created, err := r.t.engine.ExecCreate(ctx, r.t.container, client.ExecCreateOptions{Cmd: start.End(), AttachStdout: true})
	if err != nil {
		return // the container is gone, and the group with it; or nobody can be asked
	}
	attached, err := r.t.engine.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	if err != nil {
		return
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	_, _ = io.Copy(io.Discard, attached.Reader) // until it has done so
}

// exit asks for the exit code. The output ends a moment before the Engine knows it.
func (r *running) exit(ctx context.Context) (int, error) {
	deadline := time.Now().Add(exitLimit)
	for {
		got, err := r.t.engine.ExecInspect(ctx, r.id, client.ExecInspectOptions{})
		switch {
		case err != nil:
			return 0, err
		case !got.Running:
			return got.ExitCode, nil
		case time.Now().After(deadline):
			return 0, errors.New("it closed its output and runs on")
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(exitPause):
		}
	}
}

// refusal classifies what the Engine says before a command has begun.
func (t *Transport) refusal(err error) error {
	switch {
	case errdefs.IsNotFound(err):
		return fault.New(fault.Gone, fault.ReasonNotFound, "there is no container %.12s", t.container)
	case errdefs.IsConflict(err), errdefs.IsUnavailable(err):
		return fault.New(fault.Retry, fault.ReasonUnreachable, "container %.12s: %w", t.container, err)
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return fault.New(fault.Terminal, fault.ReasonUnauthorized, "the Docker Engine: %w", err)
	}
	return fault.New(fault.Retry, fault.ReasonUnreachable, "the Docker Engine: %w", err)
}
