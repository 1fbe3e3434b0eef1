package plan

import (
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// RunReport is how the action of a Run ended.
type RunReport struct {
	Code     int    // exit code of the script, or status of the HTTP answer
	Contains bool   // expect.outputContains was found; true when nothing is expected
	Text     string // what was printed or answered, redacted
	TimedOut bool
	Failure  string // why a probe got no answer at all; "" when it got one
}

// Judge says whether a Run's action ended as expected: nil, or a Terminal error that says what was found, what was wanted and
// what the other side said.
func Judge(spec v1alpha1.RunSpec, report RunReport) error {
	expect := spec.Expect
	switch {
	case report.TimedOut:
		return fault.New(fault.Terminal, fault.ReasonTimedOut, "%s did not end within %s%s", subject(spec), spec.Timeout.Duration, lastWords(report.Text))
	case report.Failure != "":
		return fault.New(fault.Terminal, fault.ReasonExpectationFailed, "%s: %s", subject(spec), clip(report.Failure, keptBytes))
	case spec.Action == v1alpha1.RunCommand && report.Code != int(expect.ExitCode):
		return fault.New(fault.Terminal, fault.ReasonScriptFailed, "%s ended with code %d, want %d%s", subject(spec), report.Code, expect.ExitCode, lastWords(report.Text))
	case spec.Action == v1alpha1.RunHTTP && expect.Status != 0 && report.Code != int(expect.Status):
		return fault.New(fault.Terminal, fault.ReasonExpectationFailed, "%s answered with status %d, want %d%s", subject(spec), report.Code, expect.Status, body(report.Text))
	case spec.Action == v1alpha1.RunHTTP && expect.Status == 0 && (report.Code < 200 || report.Code > 399):
		return fault.New(fault.Terminal, fault.ReasonExpectationFailed, "%s answered with status %d, want 200 to 399%s", subject(spec), report.Code, body(report.Text))
	case !report.Contains:
		return fault.New(fault.Terminal, fault.ReasonExpectationFailed, "%s does not contain %.100q%s", output(spec), expect.OutputContains, lastWords(report.Text))
	}
	return nil
}

func subject(spec v1alpha1.RunSpec) string {
	switch spec.Action {
	case v1alpha1.RunHTTP:
		return "GET " + clip(spec.HTTP.URL, 200)
	case v1alpha1.RunTCP:
		return "connecting to " + spec.TCP.Address
	}
	return "the script"
}

// body is the end of an HTTP answer, for people.
func body(text string) string {
	if strings.TrimSpace(text) == "" {
		return ", and its body is empty"
	}
	return lastWords(text)
}

func output(spec v1alpha1.RunSpec) string {
	if spec.Action == v1alpha1.RunHTTP {
		return "the answer of " + subject(spec) + " (its first 64 KiB)"
	}
	return "the end of the script's output (4 KiB)"
}
