package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
)

// phasePending is the phase of an operation that waits.
const phasePending = "Pending"

// Mark is the state of a row at a glance. Of several, the greatest one tells how the whole stands.
type Mark int

const (
	MarkOff   Mark = iota // never ran
	MarkGone              // undone
	MarkDone              // as wanted
	MarkWait              // not begun
	MarkBusy              // under way
	MarkUndo              // being undone
	MarkAsk               // waits for somebody's word
	MarkRetry             // waits for its next attempt
	MarkFail
)

func (m Mark) busy() bool {
	return m == MarkBusy || m == MarkUndo || m == MarkRetry || m == MarkWait || m == MarkAsk
}

// spinner turns once in 800 ms.
var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

// Glyph of a mark. What is under way moves with time.
func (m Mark) Glyph(now time.Time) Span {
	turn := string(spinner[int(now.UnixMilli()/80)%len(spinner)])
	switch m {
	case MarkDone:
		return Span{"✔", Green}
	case MarkBusy:
		return Span{turn, Cyan}
	case MarkUndo:
		return Span{turn, Yellow}
	case MarkAsk:
		return Span{"?", Yellow}
	case MarkRetry:
		return Span{"↻", Yellow}
	case MarkFail:
		return Span{"✘", Red}
	case MarkGone:
		return Span{"↶", Green}
	case MarkWait:
		return Span{"○", Dim}
	}
	return Span{"–", Dim}
}

var marks = map[string]Mark{
	phasePending: MarkWait, "AwaitingApproval": MarkAsk, "Running": MarkBusy, "Retrying": MarkRetry, "Succeeded": MarkDone, "Failed": MarkFail, "Skipped": MarkOff,
	"Omitted": MarkOff, "Cancelled": MarkOff, "Unknown": MarkFail, "Undoing": MarkUndo, "Undone": MarkGone, "UndoFailed": MarkFail,
	"Irreversible": MarkOff,
}

func markOf(phase string) Mark { return marks[phase] }

// phaseWord is an instance's phase within a sentence.
func phaseWord(phase string) string {
	switch phase {
	case "UndoFailed":
		return "undo failed"
	case "AwaitingApproval":
		return "awaits approval"
	}
	return strings.ToLower(phase)
}

func serviceMark(phase v1alpha1.ServicePhase) Mark {
	switch phase {
	case v1alpha1.ServiceReady:
		return MarkDone
	case v1alpha1.ServiceFailed:
		return MarkFail
	case v1alpha1.ServiceRemoving:
		return MarkUndo
	case v1alpha1.ServiceUnhealthy:
		return MarkRetry
	case v1alpha1.ServicePending, "":
		return MarkWait
	case v1alpha1.ServiceUnassigned:
		return MarkOff
	}
	return MarkBusy
}

// fails reports whether a service failed on a server and is tried there again.
func fails(on *v1alpha1.ServiceOnServer) bool {
	return on.NextTry != nil && (on.Phase == v1alpha1.ServicePending || on.Phase == "")
}

func onServerMark(on *v1alpha1.ServiceOnServer) Mark {
	if fails(on) {
		return MarkRetry
	}
	return serviceMark(on.Phase)
}

func onServerWords(on *v1alpha1.ServiceOnServer) string {
	if fails(on) {
		return strings.TrimSuffix(fmt.Sprintf("failed, try %d: %s", on.Try, on.Reason), ": ")
	}
	return serviceWords[on.Phase]
}

var serviceWords = map[v1alpha1.ServicePhase]string{
	v1alpha1.ServicePending: "not begun", v1alpha1.ServiceChecking: "looking at what is there", v1alpha1.ServiceApplying: "installing",
	v1alpha1.ServiceVerifying: "checking what was installed", v1alpha1.ServiceReady: "ready", v1alpha1.ServiceUnhealthy: "unhealthy",
	v1alpha1.ServiceFailed: "failed", v1alpha1.ServiceRemoving: "removing", v1alpha1.ServiceUnassigned: "no longer meant to be here",
}

// waiting says what something waits for.
func waiting(list []v1alpha1.WaitingFor) string {
	if what := awaited(list); what != "" {
		return "waits for " + what
	}
	return "waits"
}

// awaited is what something waits for.
func awaited(list []v1alpha1.WaitingFor) string {
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
	return strings.Join(said, "; ")
}

// lastLine is the last line that is not empty.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Spell is a duration as people read it, in at most seven columns.
func Spell(d time.Duration) string {
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
func phaseStyle(phase v1alpha1.WorkflowPhase) Style {
	switch phase {
	case v1alpha1.WorkflowSucceeded:
		return Green
	case v1alpha1.WorkflowFailed, v1alpha1.WorkflowRollbackFailed:
		return Red
	case v1alpha1.WorkflowUndoing, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowSuspended, v1alpha1.WorkflowAwaitingApproval:
		return Yellow
	}
	return Cyan
}
