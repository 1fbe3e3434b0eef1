package ssh

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/posix"
)

const (
	lingering    = 500 * time.Millisecond // without a byte, after the command's end, until a daemon is taken to hold the output
	endTimeout   = 10 * time.Second       // of the session that ends a command's group
	fullTries    = 40                     // of opening a session where the machine has too many
	fullPause    = 50 * time.Millisecond  // between them
	closeTimeout = time.Second            // of a session's end
	firstWords   = 5 * time.Second        // until a command that is to be ended has told who it is
)

// Transport runs commands on one machine. Close gives its share of the connection back.
type Transport struct {
	line *line
	sudo bool
	once sync.Once
}

var _ transport.Transport = (*Transport)(nil)

// Close may be repeated.
func (t *Transport) Close() error {
	t.once.Do(t.line.leave)
	return nil
}

// Exec runs the command and ends its whole process group with SIGKILL, from a second session, when ctx ends.
//
// Errors: Terminal/Invalid for a command that no process can be given or a program that is not there; Terminal/Unauthorized when
// sudo refuses; Terminal/PlatformUnsuitable when the login runs no shell; those of Open when the connection had to be made anew;
// Retry/Unreachable when it broke before the command was sent; Unknown/OutcomeUnknown when it, or ctx, ended later.
func (t *Transport) Exec(ctx context.Context, cmd transport.Command) (transport.Result, error) {
	if err := cmd.Validate(); err != nil {
		return transport.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return transport.Result{}, notStarted(err, cmd)
	}
	select {
	case t.line.sessions <- struct{}{}:
	case <-ctx.Done():
		return transport.Result{}, notStarted(ctx.Err(), cmd)
	}
	client, session, err := t.session(ctx)
	if err != nil {
		<-t.line.sessions
		return transport.Result{}, err
	}
	defer t.letGo(session)
	program := posix.New(cmd)
	r := &running{t: t, client: client, session: session, name: cmd.Argv[0],
		stdout: posix.NewOutput(program, cmd.Limit()), stderr: &transport.Kept{Limit: cmd.Limit()}, drained: make(chan struct{})}
	if err := r.start(t.command(program.Argv), program.Stdin); err != nil {
		t.line.broken(client)
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "starting %q on %s: %w", cmd.Argv[0], t.line.at, err)
	}
	return r.finish(ctx)
}

// letGo closes a session. Its place is free when the server has closed it too: it counts on its own.
func (t *Transport) letGo(s *session) {
	_ = s.Close()
	go func() {
		select {
		case <-s.closed:
		case <-time.After(closeTimeout):
		}
		<-t.line.sessions
	}()
}

func notStarted(err error, cmd transport.Command) error {
	return fault.New(fault.Retry, fault.ReasonTransient, "did not start %q: %w", cmd.Argv[0], err)
}

// command is what the user's login shell is given.
func (t *Transport) command(argv []string) string {
	if t.sudo {
		return "sudo -n -H -- " + posix.Line(argv)
	}
	return posix.Line(argv)
}

// session opens one, on a new connection where the old one turns out to be broken. A machine that has as many sessions as it allows
// is asked again for a moment: it counts one that has just ended a little longer than we do.
func (t *Transport) session(ctx context.Context) (*ssh.Client, *session, error) {
	var last error
	broken := false
	for range fullTries {
		client, err := t.line.connected(ctx)
		if err != nil {
			return nil, nil, err
		}
		session, err := open(ctx, client)
		if err == nil {
			return client, session, nil
		}
		last = err
		if full := (*ssh.OpenChannelError)(nil); errors.As(err, &full) {
			select {
			case <-time.After(fullPause):
				continue
			case <-ctx.Done():
			}
		}
		if t.line.broken(client); broken || ctx.Err() != nil {
			break
		}
		broken = true
	}
	return nil, nil, fault.New(fault.Retry, fault.ReasonUnreachable, "opening a session on %s: %w", t.line.at, last)
}

// running is a command that was sent.
type running struct {
	t       *Transport
	client  *ssh.Client
	session *session
	name    string
	stdout  *posix.Output
	stderr  *transport.Kept
	drained chan struct{} // closed when both outputs have ended
	ear     ear
}

// ear hears what both outputs say until it is closed: a daemon that keeps them open talks on.
type ear struct {
	mu     sync.Mutex
	heard  int64 // bytes so far
	closed bool
}

// hearing writes to what the ear is open for.
type hearing struct {
	*ear
	to io.Writer
}

func (h hearing) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.heard += int64(len(p))
	return h.to.Write(p)
}

// close returns once nothing is written any more.
func (e *ear) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
}

func (e *ear) bytes() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}

func (r *running) start(line string, input []byte) error {
	if err := r.session.run(line); err != nil {
		return err
	}
	var readers sync.WaitGroup
	for from, to := range map[io.Reader]io.Writer{r.session: r.stdout, r.session.Stderr(): r.stderr} {
		readers.Go(func() { _, _ = io.Copy(hearing{&r.ear, to}, from) })
	}
	go func() { readers.Wait(); close(r.drained) }()
	go func() {
		_, _ = r.session.Write(input) // a command need not read its input
		_ = r.session.CloseWrite()
	}()
	return nil
}

// finish waits for the command's end or for that of ctx.
func (r *running) finish(ctx context.Context) (transport.Result, error) {
	var ended exit
	select {
	case ended = <-r.session.exited:
	case <-ctx.Done():
		r.end()
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "%q was ended before it finished: %w", r.name, ctx.Err())
	}
	r.drain()
	if ended.err != nil {
		r.t.line.broken(r.client)
		return transport.Result{}, fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "the connection to %s broke while %q ran: %w", r.t.line.at, r.name, ended.err)
	}
	return r.result(ended.code)
}

// drain reads what is on its way. Who inherited the output and keeps it open is a daemon: its words are not the command's.
func (r *running) drain() {
	defer r.ear.close()
	for {
		before := r.ear.bytes()
		select {
		case <-r.drained:
			return
		case <-time.After(lingering):
		}
		if r.ear.bytes() == before {
			return
		}
	}
}

func (r *running) result(code int) (transport.Result, error) {
	start, began := r.stdout.Started()
	words := strings.TrimSpace(string(r.stderr.Bytes) + r.stdout.Greeting())
	switch {
	case !began && r.t.sudo && strings.Contains(words, "sudo"):
		return transport.Result{}, fault.New(fault.Terminal, fault.ReasonUnauthorized, "%s may not become root by sudo without a password: %.300q", r.t.line.at, words)
	case !began:
		return transport.Result{}, fault.New(fault.Terminal, fault.ReasonPlatform, "%s ran no POSIX shell (code %d): %.300q", r.t.line.at, code, words)
	case start.Missing:
		return transport.Result{}, fault.New(fault.Terminal, fault.ReasonInvalid, "could not run %q: %s does not have it", r.name, r.t.line.at)
	}
	return transport.Result{Exit: code, Stdout: r.stdout.Bytes, Stderr: r.stderr.Bytes, Truncated: r.stdout.Truncated || r.stderr.Truncated}, nil
}

// end ends the command's group from a second session, once it is known.
func (r *running) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	select {
	case <-r.stdout.Said():
	case <-r.drained: // it ended by itself
	case <-time.After(firstWords):
	}
	start, began := r.stdout.Started()
	if !began || start.End() == nil {
		return
	}
	second, err := open(ctx, r.client)
	if err != nil {
		return // nobody can be asked: the machine is away
	}
	stop := context.AfterFunc(ctx, func() { _ = second.Close() })
	defer stop()
	defer func() { _ = second.Close() }()
	if second.run(r.t.command(start.End())) == nil {
		<-second.exited
	}
}
