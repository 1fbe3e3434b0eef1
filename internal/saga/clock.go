package saga

// The run's clock: seconds since Started without those for which the run was held. Time-outs are read on it, so that nobody runs
// out of time while the run is suspended.

// Clock returns what the clock shows at now (Unix seconds).
func (l *Ledger) Clock(now int64) int32 {
	at := l.At(now)
	if l.HeldSince != None {
		at = min(at, l.HeldSince)
	}
	return max(at-l.Held, 0)
}

// ClockUnix turns a time on the clock into the Unix second at which it shows it, if nobody holds the run before.
func (l *Ledger) ClockUnix(at int32) int64 { return l.Started + int64(l.Held) + int64(at) }

// Hold stops the clock; it reports whether it ran.
func (l *Ledger) Hold(now int64) bool {
	if l.HeldSince != None {
		return false
	}
	l.HeldSince = l.At(now)
	return true
}

// Resume lets the clock go on; it reports whether it stood. What is held for a part of a second counts as held for all of it, so
// that no time-out is early.
func (l *Ledger) Resume(now int64) bool {
	if l.HeldSince == None {
		return false
	}
	if l.Held += max(l.At(now)-l.HeldSince, 0); l.At(now) > l.HeldSince {
		l.Held = min(l.Held+1, l.At(now))
	}
	l.HeldSince = None
	return true
}

// Open records that the first child of an operation has left its queue: its time, and the run's, count from here. It reports
// whether it changed anything.
func (l *Ledger) Open(op int, now int64) bool {
	changed := false
	for _, opened := range []*int32{&l.Opened, &l.Ops[op].Opened} {
		if *opened == None {
			*opened, changed = l.Clock(now), true
		}
	}
	return changed
}

// Begin records that the child of instance i is out of its queue, so that the attempt's time counts, while it is under way. It
// reports whether it changed anything.
func (l *Ledger) Begin(i int, now int64) bool {
	if p := l.Phases[i]; p != Running && p != Undoing || l.Begun[i] != None {
		return false
	}
	l.Begun[i] = l.Clock(now)
	return true
}

// Rest records that the child of instance i is back in its queue, so that the attempt's time stands still. It reports whether it
// changed anything.
func (l *Ledger) Rest(i int, now int64) bool {
	if l.Begun[i] == None {
		return false
	}
	l.Spent[i] += max(l.Clock(now)-l.Begun[i], 0)
	l.Begun[i] = None
	return true
}
