package posix_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/posix"
)

// text is anything that a process can be given, and rather often what a shell would act upon.
func text() *rapid.Generator[string] {
	hostile := rapid.SampledFrom([]string{"", "'", "\"", "`id`", "$(id)", "$HOME", ";", "&&", "|", ">x", "\n", "\\", "-n", "--flag", "*", "~", "!", "#", " ", "\xff", "ü", "%s"})
	part := rapid.OneOf(hostile, rapid.StringN(0, 8, 40))
	return rapid.Map(rapid.SliceOfN(part, 0, 6), func(parts []string) string {
		return strings.ReplaceAll(strings.Join(parts, ""), "\x00", "")
	})
}

// TestNothingIsShellText runs programs as the machine's login shell would and as an API would: arguments, variables and input
// arrive byte by byte, whatever they are, and nothing else is printed.
func TestNothingIsShellText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(text(), 0, 4).Draw(t, "args")
		value, input := text().Draw(t, "value"), text().Draw(t, "input")
		cmd := transport.Command{
			Argv:  append([]string{"sh", "-c", `for a; do printf '<%s>' "$a"; done; printf '[%s]' "$VALUE"; cat`, "sh"}, args...),
			Env:   map[string]string{"VALUE": value},
			Stdin: []byte(input),
		}
		want := ""
		for _, a := range args {
			want += "<" + a + ">"
		}
		want += "[" + value + "]" + input
		for way, argv := range map[string]func(posix.Program) []string{
			"by its arguments": func(p posix.Program) []string { return p.Argv },
			"as one line":      func(p posix.Program) []string { return []string{"sh", "-c", "echo greeting; " + posix.Line(p.Argv)} },
		} {
			p := posix.New(cmd)
			words := argv(p)
			out := posix.NewOutput(p, 1<<20)
			var stderr bytes.Buffer
			run := exec.Command(words[0], words[1:]...)
			run.Stdin, run.Stdout, run.Stderr = bytes.NewReader(p.Stdin), out, &stderr
			if err := run.Run(); err != nil || stderr.Len() > 0 {
				t.Fatalf("%s: %v: %s", way, err, stderr.String())
			}
			if diff := cmp.Diff(want, string(out.Bytes)); diff != "" {
				t.Fatalf("%s (-sent +got):\n%s", way, diff)
			}
			if start, ok := out.Started(); !ok || start.Missing || start.End() == nil {
				t.Fatalf("%s: it did not tell who it is: %+v", way, start)
			}
		}
	})
}

func TestValuesAreNoArguments(t *testing.T) {
	p := posix.New(transport.Command{Argv: []string{"true"}, Env: map[string]string{"TOKEN": "canary-value"}})
	if strings.Contains(strings.Join(p.Argv, " "), "canary-value") {
		t.Errorf("everybody on the machine can read %q", p.Argv)
	}
}

// TestOutputInPieces: the program's line may come in any pieces, behind any greeting.
func TestOutputInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := posix.New(transport.Command{Argv: []string{"keelway-no-such-program"}})
		raw, _ := exec.Command(p.Argv[0], p.Argv[1:]...).Output()
		greeting := rapid.StringN(0, 100, 400).Draw(t, "greeting") + strings.Repeat("x", rapid.SampledFrom([]int{0, 70_000}).Draw(t, "more"))
		stream := append([]byte(greeting), raw...)
		stream = append(stream, "tail"...)
		out := posix.NewOutput(p, 100)
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "piece")
			_, _ = out.Write(stream[:n])
			stream = stream[n:]
		}
		if start, ok := out.Started(); !ok || !start.Missing || string(out.Bytes) != "tail" {
			t.Fatalf("%+v %v, output %q", start, ok, out.Bytes)
		}
	})
}
