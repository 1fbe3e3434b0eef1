// Package posix knows how a Command becomes a shell program that tells its process group before it begins, so that the group can be
// ended by a second call, and how to tell its own words from the command's. It must not know by which way a machine is reached.
package posix

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keelway/keelway/internal/transport"
)

//go:embed run.sh
var runScript string

//go:embed end.sh
var endScript string

// Program is a Command ready to be run on a machine. It is used once.
type Program struct {
	Argv  []string
	Stdin []byte // variables and what argv cannot carry, then the command's own input
	mark  string
}

// New wraps a command that is valid.
func New(cmd transport.Command) Program {
	var variables strings.Builder
	for _, name := range slices.Sorted(maps.Keys(cmd.Env)) {
		fmt.Fprintf(&variables, "export %s=%s\n", name, Quote(cmd.Env[name]))
	}
	words := cmd.Argv
	if slices.ContainsFunc(words, func(word string) bool { return !utf8.ValidString(word) }) {
		fmt.Fprintf(&variables, "set -- %s\n", Line(words)) // an API that speaks JSON would change them
		words = nil
	}
	mark := "keelway-" + rand.Text()
	return Program{
		Argv:  append([]string{"sh", "-c", runScript, "keelway-exec", mark, strconv.Itoa(variables.Len())}, words...),
		Stdin: append([]byte(variables.String()), cmd.Stdin...),
		mark:  mark,
	}
}

// Line is the program as one line for a login shell. In single quotes nothing has a meaning but their end.
func Line(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = Quote(word)
	}
	return strings.Join(words, " ")
}

// Quote makes one word of any text without NUL.
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// maxGreeting is how much of what a login shell prints is read before the program's own first line.
const maxGreeting = 64 << 10

// Output takes the program's stdout apart: what comes before the program's line is a greeting and thrown away, what comes after
// it is the command's.
type Output struct {
	transport.Kept
	program  Program
	greeting []byte
	opened   bool
	start    Start
	said     chan struct{}
}

// Start is who the program turned out to be.
type Start struct {
	Missing          bool // there is no such command on the machine
	pid, group, time string
}

// NewOutput returns the stdout of a program.
func NewOutput(p Program, limit int) *Output {
	return &Output{Kept: transport.Kept{Limit: limit}, program: p, said: make(chan struct{})}
}

// Write never fails.
func (o *Output) Write(p []byte) (int, error) {
	if o.opened {
		return o.Kept.Write(p)
	}
	o.greeting = append(o.greeting, p...)
	if before, rest, found := bytes.Cut(o.greeting, []byte(o.program.mark+" ")); found {
		if line, after, whole := bytes.Cut(rest, []byte("\n")); whole {
			o.open(string(line))
			_, _ = o.Kept.Write(after)
			o.greeting = before
		}
	} else if len(o.greeting) > maxGreeting {
		o.greeting = slices.Clone(o.greeting[len(o.greeting)-len(o.program.mark):])
	}
	return len(p), nil
}

// open reads "missing", or a line of /proc/PID/stat.
func (o *Output) open(line string) {
	o.opened = true
	o.start.Missing = line == "missing"
	pid, _, _ := strings.Cut(line, " ")
	if fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:]); len(fields) > 19 {
		o.start.pid, o.start.group, o.start.time = pid, fields[2], fields[19]
	}
	close(o.said)
}

// Said is closed when the program has told who it is.
func (o *Output) Said() <-chan struct{} { return o.said }

// Started returns who the program is; false while it has not told, or when it never began.
func (o *Output) Started() (Start, bool) {
	select {
	case <-o.said:
		return o.start, true
	default:
		return Start{}, false
	}
}

// Greeting is what was printed instead of a beginning: why there is none. It is read when nothing writes any more.
func (o *Output) Greeting() string { return string(o.greeting) }

// End is the command that ends everything in the program's process group; nil where nothing can be ended.
func (s Start) End() []string {
	if s.pid == "" {
		return nil
	}
	return []string{"sh", "-c", endScript, "keelway-end", s.pid, s.group, s.time}
}
