package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/keelway/keelway/internal/view"
)

// screen is where the demo speaks: lines that stay, and below them, on a terminal, a picture that is drawn anew in place.
type screen struct {
	mu     sync.Mutex
	out    io.Writer
	live   bool // the picture can be redrawn
	colour bool
	size   func() (width, height int) // 0: unbounded
	shown  int                        // rows of the picture
	drawn  time.Time
}

// width in columns; 0: unbounded.
func (s *screen) width() int {
	width, _ := s.size()
	return width
}

// redraw is the shortest time between two pictures.
const redraw = 200 * time.Millisecond

func newScreen(out *os.File, env func(string) string) *screen {
	terminal := term.IsTerminal(int(out.Fd()))
	s := &screen{out: out, live: terminal && env("TERM") != "dumb", size: func() (int, int) { return 0, 0 }}
	s.colour = s.live && env("NO_COLOR") == ""
	if terminal {
		s.size = func() (int, int) {
			if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
				return width, height
			}
			width, _ := strconv.Atoi(env("COLUMNS"))
			return width, 0
		}
	}
	return s
}

// say writes lines that stay. On a terminal a long last part of a line is broken at blanks, below its own beginning.
func (s *screen) say(lines ...view.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	width, _ := s.size()
	for _, l := range lines {
		for _, part := range l.Fold(width) {
			fmt.Fprintln(s.out, part.Draw(0, s.colour))
		}
	}
}

// text writes what a program printed, as it is.
func (s *screen) text(text string) {
	for row := range strings.Lines(text) {
		s.raw(view.Line{view.Plain.Of(strings.TrimRight(row, "\n"))})
	}
}

// raw writes a line that is not broken: whoever copies it gets the whole.
func (s *screen) raw(l view.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintln(s.out, l.Draw(0, s.colour))
}

// picture draws lines in place of the last picture, at most five times a second; on anything but a terminal it does nothing.
func (s *screen) picture(lines []view.Line, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || now.Sub(s.drawn) < redraw {
		return
	}
	s.drawn = now
	s.paint(lines)
}

// keep draws the picture a last time and lets it stay.
func (s *screen) keep(lines []view.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		s.paint(lines)
		s.shown = 0
		s.drawn = time.Time{}
	}
}

// paint writes the picture in one piece, so that no half of one is ever seen.
func (s *screen) paint(lines []view.Line) {
	width, height := s.size()
	if height > 2 && len(lines) > height-1 { // what has scrolled away cannot be drawn over
		hidden := len(lines) - (height - 2)
		lines = append(lines[:height-2:height-2], view.Line{view.Dim.Of(fmt.Sprintf("… and %d more lines", hidden))})
	}
	var out strings.Builder
	out.WriteString(up(s.shown))
	for _, l := range lines {
		out.WriteString(l.Draw(width, s.colour) + "\x1b[K\n")
	}
	out.WriteString("\x1b[J")
	s.shown = len(lines)
	_, _ = io.WriteString(s.out, out.String()) // a terminal that is gone ends us by SIGHUP
}

// erase removes the picture, so that something can be said in its place. The next one is drawn at once.
func (s *screen) erase() {
	if s.shown > 0 {
		_, _ = io.WriteString(s.out, up(s.shown)+"\x1b[J")
		s.shown = 0
		s.drawn = time.Time{}
	}
}

// up moves to the beginning of the row n rows above.
func up(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r", n)
}
