package saga

import "testing"

// TestRestore: a ledger that is made anew passes the check whatever is recalled, and nothing that is known is overwritten.
func TestRestore(t *testing.T) {
	for to := range NumPhases {
		l := mustNew(t, Op{Name: "a", Count: 2})
		if to == Pending {
			continue
		}
		must(t, l.Restore(0, to, 70_000, Touched, start+9, "CheckpointLost", "who knows"))
		must(t, l.Restore(1, to, 0, Touched, start+9, "", ""))
		must(t, l.Check())
		if counts := l.Counts(); counts[to] != 2 || l.Attempts[0] != 65535 || l.Reason(0) != "CheckpointLost" {
			t.Errorf("%s: %v after %d attempts because of %q", to, counts, l.Attempts[0], l.Reason(0))
		}
		if l.Restore(0, Succeeded, 1, Touched, start, "", "") == nil {
			t.Errorf("%s is overwritten", to)
		}
	}
	l := mustNew(t, Op{Name: "a", Count: 1})
	if l.RestoreRun(RunFailed, start-5); l.Phase != RunFailed || l.Finished != start {
		t.Errorf("the run is %s since %d", l.Phase, l.Finished)
	}
}

// TestAgainAfterALoss: what an earlier run ordered, and went on when its ledger was lost, waits for its turn when somebody asks for another
// try of it, and for nobody's word.
func TestAgainAfterALoss(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	must(t, l.Restore(0, Running, 1, 0, start, "", ""))
	must(t, l.Settle(0, Failed, start+1, "QuotaExceeded", "no"))
	must(t, l.Again(0))
	if l.Asked(0) {
		t.Error("it waits for somebody's word")
	}
}
