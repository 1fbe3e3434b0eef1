package saga

import (
	"errors"
	"testing"
)

// TestTable pins the table as a picture: row = from, column = to, in the order of the constants.
func TestTable(t *testing.T) {
	picture := [NumPhases]string{
		//             P R r S F s O C U u d f I
		Pending:      ". x . x x x x x . . . . .",
		Running:      ". . x x x . . x x . . . .",
		Retrying:     ". x . . x . . x . . . . .",
		Succeeded:    ". . . . . . . . . x . . x",
		Failed:       ". . . . . . . . . x . . x",
		Skipped:      ". . . . . . . . . . . . .",
		Omitted:      ". . . . . . . . . . . . .",
		Cancelled:    ". . . . . . . . . x . . x",
		Unknown:      ". . . . . . . . . x . . x",
		Undoing:      ". . . . . . . . . . x x x",
		Undone:       ". . . . . . . . . . . . .",
		UndoFailed:   ". . . . . . . . . . x . x",
		Irreversible: ". . . . . . . . . . . . .",
	}
	for from := range NumPhases {
		for to := range NumPhases {
			if want := picture[from][2*to] == 'x'; CanMove(from, to) != want {
				t.Errorf("%s → %s: legal is %t, want %t", from, to, !want, want)
			}
		}
	}
	if CanMove(NumPhases, Pending) || CanMove(Pending, NumPhases) {
		t.Error("a phase that does not exist may be moved from or to")
	}
}

// TestTableGoesForward: I4. Each step leads to a later stage, but for the circle of attempts.
func TestTableGoesForward(t *testing.T) {
	stage := func(p Phase) int {
		switch {
		case p == UndoFailed:
			return 4
		case p.UndoTerminal():
			return 5
		case p == Undoing:
			return 3
		case p.Terminal():
			return 2
		case p == Pending:
			return 0
		}
		return 1
	}
	for from := range NumPhases {
		for to := range NumPhases {
			if circle := stage(from) == 1 && stage(to) == 1; CanMove(from, to) && !circle && stage(to) <= stage(from) {
				t.Errorf("%s → %s goes back", from, to)
			}
		}
	}
}

func TestRunTable(t *testing.T) {
	cases := map[string]struct {
		from, to RunPhase
		want     bool
	}{
		"a run succeeds":                          {RunRunning, RunSucceeded, true},
		"a run fails":                             {RunRunning, RunFailed, true},
		"a run is taken back":                     {RunRunning, RunUndoing, true},
		"undo ends well":                          {RunUndoing, RunRolledBack, true},
		"undo ends badly":                         {RunUndoing, RunRollbackFailed, true},
		"undo never turns into success":           {RunUndoing, RunSucceeded, false},
		"nothing is rolled back without Undoing":  {RunRunning, RunRolledBack, false},
		"an end is an end":                        {RunFailed, RunUndoing, false},
		"a run is cancelled":                      {RunRunning, RunCancelled, true},
		"staying is not a move":                   {RunRunning, RunRunning, false},
		"a phase that does not exist is no start": {NumRunPhases, RunFailed, false},
		"nor an end":                              {RunRunning, NumRunPhases, false},
	}
	for name, c := range cases {
		if got := CanMoveRun(c.from, c.to); got != c.want {
			t.Errorf("%s: %s → %s is %t", name, c.from, c.to, got)
		}
		l := mustNew(t)
		l.Phase = c.from
		if err := l.SetRun(c.to, start+60); (err == nil) != c.want {
			t.Errorf("%s: SetRun says %v", name, err)
		} else if want := c.want && c.to.Terminal(); (l.Finished == start+60) != want {
			t.Errorf("%s: finished at %d", name, l.Finished)
		}
	}
}

// TestAgainTable pins the steps back, which are taken only because somebody asked for another try.
func TestAgainTable(t *testing.T) {
	allowed := map[[2]Phase]bool{
		{Failed, Pending}: true, {Unknown, Pending}: true, {Cancelled, Pending}: true,
		{Omitted, Pending}: true, {UndoFailed, Succeeded}: true,
		{UndoFailed, Failed}: true, {UndoFailed, Unknown}: true, {UndoFailed, Cancelled}: true,
	}
	for from := range NumPhases + 1 {
		for to := range NumPhases + 1 {
			if CanRepeat(from, to) != allowed[[2]Phase{from, to}] {
				t.Errorf("%s → %s: may be repeated is %t", from, to, CanRepeat(from, to))
			}
			if CanRepeat(from, to) && CanMove(from, to) {
				t.Errorf("%s → %s is in both tables", from, to)
			}
		}
	}
	runs := map[[2]RunPhase]bool{
		{RunFailed, RunRunning}: true, {RunFailed, RunUndoing}: true, {RunCancelled, RunRunning}: true, {RunCancelled, RunUndoing}: true,
		{RunRollbackFailed, RunUndoing}: true, {RunRollbackBlocked, RunUndoing}: true,
	}
	for from := range NumRunPhases + 1 {
		for to := range NumRunPhases + 1 {
			if CanReopen(from, to) != runs[[2]RunPhase{from, to}] {
				t.Errorf("a run goes from %s to %s: %t", from, to, CanReopen(from, to))
			}
		}
	}
}

// TestAgain: attempts go on counting, and the run's time and cause are those of another passage.
func TestAgain(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 4})
	must(t, l.Order(0, start+1))
	must(t, l.Settle(0, Failed, start+2, "QuotaExceeded", "no"))
	must(t, l.Settle(1, Omitted, start+2, "", ""))
	must(t, l.Order(2, start+2))
	must(t, l.Settle(2, Succeeded, start+3, "", ""))
	must(t, l.Settle(3, Failed, start+3, "Invalid", "no value"))
	l.Open(0, start+1)
	l.Blame(0, "QuotaExceeded", "no")
	l.Blame(3, "Invalid", "later")
	if l.Cause.Instance != 0 {
		t.Errorf("the cause is %+v, and the first failure stays", l.Cause)
	}
	l.Stop = StopTimedOut
	must(t, l.SetRun(RunFailed, start+4))
	if l.Again(2) == nil {
		t.Error("what succeeded runs again")
	}
	for _, i := range []int{0, 1, 3} {
		must(t, l.Again(i))
	}
	must(t, l.Reopen(RunRunning))
	if l.Phases[0] != Pending || l.Phases[1] != Pending || l.Phases[3] != Pending || !l.Ordered(0) || l.Ordered(3) || l.Attempts[0] != 1 || l.Tries[0] != 0 {
		t.Errorf("phases %v, attempts %d, tries %d", l.Phases, l.Attempts[0], l.Tries[0])
	}
	if l.Finished != 0 || l.Stop != StopNone || l.Cause.Reason != "" || l.Opened != None || l.Ops[0].Opened != None || l.Ops[0].Message != "" {
		t.Errorf("the run reads %+v", l)
	}
	must(t, l.Order(0, start+6))
	if l.Attempts[0] != 2 || l.Tries[0] != 1 {
		t.Errorf("attempt %d, try %d", l.Attempts[0], l.Tries[0])
	}
	must(t, l.Check())
}

func TestNames(t *testing.T) {
	seen := map[string]bool{"": true}
	for p := range NumPhases {
		if seen[p.String()] {
			t.Errorf("phase %d has the name %q, as another has", p, p)
		}
		seen[p.String()] = true
	}
	for p := range NumRunPhases {
		if p.String() == "" {
			t.Errorf("run phase %d has no name", p)
		}
	}
	if NumPhases.String() != "Phase(13)" || NumRunPhases.String() != "RunPhase(8)" {
		t.Errorf("unknown phases print as %s and %s", NumPhases, NumRunPhases)
	}
}

func TestTransitionError(t *testing.T) {
	l := mustNew(t, Op{Name: "a", Count: 1})
	err := l.Settle(0, Succeeded, start, "", "")
	wrong, ok := errors.AsType[*TransitionError](err)
	if !ok || wrong.Instance != 0 || wrong.From != Pending || wrong.To != Succeeded {
		t.Fatalf("an illegal step gives %v", err)
	}
	if err.Error() != "instance 0 may not go from Pending to Succeeded: nothing of it stands" {
		t.Errorf("it reads %q", err)
	}
	if err := l.SetRun(RunRolledBack, start); err == nil || err.Error() != "the run may not go from Running to RolledBack" {
		t.Errorf("an illegal step of the run reads %v", err)
	}
}
