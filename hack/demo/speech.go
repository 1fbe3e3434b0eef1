package main

import (
	"fmt"
	"strings"
)

// whoWidth is the column of who speaks or is spoken of.
const whoWidth = 15

// note says one thing about somebody, in one line.
func (s *screen) note(who, format string, args ...any) {
	s.say(line{{pad(who, whoWidth), bold}, {fmt.Sprintf(format, args...), plain}})
}

// heading begins a part of the story.
func (s *screen) heading(text string) { s.say(line{}, line{{text, bold}}) }

// command shows what a reader could type.
func (s *screen) command(args ...string) {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if strings.ContainsAny(arg, `{}"*?$ `) {
			quoted[i] = "'" + arg + "'"
		}
	}
	s.raw(line{{"$ kubectl " + strings.Join(quoted, " "), cyan}})
}

// verdict says how something ended.
func (s *screen) verdict(good bool, format string, args ...any) {
	m := markFail
	if good {
		m = markDone
	}
	s.say(line{m.still(), {" ", plain}, {fmt.Sprintf(format, args...), plain}})
}

// failure says what went wrong; further lines are what was quoted.
func (s *screen) failure(err error) {
	head, rest, _ := strings.Cut(err.Error(), "\n")
	s.say(line{{"demo: ", red}, {head, plain}})
	if rest != "" {
		s.text(rest)
	}
}
