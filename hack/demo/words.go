package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// phasePending is the phase of an operation that waits.
const phasePending = "Pending"

// mark is the state of a row at a glance. Of several, the greatest one tells how the whole stands.
type mark int

const (
	markOff   mark = iota // never ran
	markGone              // undone
	markDone              // as wanted
	markWait              // not begun
	markBusy              // under way
	markUndo              // being undone
	markRetry             // waits for its next attempt
	markFail
)

func (m mark) busy() bool { return m == markBusy || m == markUndo || m == markRetry || m == markWait }

// spinner turns once in 800 ms.
var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// glyph of a mark. What is under way moves with time.
func (m mark) glyph(now time.Time) span {
	turn := string(spinner[int(now.UnixMilli()/80)%len(spinner)])
	switch m {
	case markDone:
		return span{"✔", green}
	case markBusy:
		return span{turn, cyan}
	case markUndo:
		return span{turn, yellow}
	case markRetry:
		return span{"↻", yellow}
	case markFail:
		return span{"✘", red}
	case markGone:
		return span{"↶", green}
	case markWait:
		return span{"○", dim}
	}
	return span{"–", dim}
}

var marks = map[string]mark{
	phasePending: markWait, "Running": markBusy, "Retrying": markRetry, "Succeeded": markDone, "Failed": markFail, "Skipped": markOff,
	"Omitted": markOff, "Cancelled": markOff, "Unknown": markFail, "Undoing": markUndo, "Undone": markGone, "UndoFailed": markFail,
	"Irreversible": markOff,
}

func markOf(phase string) mark { return marks[phase] }

// phaseWord is an instance's phase within a sentence.
func phaseWord(phase string) string {
	if phase == "UndoFailed" {
		return "undo failed"
	}
	return strings.ToLower(phase)
}

func serviceMark(phase v1alpha1.ServicePhase) mark {
	switch phase {
	case v1alpha1.ServiceReady:
		return markDone
	case v1alpha1.ServiceFailed:
		return markFail
	case v1alpha1.ServiceRemoving:
		return markUndo
	case v1alpha1.ServiceUnhealthy:
		return markRetry
	case v1alpha1.ServicePending, "":
		return markWait
	case v1alpha1.ServiceUnassigned:
		return markOff
	}
	return markBusy
}

var serviceWords = map[v1alpha1.ServicePhase]string{
	v1alpha1.ServicePending: "not begun", v1alpha1.ServiceChecking: "looking at what is there", v1alpha1.ServiceApplying: "installing",
	v1alpha1.ServiceVerifying: "checking what was installed", v1alpha1.ServiceReady: "ready", v1alpha1.ServiceUnhealthy: "unhealthy",
	v1alpha1.ServiceFailed: "failed", v1alpha1.ServiceRemoving: "removing", v1alpha1.ServiceUnassigned: "no longer meant to be here",
}

// waiting says what something waits for.
func waiting(list []v1alpha1.WaitingFor) string {
	var said []string
	for _, w := range list {
		switch {
		case w.Operation != "" && w.Phase != "":
			said = append(said, fmt.Sprintf("%s, which is %s", w.Operation, phaseWord(w.Phase)))
		case w.Operation != "":
			said = append(said, w.Operation)
		case w.Limit != "":
			said = append(said, w.Limit)
		}
	}
	if len(said) == 0 {
		return "waits"
	}
	return "waits for " + strings.Join(said, "; ")
}

// lastLine is the last line that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// spell is a duration as people read it, in at most seven columns.
func spell(d time.Duration) string {
	d = max(0, d.Truncate(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d m", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
}

// phaseStyle colours the phase of a whole workflow.
func phaseStyle(phase v1alpha1.WorkflowPhase) style {
	switch phase {
	case v1alpha1.WorkflowSucceeded:
		return green
	case v1alpha1.WorkflowFailed, v1alpha1.WorkflowRollbackFailed:
		return red
	case v1alpha1.WorkflowUndoing, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowSuspended:
		return yellow
	}
	return cyan
}
