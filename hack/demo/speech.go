package main

import (
	"fmt"
	"strings"

	"github.com/keelway/keelway/internal/view"
)

// whoWidth is the column of who speaks or is spoken of.
const whoWidth = 15

// note says one thing about somebody, in one line.
func (s *screen) note(who, format string, args ...any) {
	s.say(view.Line{view.Bold.Of(view.Pad(who, whoWidth)), view.Plain.Of(fmt.Sprintf(format, args...))})
}

// heading begins a part of the story.
func (s *screen) heading(text string) { s.say(view.Line{}, view.Line{view.Bold.Of(text)}) }

// command shows what a reader could type.
func (s *screen) command(args ...string) {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if strings.ContainsAny(arg, `{}"*?$ `) {
			quoted[i] = "'" + arg + "'"
		}
	}
	s.raw(view.Line{view.Cyan.Of("$ kubectl " + strings.Join(quoted, " "))})
}

// verdict says how something ended.
func (s *screen) verdict(good bool, format string, args ...any) {
	m := view.MarkFail
	if good {
		m = view.MarkDone
	}
	s.say(view.Line{m.Still(), view.Plain.Of(" "), view.Plain.Of(fmt.Sprintf(format, args...))})
}

// failure says what went wrong; further lines are what was quoted.
func (s *screen) failure(err error) {
	head, rest, _ := strings.Cut(err.Error(), "\n")
	s.say(view.Line{view.Red.Of("demo: "), view.Plain.Of(head)})
	if rest != "" {
		s.text(rest)
	}
}
