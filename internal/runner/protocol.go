package runner

import (
	"context"
	"embed"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

//go:embed shell/*.sh
var shell embed.FS

// part returns a file of the protocol. The files are compiled in, so a missing one is a bug of the build.
func part(name string) string {
	text, err := shell.ReadFile("shell/" + name + ".sh")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// programs are what each verb runs. They hold no value of any run: ids are arguments, everything else is standard input.
var programs = map[string]string{
	"start":  part("common") + part("start"),
	"poll":   part("common") + part("poll"),
	"stop":   part("common") + part("group") + part("stop"),
	"forget": part("common") + part("forget"),
}

// Exit codes of the protocol, from sysexits.h.
const (
	exitLacking = 71  // the machine lacks a program; stderr names it
	exitAlive   = 75  // the run is alive: ask again
	exitNoShell = 127 // a program that every POSIX system has is missing
)

// call is one round trip.
type call struct {
	verb, id string
	args     []string
	stdin    []byte
	limit    int
	redact   []string
}

// do returns what the machine answered after its greeting.
func (c call) do(ctx context.Context, tr transport.Transport) (string, error) {
	if !idShape.MatchString(c.id) {
		return "", fault.New(fault.Terminal, fault.ReasonInvalid, "a run's id is 1 to 128 letters, digits, dots, dashes and underscores and starts with no dot")
	}
	result, err := tr.Exec(ctx, transport.Command{
		Argv:        append([]string{"sh", "-c", programs[c.verb], "keelway-run", c.verb, c.id}, c.args...),
		Stdin:       c.stdin,
		OutputLimit: c.limit,
	})
	if err != nil {
		return "", repeatable(err)
	}
	if result.Exit != 0 {
		return "", c.refusal(result)
	}
	answer, ours := strings.CutPrefix(string(result.Stdout), "keelway-run "+c.verb+"\n")
	if !ours || result.Truncated {
		return "", fault.New(fault.Retry, fault.ReasonTransient, "the machine answered something else: %s", c.quote(result.Stdout))
	}
	return answer, nil
}

func (c call) refusal(result transport.Result) error {
	said := c.quote(result.Stderr)
	switch result.Exit {
	case exitLacking, exitNoShell:
		return fault.New(fault.Terminal, fault.ReasonPlatform, "%s", said)
	case exitAlive:
		return fault.Waiting(fault.ReasonInProgress, 2*time.Second, "%s", said)
	}
	return fault.New(fault.Retry, fault.ReasonTransient, "the machine answered with code %d: %s", result.Exit, said)
}

// quote makes a short text of what a machine said.
func (c call) quote(said []byte) string {
	return newRedactor(c.redact).text(said, 512)
}

// repeatable turns "it may have run" into "run it again": that is what ids are for.
func repeatable(err error) error {
	if fault.ClassOf(err) != fault.Unknown {
		return err
	}
	return fault.New(fault.Retry, fault.ReasonTransient, "%w", err)
}
