package view

import "strings"

// Table is rows under heads. Columns are as wide as what is in them.
type Table struct {
	Heads []string
	Rows  [][]string
}

// Lines draws the table; without heads where they are not wanted. Nothing is cut: whoever reads it may be a program.
func (t Table) Lines(heads bool) []Line {
	rows := t.Rows
	if heads {
		upper := make([]string, len(t.Heads))
		for i, h := range t.Heads {
			upper[i] = strings.ToUpper(h)
		}
		rows = append([][]string{upper}, rows...)
	}
	widths := make([]int, len(t.Heads))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], len([]rune(clean(text))))
		}
	}
	lines := make([]Line, 0, len(rows))
	for _, row := range rows {
		var line Line
		for i, text := range row {
			line = append(line, Plain.Of(Pad(clean(text), widths[i])+"   "))
		}
		lines = append(lines, line)
	}
	return lines
}
