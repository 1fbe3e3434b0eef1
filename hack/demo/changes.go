package main

import (
	"fmt"
	"strings"
	"time"
)

// beat is the time between two signs of life where nothing can be redrawn.
const beat = 10 * time.Second

// journal tells a run line by line, where there is no terminal: one line a transition, and a sign of life when there is none.
type journal struct {
	began time.Time
	said  time.Time
	phase string
	rows  map[string]row
}

func newJournal(now time.Time) *journal {
	return &journal{began: now, said: now, rows: map[string]row{}}
}

// lines are what is new in a snapshot.
func (j *journal) lines(s *snapshot, now time.Time) (lines []line) {
	stamp := span{fmt.Sprintf("%8s  ", spell(now.Sub(j.began))), dim}
	if s.workflow == nil {
		return nil
	}
	for _, r := range s.rows() {
		before, known := j.rows[r.path]
		j.rows[r.path] = r
		switch {
		case known && before.mark == r.mark && before.text == r.text:
			continue
		case r.mark == markWait && (!known || before.mark == markWait): // the dependencies stand in the workflow
			continue
		}
		lines = append(lines, line{stamp, {pad(strings.Replace(r.path, "/", " ", 1), 18) + "  ", bold}, r.mark.still(), {" " + r.text, plain}})
	}
	if phase := string(s.workflow.Status.Phase); phase != j.phase && phase != "" {
		j.phase = phase
		lines = append(lines, append(line{stamp}, s.title(now)...))
	}
	if len(lines) > 0 {
		j.said = now
	} else if now.Sub(j.said) >= beat {
		j.said = now
		lines = append(lines, append(line{stamp, {"still: ", dim}}, s.title(now)...))
	}
	return lines
}

// still is a mark's glyph that does not move.
func (m mark) still() span {
	g := m.glyph(time.Time{})
	if m == markBusy || m == markUndo {
		g.text = "…"
	}
	return g
}
