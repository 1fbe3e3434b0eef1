package view

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Bounds of the column of names.
const (
	minName = 12
	maxName = 24
)

// Picture is the tree as lines for a screen of that width: the workflow, then its operations.
func (s *Snapshot) Picture(now time.Time, width int) []Line {
	if s.Workflow == nil {
		return []Line{{{"the workflow is gone", Dim}}}
	}
	return append([]Line{s.title(now)}, s.branchesOf(s.rows(), now, width)...)
}

// branchesOf draws rows as branches below the title.
func (s *Snapshot) branchesOf(rows []row, now time.Time, width int) (lines []Line) {
	names := minName
	for _, r := range rows {
		names = max(names, min(maxName, len([]rune(r.name))+2*r.depth))
	}
	for i, r := range rows {
		lastOp := true
		for _, later := range rows[i+1:] {
			lastOp = lastOp && later.depth > 0
		}
		r.last = r.last || r.depth > 0 && (i+1 == len(rows) || rows[i+1].depth == 0)
		lines = append(lines, r.lay(names, lastOp, now, width)...)
	}
	return lines
}

// title says how the whole stands.
func (s *Snapshot) title(now time.Time) Line {
	status := &s.Workflow.Status
	phase := status.Phase
	if phase == "" {
		phase = v1alpha1.WorkflowPending
	}
	title := Line{{s.Workflow.Name, Bold}, {"  ", Plain}, {string(phase), phaseStyle(phase)}}
	if spent, ok := s.spent(now); ok {
		title = append(title, Span{"  " + Spell(spent), Plain})
	}
	if done, all, ok := strings.Cut(status.Progress, "/"); ok {
		title = append(title, Span{fmt.Sprintf("  %s of %s done", done, all), Dim})
	}
	// What stops a workflow before its first operation is said nowhere else.
	if stalled := meta.FindStatusCondition(status.Conditions, v1alpha1.StalledCondition); stalled != nil && status.Run == nil {
		title = append(title, Span{"  " + stalled.Reason + ": " + stalled.Message, Red})
	}
	return title
}

// spent is the time of the run.
func (s *Snapshot) spent(now time.Time) (time.Duration, bool) {
	run := s.Workflow.Status.Run
	if run == nil || run.StartedAt == nil {
		return 0, false
	}
	if run.FinishedAt != nil {
		now = run.FinishedAt.Time
	}
	return now.Sub(run.StartedAt.Time), true
}

// lay makes lines of a row: branch, glyph, name, time, text. A failure is told to its end, in further lines below its beginning.
func (r *row) lay(names int, lastOp bool, now time.Time, width int) []Line {
	branch, below := r.branches(lastOp)
	look := Plain
	switch {
	case r.urgent:
		look = Red
	case r.mark == MarkWait || r.mark == MarkOff || r.mark == MarkGone:
		look = Dim
	}
	named := Plain
	if r.depth == 0 {
		named = Bold
	}
	head := Line{
		{branch, Dim}, r.mark.Glyph(now), {" ", Plain},
		{Pad(r.name, names-2*r.depth), named},
		{fmt.Sprintf("%8s  ", r.spent(now)), Dim},
	}
	indent := names + 14
	if r.all > 1 && width >= minBarWidth {
		head = append(append(head, bar(r.done, r.all, opBarWidth, r.mark.Still().style)...), Plain.Of("  "))
	}
	texts := []string{r.says(now)}
	if r.urgent && width > indent+minWrap {
		texts = wrap(texts[0], width-indent, maxWrap)
	}
	lines := []Line{append(head, Span{texts[0], look})}
	for _, text := range texts[1:] {
		lines = append(lines, Line{{Pad(below, indent), Dim}, {text, look}})
	}
	return lines
}

// branches of a row: the one that leads to it, and those that pass below it.
func (r *row) branches(lastOp bool) (branch, below string) {
	trunk, foot := "│ ", "├ "
	if lastOp {
		trunk = "  "
	}
	switch {
	case r.depth == 0 && lastOp:
		return "└ ", trunk
	case r.depth == 0:
		return foot, trunk
	case r.last:
		return trunk + "└ ", trunk
	}
	return trunk + foot, trunk + "│ "
}

// spent is the row's time, empty when it has none.
func (r *row) spent(now time.Time) string {
	switch {
	case r.start.IsZero():
		return ""
	case !r.end.IsZero():
		now = r.end
	}
	return Spell(now.Sub(r.start))
}

// says is the row's text, with the time until the next attempt.
func (r *row) says(now time.Time) string {
	if r.due.IsZero() {
		return r.text
	}
	if left := r.due.Sub(now); left > 0 {
		return fmt.Sprintf("next attempt in %s; %s", Spell(left+time.Second-1), r.text)
	}
	return "next attempt now; " + r.text
}
