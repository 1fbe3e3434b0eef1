package view

import (
	"fmt"
	"strings"
	"time"
)

// Live is the tree with bars, for a screen of that size; a height of 0 is unbounded. Where the screen is too low, what has ended well
// is left out first.
func (s *Snapshot) Live(now time.Time, width, height int) []Line {
	if s.Workflow == nil {
		return s.Picture(now, width)
	}
	lines := append([]Line{s.headline(now, width)}, s.branchesOf(s.rows(), now, width)...)
	if height <= 0 || len(lines) <= height {
		return lines
	}
	lines = append(lines[:1:1], s.branchesOf(s.fitting(height-1), now, width)...)
	if len(lines) > height {
		hidden := len(lines) - (height - 1)
		lines = append(lines[:max(height-1, 0):max(height-1, 0)], Line{Dim.Of(fmt.Sprintf("… and %d more lines", hidden))})
	}
	return lines
}

// fitting are the rows for so many lines: of what goes on within operations so much as there is room for, and of what has ended well
// nothing. Operations and failures come first.
func (s *Snapshot) fitting(height int) (rows []row) {
	all := s.rows()
	for _, r := range all {
		if r.depth == 0 || r.mark == MarkFail {
			height--
		}
	}
	for _, r := range all {
		switch {
		case r.depth == 0 || r.mark == MarkFail:
			rows = append(rows, r)
		case r.mark.busy() && height > 0:
			height--
			rows = append(rows, r)
		}
	}
	return rows
}

// headline is the title with a bar of the whole, where there is room.
func (s *Snapshot) headline(now time.Time, width int) Line {
	line := s.title(now)
	done, all, ok := share(s.Workflow.Status.Progress)
	if !ok || width < minBarWidth {
		return line
	}
	return append(line[:3:3], append(Line{Plain.Of("  ")}, append(bar(done, all, barWidth, phaseStyle(s.Workflow.Status.Phase)), line[3:]...)...)...)
}

// Measures of bars, in columns.
const (
	minBarWidth = 60 // of the screen, below which there are none
	barWidth    = 20 // of the whole
	opBarWidth  = 10 // of an operation
)

// share reads progress such as 412/1000.
func share(progress string) (done, all int, ok bool) {
	n, err := fmt.Sscanf(progress, "%d/%d", &done, &all)
	return done, all, err == nil && n == 2 && all > 0
}

// eighths fill a column from the left.
var eighths = []rune(" ▏▎▍▌▋▊▉")

// bar shows a share by eighths of a column.
func bar(done, all, width int, style Style) Line {
	filled := min(max(done, 0), all) * width * 8 / all
	text := strings.Repeat("█", filled/8)
	if part := filled % 8; part > 0 {
		text += string(eighths[part])
	}
	return Line{style.Of(text), Dim.Of(strings.Repeat("·", width-len([]rune(text))))}
}
