package saga

import "math"

// Set moves instance i to another phase and keeps the counters; Running counts as one more attempt. It returns
// *TransitionError, and changes nothing, when the table forbids the step. The verbs below do this and keep the times that
// belong to it: prefer them. They too change nothing when they return an error.
func (l *Ledger) Set(i int, to Phase) error {
	from := l.Phases[i]
	if !CanMove(from, to) {
		return &TransitionError{From: from, To: to, Instance: i}
	}
	if (to == Undoing || to == Irreversible) && !l.Ordered(i) {
		return &TransitionError{From: from, To: to, Instance: i, Why: "it was never ordered, so there is nothing to take back"}
	}
	if to == Running {
		l.Attempts[i] += uint16(min(1, math.MaxUint16-int(l.Attempts[i])))
	}
	l.Phases[i] = to
	op := &l.counts[l.opOf[i]]
	op[from]--
	op[to]++
	l.total[from]--
	l.total[to]++
	return nil
}

// Ordered reports whether instance i was ever ordered: only then can there be an effect, and something to undo.
func (l *Ledger) Ordered(i int) bool { return l.Attempts[i] > 0 }

// Order records that an attempt of instance i is ordered now (Unix seconds): Pending or Retrying → Running.
func (l *Ledger) Order(i int, now int64) error {
	if err := l.Set(i, Running); err != nil {
		return err
	}
	l.Starts[i], l.Begun[i], l.Ends[i], l.Retries[i] = l.At(now), None, None, None
	return nil
}

// Begin records that the child of instance i has left its queue, so that the attempt's time starts. Only the first call of an
// attempt (or undo) counts, and only while it is under way; it reports whether it changed anything.
func (l *Ledger) Begin(i int, now int64) bool {
	if p := l.Phases[i]; p != Running && p != Undoing || l.Begun[i] != None {
		return false
	}
	l.Begun[i] = max(l.At(now), l.Starts[i])
	return true
}

// Postpone records that an attempt failed and when the next is due (Unix seconds): Running → Retrying.
func (l *Ledger) Postpone(i int, due int64, reason, message string) error {
	number, err := l.intern(reason)
	if err != nil {
		return err
	}
	if err := l.Set(i, Retrying); err != nil {
		return err
	}
	l.Retries[i] = l.At(due)
	l.blame(i, number, message)
	return nil
}

// Settle records an end, forward (Succeeded … Unknown) or backward (Undone, UndoFailed, Irreversible), at now (Unix seconds).
// reason and message say what went wrong; both are empty when nothing did, and a success keeps neither. Begun is forgotten:
// it is of use only while something is under way, and would make ledgers half as large again.
func (l *Ledger) Settle(i int, to Phase, now int64, reason, message string) error {
	if !to.Terminal() || to == Undoing {
		return &TransitionError{From: l.Phases[i], To: to, Instance: i, Why: "that is not an end"}
	}
	number, err := l.intern(reason)
	if err != nil {
		return err
	}
	if err := l.Set(i, to); err != nil {
		return err
	}
	l.Begun[i], l.Ends[i], l.Retries[i] = None, l.At(now), None
	switch to {
	case Succeeded:
		l.Reasons[i] = 0
		l.forgive(int(l.opOf[i]))
		return nil
	case Skipped:
		l.Reasons[i] = number
		l.forgive(int(l.opOf[i]))
		return nil
	}
	l.blame(i, number, message)
	return nil
}

// Undo records that instance i is to be taken back from now on (Unix seconds). Its times are those of the way back from here.
// It refuses an instance that was never ordered: there is nothing to take back.
func (l *Ledger) Undo(i int, now int64) error {
	if err := l.Set(i, Undoing); err != nil {
		return err
	}
	l.Starts[i], l.Begun[i], l.Ends[i] = l.At(now), None, None
	return nil
}

// SetRun moves the whole run to another phase; where that is an end, now (Unix seconds) is when it finished.
func (l *Ledger) SetRun(to RunPhase, now int64) error {
	if !CanMoveRun(l.Phase, to) {
		return &TransitionError{From: l.Phase, To: to, Instance: -1}
	}
	if l.Phase = to; to.Terminal() {
		l.Finished = max(now, l.Started)
	}
	return nil
}
