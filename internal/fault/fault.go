// Package fault knows what kinds of failure there are and what each one asks of the caller: try again, wait, look, give up.
// It must not know who failed: it imports the standard library only, and every room above it speaks its language.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class says what a caller may do about an error. The zero value is Retry: an error that nobody classified is retried,
// because giving up on an unknown failure loses work and repeating an idempotent call does not.
type Class uint8

const (
	// Retry means that the same call may succeed later; it is repeated with exponential backoff, for ever.
	Retry Class = iota
	// Wait means that nothing failed: something that was asked for is not finished. Look again after Error.After.
	Wait
	// Unknown means that the call may or may not have taken effect (a reply was lost): observe before deciding.
	Unknown
	// Terminal means that repeating the call cannot help until somebody changes the input.
	Terminal
	// Gone means that the thing does not exist; for a deletion that is success.
	Gone
)

var classNames = [...]string{"Retry", "Wait", "Unknown", "Terminal", "Gone"}

// String returns the name of the class as it appears in logs and metrics.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// Error is a failure with its class and reason. The zero class is Retry.
type Error struct {
	Class  Class
	Reason Reason
	// After is the pause that the other side asked for, or a waiter's own interval; zero leaves it to the caller.
	After time.Duration
	// Doing is what was being done, in lower case: "creating server". Empty when Err says it already.
	Doing string
	// Err is the cause in its own words.
	Err error
}

// Error returns "doing: cause".
func (e *Error) Error() string {
	switch {
	case e.Err == nil && e.Doing == "":
		return string(e.Reason)
	case e.Err == nil:
		return e.Doing
	case e.Doing == "":
		return e.Err.Error()
	}
	return e.Doing + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error of the given class and reason whose message is formatted as by fmt.Errorf (so %w works).
func New(class Class, reason Reason, format string, args ...any) error {
	return &Error{Class: class, Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Waiting returns a Wait error: nothing failed, look again after the given pause (0: when an event arrives).
func Waiting(reason Reason, after time.Duration, format string, args ...any) error {
	return &Error{Class: Wait, Reason: reason, After: after, Err: fmt.Errorf(format, args...)}
}

// During says what was being done when err happened and keeps its class, reason and pause. It returns nil for nil.
func During(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	wrapped := &Error{Doing: fmt.Sprintf(format, args...), Err: err}
	if inner, ok := errors.AsType[*Error](err); ok {
		wrapped.Class, wrapped.Reason, wrapped.After = inner.Class, inner.Reason, inner.After
	}
	return wrapped
}

// ClassOf returns the class of err: that of the outermost Error in its chain, and Retry where there is none.
// ClassOf(nil) is Retry too; test for nil first.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Retry
}

// ReasonOf returns the reason of err, or ReasonInternal where nobody gave one.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok && e.Reason != "" {
		return e.Reason
	}
	return ReasonInternal
}

// AfterOf returns the pause that err asks for, or zero.
func AfterOf(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.After
	}
	return 0
}

// IsGone reports whether err says that the thing does not exist.
func IsGone(err error) bool { return err != nil && ClassOf(err) == Gone }

// IsTerminal reports whether repeating the call cannot help.
func IsTerminal(err error) bool { return err != nil && ClassOf(err) == Terminal }

// IsWait reports whether err only says that something is not finished.
func IsWait(err error) bool { return err != nil && ClassOf(err) == Wait }
