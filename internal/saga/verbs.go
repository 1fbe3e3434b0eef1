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
	if from == Pending && to == Succeeded && l.Outcomes[i] != Succeeded {
		return &TransitionError{From: from, To: to, Instance: i, Why: "nothing of it stands"}
	}
	if to == Running {
		l.count(i)
	}
	l.move(i, to)
	return nil
}

// count counts one more attempt.
func (l *Ledger) count(i int) {
	l.Attempts[i] += uint16(min(1, math.MaxUint16-int(l.Attempts[i])))
	l.Tries[i] += uint16(min(1, math.MaxUint16-int(l.Tries[i])))
}

// move changes the phase and keeps the counters.
func (l *Ledger) move(i int, to Phase) {
	from, op := l.Phases[i], &l.counts[l.opOf[i]]
	l.Phases[i] = to
	op[from]--
	op[to]++
	l.total[from]--
	l.total[to]++
}

// Ordered reports whether instance i was ever ordered: only then can there be an effect, and something to undo.
func (l *Ledger) Ordered(i int) bool { return l.Attempts[i] > 0 }

// Order records that an attempt of instance i is ordered now (Unix seconds): Pending or Retrying → Running.
func (l *Ledger) Order(i int, now int64) error {
	if err := l.Set(i, Running); err != nil {
		return err
	}
	l.touch(i)
	l.dawn(i, now)
	return nil
}

// Ask records since when (Unix seconds) a pending instance waits for somebody's word. Nothing is ordered yet.
func (l *Ledger) Ask(i int, now int64) error {
	if l.Phases[i] != Pending || l.Marks[i].Has(Touched) {
		return &TransitionError{From: l.Phases[i], To: Pending, Instance: i, Why: "only what this run never ordered waits for somebody's word"}
	}
	l.Starts[i] = l.At(now)
	return nil
}

// Asked reports whether instance i waits for somebody's word.
func (l *Ledger) Asked(i int) bool {
	return l.Phases[i] == Pending && !l.Marks[i].Has(Touched) && l.Starts[i] != None
}

// Unask records that instance i does not wait for anybody's word any more: what comes before it is done once more.
func (l *Ledger) Unask(i int) {
	if l.Asked(i) {
		l.Starts[i] = None
	}
}

// dawn begins an attempt, or a try of undoing: none of its time has counted.
func (l *Ledger) dawn(i int, now int64) {
	l.Starts[i], l.Begun[i], l.Spent[i], l.Ends[i], l.Retries[i] = l.At(now), None, 0, None, None
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
	outcome := l.Phases[i]
	if err := l.Set(i, to); err != nil {
		return err
	}
	if to == Irreversible && l.Outcomes[i] == Pending {
		l.Outcomes[i] = outcome
	}
	l.Begun[i], l.Spent[i], l.Ends[i], l.Retries[i] = None, 0, l.At(now), None
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
	outcome := l.Phases[i]
	if err := l.Set(i, Undoing); err != nil {
		return err
	}
	if l.Outcomes[i] != Pending {
		l.count(i) // it was tried before: its child must hear that it is asked anew
	}
	l.dawn(i, now)
	l.Outcomes[i], l.Tries[i] = outcome, 1
	return nil
}

// PostponeUndo records that a try of undoing failed and when the next is due (Unix seconds). It stays Undoing.
func (l *Ledger) PostponeUndo(i int, due int64, reason, message string) error {
	number, err := l.intern(reason)
	if err != nil {
		return err
	}
	if l.Phases[i] != Undoing {
		return &TransitionError{From: l.Phases[i], To: Undoing, Instance: i, Why: "it is not being undone"}
	}
	l.Begun[i], l.Spent[i], l.Retries[i] = None, 0, l.At(due)
	l.blame(i, number, message)
	return nil
}

// OrderUndo records that the next try of undoing is ordered now (Unix seconds): one more attempt that the child is asked for.
func (l *Ledger) OrderUndo(i int, now int64) error {
	if l.Phases[i] != Undoing {
		return &TransitionError{From: l.Phases[i], To: Undoing, Instance: i, Why: "it is not being undone"}
	}
	l.count(i)
	l.dawn(i, now)
	return nil
}

// Again records that somebody asked for another try of instance i: it waits for its turn as if it had not run, or, where it
// could not be undone, stands as it did before its undoing. Attempts go on counting, Tries begin anew.
func (l *Ledger) Again(i int) error {
	to := Pending
	if l.Phases[i] == UndoFailed {
		to = l.Outcomes[i]
	}
	if !CanRepeat(l.Phases[i], to) {
		return &TransitionError{From: l.Phases[i], To: to, Instance: i, Why: "there is nothing to try again"}
	}
	l.move(i, to)
	l.Tries[i], l.Ends[i] = 0, None
	if to == Pending && !l.Marks[i].Has(Touched) { // it waits for nobody's word: see Asked
		l.Starts[i] = None
	}
	if to == Pending && !l.Ordered(i) {
		l.Reasons[i] = 0
	}
	if c, op := &l.counts[l.opOf[i]], &l.Ops[l.opOf[i]]; c[Failed]+c[Unknown] == 0 {
		l.tell(op, "", "")
	}
	return nil
}

// Reopen records that a run that was over goes on because somebody asked for it: forward, with all its time before it and no
// cause of failure, or back.
func (l *Ledger) Reopen(to RunPhase) error {
	if !CanReopen(l.Phase, to) {
		return &TransitionError{From: l.Phase, To: to, Instance: -1}
	}
	l.Phase, l.Finished = to, 0
	if to == RunRunning {
		l.Stop, l.Cause, l.Opened = StopNone, Cause{Instance: None}, None
		for k := range l.Ops {
			l.Ops[k].Opened = None
		}
	}
	return nil
}

// Blame records what made the run fail: the first one stays. Instance None stands for the run as a whole.
func (l *Ledger) Blame(instance int32, reason, message string) {
	if l.Cause.Reason == "" {
		l.Cause = Cause{Instance: instance, Reason: reason, Message: cut(message)}
	}
}

// Handle records that a verb's value was acted on.
func (l *Ledger) Handle(verb, value string) {
	if l.Handled == nil {
		l.Handled = map[string]string{}
	}
	l.Handled[verb] = value
}

// Compress forgets all of a run that is over but how each instance ended, in which form, and what operations handed on: the next
// run goes on from that.
func (l *Ledger) Compress() error {
	if !l.Phase.Terminal() {
		return &TransitionError{From: l.Phase, To: l.Phase, Instance: -1, Why: "it is not over"}
	}
	l.Compact = true
	for i := range l.Phases {
		l.Starts[i], l.Ends[i], l.Reasons[i], l.Tries[i] = None, None, 0, 0
	}
	for k := range l.Ops {
		op := &l.Ops[k]
		op.Opened = None
		l.tell(op, "", "")
	}
	l.reasons = []string{""}
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
