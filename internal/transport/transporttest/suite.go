package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// Run is the whole suite, for a transport that runs POSIX commands on a Linux machine. It includes Contract.
func Run(t *testing.T, open Open) {
	Contract(t, open)
	t.Run("exit codes", func(t *testing.T) { exitCodes(t, opened(t, open)) })
	t.Run("arguments arrive as they are", func(t *testing.T) { arguments(t, opened(t, open)) })
	t.Run("values arrive as they are", func(t *testing.T) { values(t, opened(t, open)) })
	t.Run("a megabyte of input", func(t *testing.T) { input(t, opened(t, open)) })
	t.Run("input that nobody reads", func(t *testing.T) {
		want(t, run(t, opened(t, open), transport.Command{Argv: []string{"true"}, Stdin: make([]byte, 1<<20)}), 0, "", "")
	})
	t.Run("no input is an empty one", func(t *testing.T) {
		want(t, run(t, opened(t, open), transport.Command{Argv: []string{"cat"}}), 0, "", "")
	})
	t.Run("streams stay apart", func(t *testing.T) {
		want(t, sh(t, opened(t, open), "echo out; echo err >&2; exit 3"), 3, "out\n", "err\n")
	})
	t.Run("output is cut and drained", func(t *testing.T) { cutAndDrained(t, opened(t, open)) })
	t.Run("the context's end ends the whole group", func(t *testing.T) { endsGroup(t, opened(t, open)) })
	t.Run("a daemon left behind does not block", func(t *testing.T) { daemon(t, opened(t, open)) })
	t.Run("a missing program is an error", func(t *testing.T) {
		_, err := opened(t, open).Exec(t.Context(), transport.Command{Argv: []string{"keelway-no-such-program"}})
		if !fault.IsTerminal(err) {
			t.Fatalf("got %v, want Terminal: it could not be run, and repeating does not install it", err)
		}
	})
	t.Run("32 commands keep their own output", func(t *testing.T) { apart(t, opened(t, open)) })
}

func run(t *testing.T, tr transport.Transport, cmd transport.Command) transport.Result {
	t.Helper()
	result, err := tr.Exec(t.Context(), cmd)
	if err != nil {
		t.Fatalf("running %q: %v", cmd.Argv, err)
	}
	return result
}

func sh(t *testing.T, tr transport.Transport, script string, args ...string) transport.Result {
	t.Helper()
	return run(t, tr, transport.Command{Argv: append([]string{"sh", "-c", script, "sh"}, args...)})
}

func want(t *testing.T, got transport.Result, exit int, stdout, stderr string) {
	t.Helper()
	if got.Exit != exit || string(got.Stdout) != stdout || string(got.Stderr) != stderr {
		t.Fatalf("got exit %d, stdout %q, stderr %q; want %d, %q, %q", got.Exit, got.Stdout, got.Stderr, exit, stdout, stderr)
	}
}

func exitCodes(t *testing.T, tr transport.Transport) {
	for script, code := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 126": 126, "exit 255": 255,
		"kill -s KILL $$": 137, "kill -s TERM $$": 143,
	} {
		if got := sh(t, tr, script); got.Exit != code {
			t.Errorf("%q: exit %d, want %d", script, got.Exit, code)
		}
	}
}

// hostile is text that somebody's quoting has broken on before.
var hostile = []string{
	"", " ", "two  words", "tab\there", "line\nbreak\n", "\r\n", `'single'`, `"double"`, "`id`", "$(id)", "${HOME}", "$HOME", "a;b", "a|b",
	"a && b", "> out", "*", "~", "!", "#", "--flag=value", "-n", `back\slash`, `trailing\`, "æøå 漢字 🙂", "%s%n", "\x01\x7f\x1b[31m", "\xff\xfe",
	strings.Repeat("long ", 4096),
}

func arguments(t *testing.T, tr transport.Transport) {
	got := sh(t, tr, `for a; do printf '<%s>' "$a"; done`, hostile...)
	unchanged(t, "<"+strings.Join(hostile, "><")+">", string(got.Stdout))
	if got.Exit != 0 || len(got.Stderr) > 0 {
		t.Fatalf("exit %d, stderr %q", got.Exit, got.Stderr)
	}
}

func values(t *testing.T, tr transport.Transport) {
	env := map[string]string{}
	var script, expected strings.Builder
	for i, value := range hostile {
		name := fmt.Sprintf("TEST_VALUE_%d", i)
		env[name] = value
		fmt.Fprintf(&script, "printf '<%%s>' \"$%s\"\n", name)
		expected.WriteString("<" + value + ">")
	}
	got := run(t, tr, transport.Command{Argv: []string{"sh", "-c", script.String()}, Env: env})
	unchanged(t, expected.String(), string(got.Stdout))
}

// unchanged shows where two long texts part.
func unchanged(t *testing.T, sent, got string) {
	t.Helper()
	at := 0
	for at < min(len(sent), len(got)) && sent[at] == got[at] {
		at++
	}
	if sent != got {
		t.Fatalf("changed on the way at byte %d: sent …%.40q, got …%.40q", at, sent[at:], got[at:])
	}
}

func input(t *testing.T, tr transport.Transport) {
	sent := bytes.Repeat([]byte("0123456789\x00\xff\n'\"$"), 1<<16)
	got := run(t, tr, transport.Command{Argv: []string{"cat"}, Stdin: sent, OutputLimit: 2 << 20})
	if !bytes.Equal(got.Stdout, sent) || got.Truncated {
		t.Fatalf("sent %d bytes, got %d back (truncated %v)", len(sent), len(got.Stdout), got.Truncated)
	}
}

func cutAndDrained(t *testing.T, tr transport.Transport) {
	const script = `head -c 4000000 /dev/zero | tr '\0' x; head -c 4000000 /dev/zero | tr '\0' y >&2; exit 7`
	got := run(t, tr, transport.Command{Argv: []string{"sh", "-c", script}, OutputLimit: 1000})
	want(t, got, 7, strings.Repeat("x", 1000), strings.Repeat("y", 1000))
	if !got.Truncated {
		t.Fatal("truncated is not told")
	}
	got = sh(t, tr, "head -c 1000000 /dev/zero")
	if len(got.Stdout) != transport.DefaultOutputLimit || !got.Truncated {
		t.Fatalf("got %d bytes, want the default limit", len(got.Stdout))
	}
	got = run(t, tr, transport.Command{Argv: []string{"printf", "1234"}, OutputLimit: 4})
	if got.Truncated {
		t.Fatal("output of just the limit is not truncated")
	}
}

// endsGroup needs two processes that ignore polite signals and would otherwise live for a minute.
func endsGroup(t *testing.T, tr transport.Transport) {
	mark := fmt.Sprintf("%d.%d", 60+time.Now().UnixNano()%1000, time.Now().UnixNano())
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := tr.Exec(ctx, transport.Command{Argv: []string{"sh", "-c", `trap '' TERM HUP INT; sleep "$1" & sleep "$1"`, "sh", mark}})
		failed <- err
	}()
	eventually(t, "both processes run", func() bool { return count(t, tr, mark) == 2 })
	cancel()
	if err := <-failed; fault.ClassOf(err) != fault.Unknown {
		t.Fatalf("got %v, want Unknown: the command had started", err)
	}
	eventually(t, "both processes are gone", func() bool { return count(t, tr, mark) == 0 })
}

// count tells how many processes of the machine are "sleep <mark>".
func count(t *testing.T, tr transport.Transport, mark string) int {
	t.Helper()
	const script = `n=0; for f in /proc/[0-9]*/cmdline; do
		case $(tr '\0' ' ' <"$f" 2>/dev/null) in "sleep $1 ") n=$((n+1)) ;; esac; done 2>/dev/null; echo "$n"`
	n := 0
	if _, err := fmt.Sscan(string(sh(t, tr, script, mark).Stdout), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func daemon(t *testing.T, tr transport.Transport) {
	got := sh(t, tr, `setsid sleep 600 & echo $!`)
	pid := strings.TrimSpace(string(got.Stdout))
	t.Cleanup(func() {
		_, _ = tr.Exec(context.Background(), transport.Command{Argv: []string{"kill", "-s", "KILL", pid}})
	})
	if got.Exit != 0 || pid == "" {
		t.Fatalf("exit %d, stdout %q", got.Exit, got.Stdout)
	}
	if alive := sh(t, tr, `kill -s 0 "$1"`, pid); alive.Exit != 0 {
		t.Fatalf("the daemon ended with the command that left it: %s", alive.Stderr)
	}
}

func apart(t *testing.T, tr transport.Transport) {
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			text := strings.Repeat(fmt.Sprintf("%d,", i), 1000)
			got, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"cat"}, Stdin: []byte(text)})
			if err != nil || string(got.Stdout) != text {
				t.Errorf("command %d: %d bytes, %v", i, len(got.Stdout), err)
			}
		})
	}
	group.Wait()
}

// eventually polls for at most 30 s.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 600 {
		if holds() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
