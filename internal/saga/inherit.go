package saga

import (
	"fmt"
	"slices"
)

// Digest is the first quarter of a SHA-256.
type Digest [8]byte

// Form is how an instance is wanted: hashes of its type and payload as written, and after substitution. What stands in the form in
// which it is wanted needs nothing done.
type Form struct{ Written, Resolved Digest }

// Mark says what the present run did to an instance.
type Mark uint8

const (
	// Touched: it was ordered in this run, so it has an effect of this run's to be undone.
	Touched Mark = 1 << iota
	// Stood: something of it stood before this run touched it. Undoing puts that back and never deletes it.
	Stood
	// Replaces: what stands has to go before what was ordered last can be made.
	Replaces
	// Replaced: what stood before this run had to go, so that it cannot be put back.
	Replaced
	allMarks
)

// Has reports whether all of these marks are set.
func (m Mark) Has(which Mark) bool { return m&which == which }

// Left is what an operation had made and the workflow no longer asks for.
type Left struct {
	Operation, Child string
	Keys             []string
	Attempts         uint16 // the most that any of them was asked for
}

func (a Left) equal(b Left) bool {
	return a.Operation == b.Operation && a.Child == b.Child && a.Attempts == b.Attempts && slices.Equal(a.Keys, b.Keys)
}

// Form returns how instance i was wanted when it was last ordered; the zero value when that is not known.
func (l *Ledger) Form(i int) Form { return l.forms[l.Forms[i]] }

// OrderAs records that instance i is ordered now (Unix seconds) in that form.
func (l *Ledger) OrderAs(i int, form Form, now int64) error {
	number, err := l.number(form)
	if err != nil {
		return err
	}
	if err := l.Order(i, now); err != nil {
		return err
	}
	l.Forms[i], l.Since[i] = number, l.Attempts[i]
	l.Marks[i] &^= Replaces
	return nil
}

// Replace records that what stands of instance i has to go before what is wanted can be made.
func (l *Ledger) Replace(i int) { l.Marks[i] |= Replaces | Replaced }

// number returns the number under which the ledger knows a form.
func (l *Ledger) number(form Form) (uint32, error) {
	if l.formOf == nil {
		l.formOf = make(map[Form]uint32, len(l.forms))
		for n, known := range l.forms {
			l.formOf[known] = uint32(n)
		}
	}
	n, ok := l.formOf[form]
	if !ok {
		if len(l.forms) > MaxForms {
			return 0, fmt.Errorf("a ledger keeps %d different forms of instances", MaxForms)
		}
		n = uint32(len(l.forms))
		l.forms, l.formOf[form] = append(l.forms, form), n
	}
	return n, nil
}

// touch marks an instance that is ordered. What its operation handed on before is no longer true.
func (l *Ledger) touch(i int) {
	if !l.Marks[i].Has(Touched) && l.Outcomes[i] != Pending {
		l.Marks[i] |= Stood
	}
	l.Marks[i] |= Touched
	l.Outcomes[i] = Pending
	if l.Since[i] == 0 && l.Attempts[i] == 1 { // of one that was rebuilt the form is not known, and its child is not too old
		l.Since[i] = l.Attempts[i]
	}
	l.Ops[l.opOf[i]].Outputs = nil
}

// Stands reports whether instance i has a child that is to exist, or had one and may have it again.
func (l *Ledger) Stands(i int) bool {
	if l.Phases[i] == Undone {
		return l.Marks[i].Has(Stood)
	}
	return l.Ordered(i) && (l.Marks[i].Has(Touched) || l.Outcomes[i] != Pending)
}

// Standing returns how what stands of instance i ended, whichever run ordered it; Pending when nothing stands.
func (l *Ledger) Standing(i int) Phase {
	switch p := l.Phases[i]; {
	case !l.Stands(i):
		return Pending
	case p == Undone: // put back as it was
		return Succeeded
	case p == Irreversible, !l.Marks[i].Has(Touched):
		return l.Outcomes[i]
	case p == Succeeded, p == Unknown:
		return p
	case p == Pending && l.Outcomes[i] != Pending:
		return l.Outcomes[i]
	}
	return Failed
}

// Inherit makes instance i of a new ledger what instance j of a former one was, with that phase: its own, or Pending. What is known of
// the present run goes along when it is the same run. It is for a ledger that New just made.
func (l *Ledger) Inherit(i int, from *Ledger, j int, to Phase) error {
	standing, same := from.Standing(j), l.Run == from.Run
	l.Attempts[i], l.Since[i], l.Outcomes[i] = from.Attempts[j], from.Since[j], standing
	if standing != Pending && from.Phases[j] != Undone {
		number, err := l.number(from.Form(j))
		if err != nil {
			return err
		}
		l.Forms[i] = number
	}
	if same {
		l.Marks[i] = from.Marks[j]
	}
	if to == Pending {
		return nil
	}
	if standing == Pending && ordered[to] {
		return &TransitionError{From: from.Phases[j], To: to, Instance: i, Why: "nothing of it stands"}
	}
	if same {
		reason, err := l.intern(from.Reason(j))
		if err != nil {
			return err
		}
		l.Outcomes[i], l.Reasons[i], l.Tries[i] = from.Outcomes[j], reason, from.Tries[j]
		l.Starts[i], l.Ends[i] = from.Starts[j], from.Ends[j]
	}
	l.move(i, to)
	return nil
}

// Continue makes a new ledger go on with the run of a former one: its clock, its cause and what was asked of it.
func (l *Ledger) Continue(from *Ledger) {
	l.RunID, l.Cause, l.Stop = from.RunID, from.Cause, from.Stop
	l.Held, l.HeldSince, l.Opened = from.Held, from.HeldSince, from.Opened
	l.Refusal, l.Handled = from.Refusal, from.Handled
}

// Recall gives operation k what the same operation had in a former ledger: its outputs, and in the same run its time and its story.
func (l *Ledger) Recall(k int, from *Ledger, former int) {
	op, was := &l.Ops[k], &from.Ops[former]
	op.Outputs = was.Outputs
	if l.Run != from.Run {
		return
	}
	op.Opened = was.Opened
	if c := &l.counts[k]; c[Failed]+c[Unknown] > 0 {
		l.tell(op, was.Reason, was.Message)
	}
}

// LetGo forgets one of the things that are left: it is gone, or the workflow asks for it again.
func (l *Ledger) LetGo(operation, key string) {
	for n := range l.Left {
		of := &l.Left[n]
		if at := slices.Index(of.Keys, key); at >= 0 && of.Operation == operation {
			of.Keys = slices.Delete(slices.Clone(of.Keys), at, at+1)
		}
	}
	l.Left = slices.DeleteFunc(l.Left, func(of Left) bool { return len(of.Keys) == 0 })
	if len(l.Left) == 0 {
		l.Left = nil
	}
}

func (l *Ledger) checkLeft() error {
	count, bytes := 0, 0
	for _, of := range l.Left {
		if count += len(of.Keys); len(of.Keys) == 0 || len(of.Operation) > MaxName || len(of.Child) > MaxName || count > MaxInstances {
			return fmt.Errorf("operation %.80q: what is left of it is not a list", of.Operation)
		}
		for _, key := range of.Keys {
			if bytes += len(key); len(key) > MaxName || bytes > MaxKeys {
				return fmt.Errorf("operation %.80q: the keys of what is left of it are too long", of.Operation)
			}
		}
	}
	return nil
}

// Distrust records that what stands of instance i is not what is wanted, whatever its form: it is ordered anew.
func (l *Ledger) Distrust(i int) {
	if l.Outcomes[i] != Pending {
		l.Outcomes[i] = Failed
	}
}

// Reclaim records that something stands of a new instance, because an operation that was removed comes back: it was asked for that
// many attempts.
func (l *Ledger) Reclaim(i int, attempts uint16) { l.Attempts[i], l.Outcomes[i] = attempts, Failed }

// Disturbed reports whether Disturb did.
func (l *Ledger) Disturbed(i int) bool {
	return l.Phases[i] == Pending && l.Marks[i].Has(Touched) && l.Outcomes[i] == Pending && l.Forms[i] == 0
}

// Disturb records that this run changes what stands of a pending instance before the instance is ordered, so that it has to be ordered
// anew, and is undone.
func (l *Ledger) Disturb(i int) {
	if !l.Marks[i].Has(Touched) {
		l.Marks[i] |= Touched | Stood
	}
	l.Outcomes[i], l.Forms[i] = Pending, 0
}
