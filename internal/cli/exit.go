package cli

import "fmt"

// Codes that the program ends with. docs/cli.md has the same table, held to this one by a test.
const (
	codeDone        = 0   // it was done, or the answer is yes
	codeFailed      = 1   // it could not be done: refused, not found, or an error that has no code of its own
	codeChanges     = 2   // plan: there are changes
	codeInvalid     = 3   // arguments, a file or a name that cannot be meant: nothing was asked of the cluster
	codeEnded       = 4   // what was waited for has ended badly
	codeUnreachable = 5   // no cluster, no CRDs, another version, or no permission
	codeTimeout     = 124 // --timeout was over; what was asked for goes on
	codeInterrupted = 130 // Ctrl-C; what was asked for goes on
)

// Code is one row of the table of exit codes.
type Code struct {
	Code    int
	Meaning string
}

// Codes lists what the program ends with, for its reference.
func Codes() []Code {
	return []Code{
		{codeDone, "done, or the answer is yes"},
		{codeFailed, "it could not be done: refused, not found, or any other error"},
		{codeChanges, "plan: there are changes"},
		{codeInvalid, "arguments or a file that are wrong; nothing was asked of the cluster"},
		{codeEnded, "what was waited for has ended badly"},
		{codeUnreachable, "no cluster, no CRDs, another version, or no permission"},
		{codeTimeout, "--timeout was over; what was asked for goes on"},
		{codeInterrupted, "Ctrl-C; what was asked for goes on"},
	}
}

// failure is an error with the code that the program ends with, and what to do next.
type failure struct {
	code    int
	err     error
	advice  string
	passing bool // asking again later may help
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// invalid is a failure of arguments.
func invalid(format string, args ...any) error {
	return &failure{code: codeInvalid, err: fmt.Errorf(format, args...)}
}

// failed is any other failure, with what to do next.
func failed(code int, advice, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...), advice: advice}
}

// quiet ends the program with a code after everything was said.
type quiet int

func (q quiet) Error() string { return fmt.Sprintf("exit code %d", int(q)) }
