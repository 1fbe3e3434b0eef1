package saga

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Check reports the first thing about a ledger that cannot be: columns of different lengths, ranges that overlap, anything
// beyond the bounds. New and Decode return only ledgers that pass; Encode refuses others.
func (l *Ledger) Check() error {
	n := len(l.Phases)
	for _, have := range []int{len(l.Attempts), len(l.Starts), len(l.Begun), len(l.Ends), len(l.Retries), len(l.Reasons), len(l.Tries), len(l.Spent), len(l.Outcomes), len(l.Forms), len(l.Since), len(l.Marks)} {
		if have != n {
			return fmt.Errorf("columns of %d and %d instances", n, have)
		}
	}
	if n > MaxInstances || len(l.Ops) > MaxOps {
		return fmt.Errorf("%d operations with %d instances: a ledger holds %d and %d", len(l.Ops), n, MaxOps, MaxInstances)
	}
	if l.Phase >= NumRunPhases || l.Run < 0 || l.Stop >= NumStops {
		return fmt.Errorf("run %d in phase %s, stopped for reason %d", l.Run, l.Phase, l.Stop)
	}
	if err := l.checkHead(n); err != nil {
		return err
	}
	if err := l.checkOps(n); err != nil {
		return err
	}
	if err := l.checkLeft(); err != nil {
		return err
	}
	return l.checkRows()
}

func (l *Ledger) checkHead(n int) error {
	switch {
	case l.Held < 0 || l.HeldSince < None || l.Opened < None:
		return errors.New("its clock is broken")
	case l.Cause.Instance < None || int(l.Cause.Instance) >= n || len(l.Cause.Reason) > maxReasonBytes || len(l.Cause.Message) > MaxMessage || len(l.Refusal) > MaxMessage:
		return errors.New("the cause of its failure is not one")
	case len(l.RunID) > MaxName:
		return errors.New("the id of its run is too long")
	case len(l.Handled) > MaxHandled:
		return fmt.Errorf("%d verbs, and at most %d are kept", len(l.Handled), MaxHandled)
	}
	for verb, value := range l.Handled {
		if len(verb) > MaxName || len(value) > MaxValue {
			return fmt.Errorf("the value of verb %.80q is too long", verb)
		}
	}
	return nil
}

func (l *Ledger) checkOps(n int) error {
	next, keys, outputs := int32(0), 0, 0
	for k := range l.Ops {
		op := &l.Ops[k]
		switch {
		case op.First != next || op.Count < 0 || int(op.Count) > n:
			return fmt.Errorf("operation %q: instances %d+%d where %d comes next", op.Name, op.First, op.Count, next)
		case op.Keys != nil && (len(op.Keys) != int(op.Count) || op.Count == 0):
			return fmt.Errorf("operation %q: %d keys for %d instances", op.Name, len(op.Keys), op.Count)
		case len(op.Name) > MaxName || len(op.Type) > MaxName || len(op.Child) > MaxName || len(op.Message) > MaxMessage || len(op.Reason) > maxReasonBytes:
			return fmt.Errorf("operation %.80q: name, type, reason or message is too long", op.Name)
		case len(op.Preds) > MaxPreds:
			return fmt.Errorf("operation %q: %d predecessors, and at most %d are kept", op.Name, len(op.Preds), MaxPreds)
		case len(op.Span) > MaxOutputs:
			return fmt.Errorf("operation %q: what its instances were made of is too long", op.Name)
		case op.Opened < None:
			return fmt.Errorf("operation %q: its time is broken", op.Name)
		case weigh(op.Outputs) > MaxOutputs:
			return fmt.Errorf("operation %q: outputs are too long", op.Name)
		}
		if outputs += weigh(op.Outputs); outputs > MaxAllOutputs {
			return fmt.Errorf("operation %q: outputs of all operations are too long", op.Name)
		}
		for _, p := range op.Preds {
			if p.Op < 0 || int(p.Op) >= len(l.Ops) {
				return fmt.Errorf("operation %q: predecessor %d does not exist", op.Name, p.Op)
			}
		}
		for _, key := range op.Keys {
			if keys += len(key); len(key) > MaxName || keys > MaxKeys {
				return fmt.Errorf("operation %q: its keys are too long", op.Name)
			}
		}
		next += op.Count
	}
	if int(next) != n {
		return fmt.Errorf("%d instances in operations, %d in columns", next, n)
	}
	return nil
}

// ordered are the phases that only an instance that was ordered can be in.
var ordered = [NumPhases]bool{Running: true, Retrying: true, Succeeded: true, Unknown: true, Undoing: true, Undone: true, UndoFailed: true, Irreversible: true}

func (l *Ledger) checkRows() error {
	if len(l.reasons) == 0 || l.reasons[0] != "" || len(l.reasons) > MaxReasons+1 {
		return errors.New("the table of reasons is broken")
	}
	if len(l.forms) == 0 || l.forms[0] != (Form{}) || len(l.forms) > MaxForms+1 {
		return errors.New("the table of forms is broken")
	}
	for i, p := range l.Phases {
		if int(l.Forms[i]) >= len(l.forms) || l.Marks[i] >= allMarks || l.Since[i] > l.Attempts[i] {
			return fmt.Errorf("instance %d is of a form that does not exist", i)
		}
		if p >= NumPhases || int(l.Reasons[i]) >= len(l.reasons) ||
			l.Starts[i] < None || l.Begun[i] < None || l.Spent[i] < 0 || l.Outcomes[i] >= NumPhases || l.Ends[i] < None || l.Retries[i] < None {
			return fmt.Errorf("instance %d holds values that do not exist", i)
		}
		if ordered[p] && l.Attempts[i] == 0 {
			return fmt.Errorf("instance %d is %s and was never ordered", i, p)
		}
	}
	return nil
}

// Equal reports whether two ledgers say the same. Compare ledgers, never their encoded bytes.
func (l *Ledger) Equal(o *Ledger) bool {
	same := func(a, b Op) bool {
		return a.Name == b.Name && a.Type == b.Type && a.Child == b.Child && slices.Equal(a.Preds, b.Preds) &&
			a.First == b.First && a.Count == b.Count && slices.Equal(a.Keys, b.Keys) && a.Span == b.Span &&
			maps.Equal(a.Outputs, b.Outputs) && a.Reason == b.Reason && a.Message == b.Message && a.Opened == b.Opened
	}
	if l.Run != o.Run || l.Started != o.Started || l.Finished != o.Finished || l.Phase != o.Phase ||
		l.SpecHash != o.SpecHash || l.Generation != o.Generation || !slices.EqualFunc(l.Ops, o.Ops, same) ||
		!slices.Equal(l.Phases, o.Phases) || !slices.Equal(l.Attempts, o.Attempts) || !slices.Equal(l.Starts, o.Starts) ||
		!slices.Equal(l.Tries, o.Tries) || !slices.Equal(l.Spent, o.Spent) || !slices.Equal(l.Outcomes, o.Outcomes) ||
		l.Stop != o.Stop || l.Cause != o.Cause || l.Compact != o.Compact || l.Held != o.Held || l.HeldSince != o.HeldSince ||
		l.Opened != o.Opened || l.Refusal != o.Refusal || !maps.Equal(l.Handled, o.Handled) ||
		l.RunID != o.RunID || !slices.EqualFunc(l.Left, o.Left, Left.equal) ||
		!slices.Equal(l.Since, o.Since) || !slices.Equal(l.Marks, o.Marks) ||
		!slices.Equal(l.Begun, o.Begun) || !slices.Equal(l.Ends, o.Ends) || !slices.Equal(l.Retries, o.Retries) {
		return false
	}
	for i := range l.Reasons { // the same reason, or form, may have another number
		if l.Reason(i) != o.Reason(i) || l.Form(i) != o.Form(i) {
			return false
		}
	}
	return true
}
