package dag

import (
	"fmt"
	"strings"
)

// DuplicateError says that two operations share a name.
type DuplicateError struct{ Name string }

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("two operations are named %q", e.Name)
}

// UnknownError says that Operation depends on a name that no operation has.
type UnknownError struct{ Operation, Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("operation %q depends on %q, which does not exist", e.Operation, e.Name)
}

// SelfError says that an operation depends on itself.
type SelfError struct{ Name string }

func (e *SelfError) Error() string {
	return fmt.Sprintf("operation %q depends on itself", e.Name)
}

// CycleError says that operations wait for each other. Each name of Path depends on the next, and the last on the first; no
// name is repeated, and the first is the one that was declared first.
type CycleError struct{ Path []string }

// printed bounds the names in a message: a longer cycle shows its first ones and its last.
const printed = 12

func (e *CycleError) Error() string {
	names := e.Path
	if len(names) > printed {
		gap := fmt.Sprintf("… (%d more)", len(names)-printed)
		names = append(append(append([]string{}, names[:printed-1]...), gap), names[len(names)-1])
	}
	return "operations depend on each other: " + strings.Join(append(names[:len(names):len(names)], e.Path[0]), " → ")
}
