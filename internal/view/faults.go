package view

import (
	"fmt"
	"strings"

	"github.com/keelway/keelway/internal/manifest"
)

// Faults are what is wrong with files, one a line, as file:line: field: message, which editors know how to jump to; then how many.
func Faults(faults []manifest.Fault) (lines []Line) {
	files := map[string]bool{}
	for _, f := range faults {
		files[f.File] = true
		where, rest := f.File, f.Message
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		line := Line{Bold.Of(where + ": ")}
		if f.Field != "" && !strings.HasPrefix(rest, f.Field+":") {
			line = append(line, Cyan.Of(f.Field+": "))
		}
		lines = append(lines, append(line, Plain.Of(rest)))
	}
	text := fmt.Sprintf("%d faults", len(faults))
	if len(faults) == 1 {
		text = "1 fault"
	}
	if len(files) > 1 {
		text += fmt.Sprintf(" in %d files", len(files))
	}
	return append(lines, Line{Red.Of("✘ "), Plain.Of(text)})
}
