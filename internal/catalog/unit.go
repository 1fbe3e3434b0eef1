package catalog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	address  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$|^::1?$`)

	// plainWords is a command that means the same to systemd and to a shell that splits it at blanks: nothing to quote or expand.
	plainWords = regexp.MustCompile(`^[A-Za-z0-9_@+=:,./-]+( [A-Za-z0-9_@+=:,./-]+)*$`)
)

// onlySystemd are the directives that change how a command runs and that a plain daemon would not get.
var onlySystemd = []string{"Environment", "EnvironmentFile", "ExecStartPre", "ExecStartPost", "WorkingDirectory", "RootDirectory"}

// checkUnit guards the line that becomes a command: a parameter that reached it and holds more than a plain word is refused, and
// so is a unit that would run differently without systemd where the recipe says that any init system will do.
func (r *Recipe) checkUnit(unit Unit, text string) error {
	bad := func(format string, args ...any) error {
		return fault.During(fault.New(fault.Terminal, fault.ReasonInvalid, format, args...), "rendering unit %s of recipe %s", unit.Name, r.Name)
	}
	commands := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		key, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasSuffix(line, "\\"):
			return bad("a line continues behind a backslash: %q", clip(line))
		case strings.TrimSpace(key) == "ExecStart":
			commands++
			if !plainWords.MatchString(value) {
				return bad("ExecStart is not made of plain words: %q", clip(value))
			}
		case r.Needs.InitSystem != "systemd" && slices.Contains(onlySystemd, strings.TrimSpace(key)):
			return bad("%s needs needs.initSystem: systemd", strings.TrimSpace(key))
		}
	}
	if commands != 1 {
		return bad("%d lines begin with ExecStart=, want one", commands)
	}
	return nil
}
