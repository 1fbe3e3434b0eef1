package view

import (
	"fmt"
	"strings"
	"time"
)

// Beat is the time between two signs of life where nothing can be redrawn.
const Beat = 10 * time.Second

// Journal tells a run line by line, where there is no terminal: one line a transition, and a sign of life when there is none. What
// something says while it goes on is told at most once a beat.
type Journal struct {
	began time.Time
	said  time.Time
	phase string
	rows  map[string]row       // as they were told
	told  map[string]time.Time // when
}

// NewJournal returns a journal whose clock begins at now.
func NewJournal(now time.Time) *Journal {
	return &Journal{began: now, said: now, rows: map[string]row{}, told: map[string]time.Time{}}
}

// Lines are what is new in a snapshot.
func (j *Journal) Lines(s *Snapshot, now time.Time) (lines []Line) {
	stamp := Span{fmt.Sprintf("%8s  ", Spell(now.Sub(j.began))), Dim}
	if s.Workflow == nil {
		return nil
	}
	for _, r := range s.rows() {
		before, known := j.rows[r.path]
		j.rows[r.path] = r
		switch {
		case known && before.mark == r.mark && (before.text == r.text || r.sums): // each of its parts has a line of its own
			continue
		case known && before.mark == r.mark && now.Sub(j.told[r.path]) < Beat: // no transition: what is said in between waits its time
			j.rows[r.path] = before
			continue
		case r.mark == MarkWait && (!known || before.mark == MarkWait): // the dependencies stand in the workflow
			continue
		}
		j.told[r.path] = now
		lines = append(lines, Line{stamp, {Pad(strings.Replace(r.path, "/", " ", 1), 18) + "  ", Bold}, r.mark.Still(), {" " + r.text, Plain}})
	}
	if phase := string(s.Workflow.Status.Phase); phase != j.phase && phase != "" {
		j.phase = phase
		lines = append(lines, append(Line{stamp}, s.title(now)...))
	}
	if len(lines) > 0 {
		j.said = now
	} else if now.Sub(j.said) >= Beat {
		j.said = now
		lines = append(lines, append(Line{stamp, {"still: ", Dim}}, s.title(now)...))
	}
	return lines
}

// Still is a mark's glyph that does not move.
func (m Mark) Still() Span {
	g := m.Glyph(time.Time{})
	if m == MarkBusy || m == MarkUndo {
		g.text = "…"
	}
	return g
}
