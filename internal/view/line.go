package view

import (
	"strings"
	"unicode"
)

// Style is how a piece of text looks on a terminal that knows colours.
type Style string

// Of gives text the style.
func (s Style) Of(text string) Span { return Span{text, s} }

const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Span is text in one style.
type Span struct {
	text  string
	style Style
}

// Line is one row of the screen.
type Line []Span

// Draw returns the line cut to width columns, with colours when wanted. A width of 0 does not cut. Whatever the text holds, it
// stays one row and cannot speak to the terminal.
func (l Line) Draw(width int, colour bool) string {
	var out strings.Builder
	left := width
	for i, s := range l {
		text := []rune(clean(s.text))
		if width > 0 {
			more := len(text) > left || len(text) == left && l[i+1:].speaks()
			if more {
				text = append(text[:max(0, left-1)], []rune("…")[:min(1, left)]...)
			}
			left -= len(text)
			if more {
				left = 0
			}
		}
		if len(text) == 0 {
			continue
		}
		if colour && s.style != Plain {
			out.WriteString("\x1b[" + string(s.style) + "m" + string(text) + "\x1b[0m")
		} else {
			out.WriteString(string(text))
		}
		if width > 0 && left <= 0 {
			break
		}
	}
	return strings.TrimRight(out.String(), " ")
}

// speaks reports whether there is any text in it.
func (l Line) speaks() bool {
	for _, s := range l {
		if s.text != "" {
			return true
		}
	}
	return false
}

// clean keeps one row one row: what people wrote into scripts may hold line ends and escape sequences.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// Pad fills text up to n columns.
func Pad(text string, n int) string {
	if missing := n - len([]rune(text)); missing > 0 {
		return text + strings.Repeat(" ", missing)
	}
	return text
}

// Bounds of what is told in further lines.
const (
	minWrap = 20 // columns
	maxWrap = 4  // lines
)

// Fold breaks a line that is wider than width, where its last span has blanks. A width of 0 breaks nothing.
func (l Line) Fold(width int) []Line {
	if len(l) == 0 || width == 0 {
		return []Line{l}
	}
	indent := 0
	for _, s := range l[:len(l)-1] {
		indent += len([]rune(s.text))
	}
	last := l[len(l)-1]
	if indent+len([]rune(last.text)) <= width || width-indent < minWrap {
		return []Line{l}
	}
	var lines []Line
	for i, text := range wrap(last.text, width-indent, 2*maxWrap) {
		if i == 0 {
			lines = append(lines, append(l[:len(l)-1:len(l)-1], Span{text, last.style}))
		} else {
			lines = append(lines, Line{{Pad("", indent), Plain}, {text, last.style}})
		}
	}
	return lines
}

// wrap breaks text at blanks into at most that many lines of that width; what is longer stays in the last one.
func wrap(text string, width, most int) (lines []string) {
	words := strings.Fields(clean(text))
	at := ""
	for i, word := range words {
		switch {
		case at == "":
			at = word
		case len([]rune(at))+1+len([]rune(word)) <= width:
			at += " " + word
		case len(lines) == most-1:
			return append(lines, at+" "+strings.Join(words[i:], " "))
		default:
			lines = append(lines, at)
			at = word
		}
	}
	return append(lines, at)
}
