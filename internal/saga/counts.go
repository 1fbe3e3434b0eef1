package saga

// Counts is how many instances are in each phase.
type Counts [NumPhases]int32

// Total returns how many instances there are.
func (c *Counts) Total() int32 { return c.sum(func(Phase) bool { return true }) }

// Settled returns how many have ended going forward, well or badly.
func (c *Counts) Settled() int32 { return c.sum(Phase.Terminal) }

// Passed returns how many are good enough for a hard dependent: Succeeded, or Skipped by their own condition.
func (c *Counts) Passed() int32 { return c[Succeeded] + c[Skipped] }

// Missed returns how many have ended going forward and are not good enough for a hard dependent.
func (c *Counts) Missed() int32 { return c.Settled() - c.Passed() }

// Live returns how many are started and not yet ended, in either direction: what parallelLimit counts.
func (c *Counts) Live() int32 { return c[Running] + c[Retrying] + c[Undoing] }

func (c *Counts) sum(want func(Phase) bool) (n int32) {
	for p, count := range c {
		if want(Phase(p)) {
			n += count
		}
	}
	return n
}

// Counts returns how many instances of all operations are in each phase.
func (l *Ledger) Counts() Counts { return l.total }

// Failures returns how many instances failed, ended unknown, or could not be undone; also of those that have been undone since.
func (l *Ledger) Failures() int32 {
	n := l.total[Failed] + l.total[Unknown] + l.total[UndoFailed]
	if l.total[Undoing]+l.total[Undone]+l.total[Irreversible] == 0 {
		return n
	}
	for i, outcome := range l.Outcomes {
		switch l.Phases[i] {
		case Undoing, Undone, Irreversible:
			if outcome == Failed || outcome == Unknown {
				n++
			}
		}
	}
	return n
}

// OpCounts returns the same for one operation, without looking at its instances. The answer is the ledger's own: read it.
func (l *Ledger) OpCounts(op int) *Counts { return &l.counts[op] }
