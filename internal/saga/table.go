package saga

import "fmt"

// legal is the one table of transitions: legal[from][to] says why the step is allowed; an empty entry forbids it. Every step
// leads to a later stage (rank), but for the circle Running → Retrying → Running, in which the number of attempts grows.
var legal = [NumPhases][NumPhases]string{
	Pending: {
		Succeeded: "what it asks for stands already, as it was made before: its hashes match",
		Running:   "its dependencies are recorded as good enough and there is room: it is ordered",
		Failed:    "what it should do cannot be worked out, so nothing was ordered",
		Skipped:   "its own condition says no",
		Omitted:   "something that it needs can no longer succeed, or the run starts nothing more",
		Cancelled: "somebody stopped the run before its start",
	},
	Running: {
		Succeeded: "its child reports success",
		Failed:    "its attempt failed and no further one is allowed",
		Retrying:  "its attempt failed and a further one is allowed",
		Unknown:   "its child cannot say whether the effect took place",
		Cancelled: "somebody stopped the run and it ended at a safe point",
	},
	Retrying: {
		Running:   "the next attempt is due: it is ordered",
		Failed:    "no further attempt is wanted after all",
		Cancelled: "somebody stopped the run between two attempts",
	},
	Succeeded: undo,
	Failed:    undo,
	Unknown:   undo,
	Cancelled: undo, // only one that had started: see Ledger.Undo
	Undoing: {
		Undone:       "its child is confirmed to be gone",
		UndoFailed:   "its child could not be removed in the time given",
		Irreversible: "it turned out on the way that its effect cannot be taken back",
	},
	UndoFailed: {
		Undone:       "its child went after all, while others are still being undone",
		Irreversible: "its child went after all, and its effect cannot be taken back",
	},
}

const tryUndo = "another try to take it back is asked for, and what rests on it goes first"

// again holds the steps back, which are taken only because somebody asked for another try (Ledger.Again).
var again = [NumPhases][NumPhases]string{
	Failed:     {Pending: "another attempt is asked for"},
	Unknown:    {Pending: "somebody has looked, and asks for another attempt"},
	Cancelled:  {Pending: "another attempt is asked for, or its first one after all"},
	Omitted:    {Pending: "what it needs is tried again"},
	UndoFailed: {Succeeded: tryUndo, Failed: tryUndo, Unknown: tryUndo, Cancelled: tryUndo},
}

// undo is how an instance that was ordered once leaves the forward direction.
var undo = [NumPhases]string{
	Undoing:      "the run is taken back and nothing that still stands rests on it",
	Irreversible: "the run is taken back, and its effect cannot be",
}

// TransitionError says that a step is not in the table, which is a bug of whoever asked for it.
type TransitionError struct {
	From, To fmt.Stringer
	// Instance is its index, or -1 for the whole run.
	Instance int
	// Why is set where the table allows the step and the instance does not.
	Why string
}

func (e *TransitionError) Error() string {
	what := "the run"
	if e.Instance >= 0 {
		what = fmt.Sprintf("instance %d", e.Instance)
	}
	if e.Why != "" {
		return fmt.Sprintf("%s may not go from %s to %s: %s", what, e.From, e.To, e.Why)
	}
	return fmt.Sprintf("%s may not go from %s to %s", what, e.From, e.To)
}

// CanMove reports whether an instance may go from one phase to the other. Staying is not a move.
func CanMove(from, to Phase) bool { return Why(from, to) != "" }

// Why returns the reason for which the step is legal, in words, or "" when it is not.
func Why(from, to Phase) string {
	if from >= NumPhases || to >= NumPhases {
		return ""
	}
	return legal[from][to]
}

// runLegal is the same table for the whole run.
var runLegal = [NumRunPhases][NumRunPhases]string{
	RunRunning: {
		RunSucceeded: "everything that had to succeed did",
		RunFailed:    "nothing runs any more, something failed and nothing is to be taken back",
		RunUndoing:   "nothing runs any more, something failed and what was made is to be taken back",
		RunCancelled: "nothing runs any more, somebody had asked for its end and nothing is to be taken back",
	},
	RunUndoing: {
		RunRolledBack:      "everything that was made is gone",
		RunRollbackFailed:  "nothing is being undone any more and something is left over",
		RunRollbackBlocked: "nothing is being undone any more and what is left over is protected",
	},
}

// runAgain holds the steps by which a run that was over goes on, because somebody asked for it (Ledger.Reopen).
var runAgain = [NumRunPhases][NumRunPhases]string{
	RunFailed:          {RunRunning: "what failed is to be tried again", RunUndoing: "what it made is to be taken back"},
	RunCancelled:       {RunRunning: "it is to go on after all", RunUndoing: "what it made is to be taken back"},
	RunRollbackFailed:  {RunUndoing: "what could not be taken back is to be tried again"},
	RunRollbackBlocked: {RunUndoing: "what was protected is to be tried again"},
}

// CanRepeat reports whether an instance may go from one phase to the other because somebody asked for another try.
func CanRepeat(from, to Phase) bool {
	return from < NumPhases && to < NumPhases && again[from][to] != ""
}

// CanReopen reports whether a run that was over may go on in that phase because somebody asked for it.
func CanReopen(from, to RunPhase) bool {
	return from < NumRunPhases && to < NumRunPhases && runAgain[from][to] != ""
}

// CanMoveRun reports whether a run may go from one phase to the other. Staying is not a move.
func CanMoveRun(from, to RunPhase) bool {
	return from < NumRunPhases && to < NumRunPhases && runLegal[from][to] != ""
}
