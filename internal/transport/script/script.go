// Package script knows how to answer commands without running anything: by rules that a test wrote, or as a simulated machine.
// It must not know what the answers are used for; of the programs of this house it recognises two by their arguments.
package script

import (
	"context"
	"strings"
	"sync"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// Handler answers one valid command.
type Handler func(transport.Command) (transport.Result, error)

// Rule answers the commands it matches. A zero Argv and Stdin match everything.
type Rule struct {
	Argv   string // a substring of the arguments joined by spaces
	Stdin  string // a substring of the input
	Result transport.Result
	Err    error
}

func (r Rule) matches(cmd transport.Command) bool {
	return strings.Contains(strings.Join(cmd.Argv, " "), r.Argv) && strings.Contains(string(cmd.Stdin), r.Stdin)
}

// Rules answers by the first rule that matches, and as a shell answers a program it does not know where none does.
func Rules(rules ...Rule) Handler {
	return func(cmd transport.Command) (transport.Result, error) {
		for _, rule := range rules {
			if rule.matches(cmd) {
				return rule.Result, rule.Err
			}
		}
		return transport.Result{Exit: 127, Stderr: []byte("no rule for " + cmd.Argv[0] + "\n")}, nil
	}
}

// keptCalls bounds what a Transport remembers.
const keptCalls = 1024

// Transport answers by its handler, remembers the last 1,024 calls and fails on demand. It is safe for concurrent use.
type Transport struct {
	Faults
	handler Handler

	mu     sync.Mutex
	calls  []transport.Command
	closed bool
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport that answers by handler, which must be safe for concurrent use.
func New(handler Handler) *Transport { return &Transport{handler: handler} }

// Exec answers at once. The output is cut to the command's limit, as a real machine's is.
func (t *Transport) Exec(ctx context.Context, cmd transport.Command) (transport.Result, error) {
	if err := cmd.Validate(); err != nil {
		return transport.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return transport.Result{}, fault.New(fault.Retry, fault.ReasonTransient, "did not start %q: %w", cmd.Argv[0], err)
	}
	if err := t.record(cmd); err != nil {
		return transport.Result{}, err
	}
	result, err := t.around(func() (transport.Result, error) { return t.handler(cmd) })
	if err != nil {
		return transport.Result{}, err
	}
	return cut(result, cmd.Limit()), nil
}

func (t *Transport) record(cmd transport.Command) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "the transport is closed")
	}
	if len(t.calls) == keptCalls {
		t.calls = t.calls[1:]
	}
	t.calls = append(t.calls, cmd)
	return nil
}

// Calls returns what was asked, oldest first.
func (t *Transport) Calls() []transport.Command {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]transport.Command(nil), t.calls...)
}

// Close makes every later Exec fail, so that a use after close shows.
func (t *Transport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

func cut(result transport.Result, limit int) transport.Result {
	for _, stream := range []*[]byte{&result.Stdout, &result.Stderr} {
		if len(*stream) > limit {
			*stream, result.Truncated = (*stream)[:limit], true
		}
	}
	return result
}
