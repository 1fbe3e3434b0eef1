package transport

import (
	"errors"
	"regexp"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Command is one process to run.
type Command struct {
	// Argv is the program and its arguments, passed as they are: nothing is ever spliced into shell text.
	Argv []string
	// Stdin is the whole input, or nil. Secrets travel here and never in Argv.
	Stdin []byte
	// Env adds variables to the process's environment. Names match [A-Za-z_][A-Za-z0-9_]*; values are any text without NUL.
	Env map[string]string
	// OutputLimit bounds the bytes kept of each of stdout and stderr; 0 means DefaultOutputLimit. What is beyond it is
	// read and thrown away, so that a talkative process cannot block or fill memory.
	OutputLimit int
}

// DefaultOutputLimit is the number of bytes kept of each output stream when Command.OutputLimit is 0.
const DefaultOutputLimit = 64 << 10

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Limit returns the bytes to keep of each output stream.
func (c Command) Limit() int {
	if c.OutputLimit <= 0 {
		return DefaultOutputLimit
	}
	return c.OutputLimit
}

// Validate refuses, as Terminal/Invalid, what no process can be given: every driver calls it before it runs anything.
// The message never holds a value, which may be a secret.
func (c Command) Validate() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "a command needs a program")
	}
	for i, arg := range c.Argv {
		if strings.ContainsRune(arg, 0) {
			return fault.New(fault.Terminal, fault.ReasonInvalid, "argument %d of %q holds a NUL byte", i, firstWord(c.Argv[0]))
		}
	}
	for name, value := range c.Env {
		if err := ValidateEnv(name, value); err != nil {
			return &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Err: err}
		}
	}
	return nil
}

// ValidateEnv says what is wrong with an environment variable, without ever printing its value.
func ValidateEnv(name, value string) error {
	switch {
	case !envName.MatchString(name):
		return errors.New("environment variable " + quoted(name) + ": a name holds letters, digits and _ and starts with no digit")
	case strings.ContainsRune(value, 0):
		return errors.New("environment variable " + name + ": the value holds a NUL byte")
	}
	return nil
}
