package run

import (
	"context"
	_ "embed"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
)

// The probes that go out from a server: static text, what they ask for reaches them as environment.
var (
	//go:embed http.sh
	httpScript string
	//go:embed tcp.sh
	tcpScript string
)

// maxOutputs is how many outputs the API keeps.
const maxOutputs = 32

func (v *visit) start(ctx context.Context, one *v1alpha1.Run) error {
	script, err := scriptOf(one.Spec, one.Status.Verifying)
	if err != nil {
		return err
	}
	before := v.seen.Status
	return v.on(ctx, func(ctx context.Context, tr transport.Transport) error {
		if before.ID != "" && before.ID != one.Status.ID && before.Machine == one.Status.Machine && !plan.Ended(before.Phase) {
			if err := runner.Stop(ctx, tr, before.ID); err != nil && !fault.IsGone(err) {
				return err
			}
			_ = runner.Forget(ctx, tr, before.ID) // if it fails, a directory of a few files stays behind
		}
		return runner.Start(ctx, tr, one.Status.ID, script)
	})
}

// scriptOf is what a Run does on its machine. Only a command may change something there, so only it holds the machine's lock.
func scriptOf(spec v1alpha1.RunSpec, verifying bool) (runner.Script, error) {
	script := runner.Script{Timeout: spec.Timeout.Duration, Env: map[string]string{}}
	switch spec.Action {
	case v1alpha1.RunHTTP:
		if _, err := checkURL(spec.HTTP.URL); err != nil {
			return script, err
		}
		script.Body = httpScript
		script.Env["KW_URL"], script.Env["KW_CONTAINS"] = spec.HTTP.URL, spec.Expect.OutputContains
	case v1alpha1.RunTCP:
		host, port, err := splitAddress(spec.TCP.Address)
		if err != nil {
			return script, err
		}
		script.Body = tcpScript
		script.Env["KW_HOST"], script.Env["KW_PORT"] = host, port
	default:
		script.Body, script.Mutating = spec.Command.Script, true // verify waits for the lock, too: what it asks about may still run
		if verifying {
			script.Body = spec.Verify
		}
		for _, variable := range spec.Command.Env {
			script.Env[variable.Name] = variable.Value
		}
	}
	return script, nil
}

func splitAddress(address string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(address)
	if err == nil {
		if n, perr := strconv.ParseUint(port, 10, 16); perr == nil && n > 0 && host != "" {
			return host, port, nil
		}
	}
	return "", "", fault.New(fault.Terminal, fault.ReasonInvalid, "spec.tcp.address %q: want host:port", address)
}

// translate puts the runner's answer into the plan's words. A probe's script leaves in its outputs what it was told.
func translate(spec v1alpha1.RunSpec, s runner.Status) plan.OnceSaid {
	said := plan.OnceSaid{
		State: plan.RunState(s.State), StartedAt: s.StartedAt, EndedAt: s.FinishedAt, Tail: s.Tail,
		Report: plan.RunReport{Code: s.Code, Text: s.Tail, TimedOut: s.TimedOut},
	}
	switch {
	case spec.Action == v1alpha1.RunCommand:
		said.Outputs = few(s.Outputs)
		said.Report.Contains = strings.Contains(s.Tail, spec.Expect.OutputContains)
	case s.Code != 0 && !s.TimedOut:
		said.Report.Failure = lastLine(s.Tail)
	case spec.Action == v1alpha1.RunHTTP:
		said.Report.Code, _ = strconv.Atoi(s.Outputs["status"])
		said.Report.Contains = spec.Expect.OutputContains == "" || s.Outputs["contains"] == "yes"
	default:
		said.Report.Contains = true
	}
	return said
}

// few keeps as many outputs as the API does, the first by name.
func few(outputs map[string]string) map[string]string {
	if len(outputs) <= maxOutputs {
		return outputs
	}
	kept := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(outputs))[:maxOutputs] {
		kept[name] = outputs[name]
	}
	return kept
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return "no answer"
}
