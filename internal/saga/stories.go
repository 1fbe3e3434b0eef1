package saga

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SetOutputs freezes what an operation hands to later ones. They are taken once; the map is kept, so the caller lets go of it.
func (l *Ledger) SetOutputs(op int, outputs map[string]string) error {
	if err := l.CanHold(op, outputs); err != nil {
		return err
	}
	if len(outputs) > 0 {
		l.Ops[op].Outputs = outputs
	}
	return nil
}

// CanHold says why SetOutputs would refuse these outputs, or nil.
func (l *Ledger) CanHold(op int, outputs map[string]string) error {
	if l.Ops[op].Outputs != nil {
		return fmt.Errorf("operation %q: its outputs are frozen already", l.Ops[op].Name)
	}
	size, all := weigh(outputs), 0
	for k := range l.Ops {
		all += weigh(l.Ops[k].Outputs)
	}
	switch {
	case size > MaxOutputs:
		return fmt.Errorf("operation %q: its outputs are %d bytes long, and at most %d are kept", l.Ops[op].Name, size, MaxOutputs)
	case all+size > MaxAllOutputs:
		return fmt.Errorf("operation %q: the outputs of all operations are %d bytes long, and at most %d are kept", l.Ops[op].Name, all+size, MaxAllOutputs)
	}
	return nil
}

func weigh(outputs map[string]string) (n int) {
	for key, value := range outputs {
		n += len(key) + len(value)
	}
	return n
}

// blame keeps why instance i did not succeed (a number of intern; 0 = nothing to say), and tells the story on its operation
// unless there is one that matters more: the first failure, once there is one.
func (l *Ledger) blame(i int, number uint8, message string) {
	if number == 0 {
		return
	}
	l.Reasons[i] = number
	c, op := &l.counts[l.opOf[i]], &l.Ops[l.opOf[i]]
	failed := c[Failed] + c[Unknown]
	news := false
	switch l.Phases[i] {
	case Retrying:
		news = failed == 0
	case Failed, Unknown:
		news = failed == 1 // this one
	}
	if op.Reason == "" || news {
		l.tell(op, l.reasons[number], cut(message))
	}
}

// forgive forgets the story of an operation all of whose instances passed: its failed attempts are history.
func (l *Ledger) forgive(k int) {
	if l.counts[k].Passed() == l.Ops[k].Count {
		l.tell(&l.Ops[k], "", "")
	}
}

// tell replaces an operation's story. Only so many operations keep a message; the others keep the reason alone.
func (l *Ledger) tell(op *Op, reason, message string) {
	if op.Message != "" {
		l.told--
	}
	if l.told >= MaxMessages {
		message = ""
	}
	if message != "" {
		l.told++
	}
	op.Reason, op.Message = reason, message
}

// intern returns the number under which the ledger knows a reason.
func (l *Ledger) intern(reason string) (uint8, error) {
	for n, known := range l.reasons {
		if known == reason {
			return uint8(n), nil
		}
	}
	if len(l.reasons) > MaxReasons || len(reason) > maxReasonBytes {
		return 0, fmt.Errorf("reason %.80q: a ledger keeps %d reasons of %d bytes", reason, MaxReasons, maxReasonBytes)
	}
	l.reasons = append(l.reasons, reason)
	return uint8(len(l.reasons) - 1), nil
}

// cut bounds a message at a whole character.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= MaxMessage {
		return s
	}
	end := MaxMessage - len("…")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
