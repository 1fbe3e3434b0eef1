package plan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Bounds of a verdict: what its message lists, and what it keeps for those who ask with FaultsIn.
const (
	maxListed = 8
	maxFaults = 256
)

// Fault is one thing that is wrong with a workflow.
type Fault struct {
	// Field that it stands in, such as spec.operations[2].dependsOn[0]; at least the operation, or spec.operations.
	Field string
	Err   error
}

// Faults is everything that is wrong with a workflow, in the order in which it was found.
type Faults []Fault

// Error lists the first eight; a condition's message is bounded.
func (f Faults) Error() string {
	lines := make([]string, 0, maxListed+1)
	for _, one := range f[:min(len(f), maxListed)] {
		lines = append(lines, one.Err.Error())
	}
	if more := len(f) - maxListed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

// FaultsIn returns the single faults of an error of Compile, at most 256; nil for any other error.
func FaultsIn(err error) Faults {
	found, _ := errors.AsType[Faults](err)
	return found
}

// at makes path, below the operation, the field that faults stand in from now on; without path it is the operation itself.
func (c *compiler) at(op int, path string) {
	c.field = fmt.Sprintf("spec.operations[%d]", op)
	if path != "" {
		c.field += "." + path
	}
}

func (c *compiler) fault(reason fault.Reason, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, Fault{Field: c.field, Err: fault.New(fault.Terminal, reason, format, args...)})
	}
}

// keep adds a fault that somebody else found, with its place before it.
func (c *compiler) keep(place string, err error) {
	c.fault(fault.ReasonOf(err), "%s: %w", place, err)
}

// verdict joins the faults into one error; its reason is that of the first.
func (c *compiler) verdict() error {
	if len(c.faults) == 0 {
		return nil
	}
	return fault.New(fault.Terminal, fault.ReasonOf(c.faults[0].Err), "%w", c.faults)
}
