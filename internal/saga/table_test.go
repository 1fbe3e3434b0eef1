package saga

import (
	"errors"
	"testing"
)

// TestTable pins the table as a picture: row = from, column = to, in the order of the constants.
func TestTable(t *testing.T) {
	picture := [NumPhases]string{
		//             P R r S F s O C U u d f I
		Pending:      ". x . . x x x x . . . . .",
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
		UndoFailed:   ". . . . . . . . . . . . .",
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
		case p.UndoTerminal():
			return 4
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
	if NumPhases.String() != "Phase(13)" || NumRunPhases.String() != "RunPhase(6)" {
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
	if err.Error() != "instance 0 may not go from Pending to Succeeded" {
		t.Errorf("it reads %q", err)
	}
	if err := l.SetRun(RunRolledBack, start); err == nil || err.Error() != "the run may not go from Running to RolledBack" {
		t.Errorf("an illegal step of the run reads %v", err)
	}
}
