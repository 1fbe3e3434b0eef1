package main

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

// picture is the tree as lines for a screen of that width: the workflow, then its operations.
func (s *snapshot) picture(now time.Time, width int) []line {
	if s.workflow == nil {
		return []line{{{"the workflow is gone", dim}}}
	}
	rows := s.rows()
	names := minName
	for _, r := range rows {
		names = max(names, min(maxName, len([]rune(r.name))+2*r.depth))
	}
	lines := []line{s.title(now)}
	for i, r := range rows {
		lastOp := true
		for _, later := range rows[i+1:] {
			lastOp = lastOp && later.depth > 0
		}
		lines = append(lines, r.draw(names, lastOp, now, width)...)
	}
	return lines
}

// title says how the whole stands.
func (s *snapshot) title(now time.Time) line {
	status := &s.workflow.Status
	phase := status.Phase
	if phase == "" {
		phase = v1alpha1.WorkflowPending
	}
	title := line{{s.workflow.Name, bold}, {"  ", plain}, {string(phase), phaseStyle(phase)}}
	if spent, ok := s.spent(now); ok {
		title = append(title, span{"  " + spell(spent), plain})
	}
	if done, all, ok := strings.Cut(status.Progress, "/"); ok {
		title = append(title, span{fmt.Sprintf("  %s of %s done", done, all), dim})
	}
	// What stops a workflow before its first operation is said nowhere else.
	if stalled := meta.FindStatusCondition(status.Conditions, v1alpha1.StalledCondition); stalled != nil && status.Run == nil {
		title = append(title, span{"  " + stalled.Reason + ": " + stalled.Message, red})
	}
	return title
}

// spent is the time of the run.
func (s *snapshot) spent(now time.Time) (time.Duration, bool) {
	run := s.workflow.Status.Run
	if run == nil || run.StartedAt == nil {
		return 0, false
	}
	if run.FinishedAt != nil {
		now = run.FinishedAt.Time
	}
	return now.Sub(run.StartedAt.Time), true
}

// draw makes lines of a row: branch, glyph, name, time, text. A failure is told to its end, in further lines below its beginning.
func (r *row) draw(names int, lastOp bool, now time.Time, width int) []line {
	branch, below := r.branches(lastOp)
	look := plain
	switch {
	case r.urgent:
		look = red
	case r.mark == markWait || r.mark == markOff || r.mark == markGone:
		look = dim
	}
	named := plain
	if r.depth == 0 {
		named = bold
	}
	head := line{
		{branch, dim}, r.mark.glyph(now), {" ", plain},
		{pad(r.name, names-2*r.depth), named},
		{fmt.Sprintf("%8s  ", r.spent(now)), dim},
	}
	indent := names + 14
	texts := []string{r.says(now)}
	if r.urgent && width > indent+minWrap {
		texts = wrap(texts[0], width-indent, maxWrap)
	}
	lines := []line{append(head, span{texts[0], look})}
	for _, text := range texts[1:] {
		lines = append(lines, line{{pad(below, indent), dim}, {text, look}})
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
	return spell(now.Sub(r.start))
}

// says is the row's text, with the time until the next attempt.
func (r *row) says(now time.Time) string {
	if r.due.IsZero() {
		return r.text
	}
	if left := r.due.Sub(now); left > 0 {
		return fmt.Sprintf("next attempt in %s; %s", spell(left+time.Second-1), r.text)
	}
	return "next attempt now; " + r.text
}
