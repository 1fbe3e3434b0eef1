package saga

import "fmt"

// Phase says where one instance stands. The numbers are written into ledgers: they are only ever added to.
type Phase uint8

const (
	// Pending: nothing was ordered yet.
	Pending Phase = iota
	// Running: recorded as ordered, so its child must exist (or is about to).
	Running
	// Retrying: an attempt failed; the next is due at Ledger.Retries.
	Retrying
	// Succeeded: it ended as wanted.
	Succeeded
	// Failed: its last attempt failed.
	Failed
	// Skipped: its own condition said no.
	Skipped
	// Omitted: something that it needs did not succeed.
	Omitted
	// Cancelled: somebody asked for it to stop, before or after its start.
	Cancelled
	// Unknown: it was started, and whether it took effect cannot be known.
	Unknown
	// Undoing: recorded as being undone.
	Undoing
	// Undone: its effect is gone.
	Undone
	// UndoFailed: its effect could not be taken back; something is left over.
	UndoFailed
	// Irreversible: its effect cannot be taken back by its nature.
	Irreversible
	// NumPhases is how many phases there are.
	NumPhases
)

var phaseNames = [NumPhases]string{"Pending", "Running", "Retrying", "Succeeded", "Failed", "Skipped", "Omitted",
	"Cancelled", "Unknown", "Undoing", "Undone", "UndoFailed", "Irreversible"}

// String returns the name of the phase as people see it.
func (p Phase) String() string {
	if p < NumPhases {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// Terminal reports whether the forward direction is over: nothing is started or retried from here. Undoing and what follows
// it are terminal too, because they begin where the forward direction ended.
func (p Phase) Terminal() bool { return p >= Succeeded && p < NumPhases }

// UndoTerminal reports whether the way back is over.
func (p Phase) UndoTerminal() bool { return p == Undone || p == UndoFailed || p == Irreversible }

// RunPhase says where the whole run stands. That a run is suspended or waits for approval is derived from the spec and not
// kept here. The numbers are written into ledgers: they are only ever added to.
type RunPhase uint8

const (
	// RunRunning: going forward, or waiting for started instances to end.
	RunRunning RunPhase = iota
	// RunUndoing: taking back what was made.
	RunUndoing
	// RunSucceeded: everything that had to succeed did.
	RunSucceeded
	// RunFailed: it ended, something failed, and nothing is taken back.
	RunFailed
	// RunRolledBack: everything that was made is gone.
	RunRolledBack
	// RunRollbackFailed: it was taken back as far as that went; something is left over.
	RunRollbackFailed
	// RunCancelled: somebody ended it, and nothing is taken back.
	RunCancelled
	// RunRollbackBlocked: it was taken back but for what is protected from deletion.
	RunRollbackBlocked
	// NumRunPhases is how many run phases there are.
	NumRunPhases
)

var runPhaseNames = [NumRunPhases]string{"Running", "Undoing", "Succeeded", "Failed", "RolledBack", "RollbackFailed", "Cancelled", "RollbackBlocked"}

// Stop says why the whole run starts nothing more, where that is not the failure of an instance. The numbers are written into
// ledgers: they are only ever added to.
type Stop uint8

const (
	// StopNone: nobody stopped it.
	StopNone Stop = iota
	// StopTimedOut: its time was over.
	StopTimedOut
	// StopCancelled: somebody asked for its end.
	StopCancelled
	// StopAborted: somebody asked for its end at once.
	StopAborted
	// StopRollback: somebody asked for what it made to be taken back.
	StopRollback
	// NumStops is how many there are.
	NumStops
)

// String returns the name of the phase as people see it.
func (p RunPhase) String() string {
	if p < NumRunPhases {
		return runPhaseNames[p]
	}
	return fmt.Sprintf("RunPhase(%d)", uint8(p))
}

// Terminal reports whether the run is over.
func (p RunPhase) Terminal() bool { return p >= RunSucceeded && p < NumRunPhases }
