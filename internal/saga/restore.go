package saga

// Restore puts instance i, of which nothing was recorded yet, where it was found to be after its ledger had been lost: at now
// (Unix seconds), after that many attempts. mark says what the present run did to it, as far as that was found. It does not ask the
// table, because the steps that led there are not known.
// reason and message say why nothing better is known; both are empty where it is.
func (l *Ledger) Restore(i int, to Phase, attempts int32, mark Mark, now int64, reason, message string) error {
	number, err := l.intern(reason)
	if err != nil {
		return err
	}
	if l.Phases[i] != Pending || l.Ordered(i) {
		return &TransitionError{From: l.Phases[i], To: to, Instance: i, Why: "what is known of it is not guessed at"}
	}
	l.move(i, to)
	if ordered[to] {
		attempts = max(attempts, 1)
	}
	l.Attempts[i] = uint16(min(max(attempts, 0), 1<<16-1))
	l.Tries[i] = l.Attempts[i] // Since stays 0: in which form its child was ordered is not known, so that none is too old
	if l.Ordered(i) {
		l.Marks[i] = mark
		if !mark.Has(Touched) {
			l.Outcomes[i] = to
		}
	}
	switch {
	case to == Undoing || to.UndoTerminal():
		l.Outcomes[i], l.Tries[i] = Unknown, 1
		l.Starts[i] = l.At(now)
	case to == Running:
		l.Starts[i] = l.At(now)
	}
	if to.Terminal() && to != Undoing {
		l.Ends[i] = l.At(now)
	}
	l.blame(i, number, message)
	return nil
}

// Recognise records in which form instance i stands, where that was found out after its ledger had been lost.
func (l *Ledger) Recognise(i int, form Form) error {
	number, err := l.number(form)
	if err == nil {
		l.Forms[i] = number
	}
	return err
}

// Doubt records why nobody knows whether what stands of instance i, which is Unknown, is what is wanted.
func (l *Ledger) Doubt(i int, reason, message string) error {
	number, err := l.intern(reason)
	if err == nil {
		l.blame(i, number, message)
	}
	return err
}

// RestoreRun puts the run as a whole where it was found to be; finished is when it ended (Unix seconds), where it had.
func (l *Ledger) RestoreRun(to RunPhase, finished int64) {
	if l.Phase = to; to.Terminal() {
		l.Finished = max(finished, l.Started)
	}
}
