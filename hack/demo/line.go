package main

import (
	"strings"
	"unicode"
)

// style is how a piece of text looks on a terminal that knows colours.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// span is text in one style.
type span struct {
	text  string
	style style
}

// line is one row of the screen.
type line []span

// draw returns the line cut to width columns, with colours when wanted. A width of 0 does not cut. Whatever the text holds, it
// stays one row and cannot speak to the terminal.
func (l line) draw(width int, colour bool) string {
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
		if colour && s.style != plain {
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
func (l line) speaks() bool {
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

// pad fills text up to n columns.
func pad(text string, n int) string {
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

// fold breaks a line that is wider than width, where its last span has blanks. A width of 0 breaks nothing.
func (l line) fold(width int) []line {
	if len(l) == 0 || width == 0 {
		return []line{l}
	}
	indent := 0
	for _, s := range l[:len(l)-1] {
		indent += len([]rune(s.text))
	}
	last := l[len(l)-1]
	if indent+len([]rune(last.text)) <= width || width-indent < minWrap {
		return []line{l}
	}
	var lines []line
	for i, text := range wrap(last.text, width-indent, 2*maxWrap) {
		if i == 0 {
			lines = append(lines, append(l[:len(l)-1:len(l)-1], span{text, last.style}))
		} else {
			lines = append(lines, line{{pad("", indent), plain}, {text, last.style}})
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
