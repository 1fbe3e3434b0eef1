package runner_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport/script"
)

func TestHostileValuesArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var everyByte []byte
	for b := 1; b < 256; b++ {
		everyByte = append(everyByte, byte(b))
	}
	values := []string{
		"", "'", "''", `'\''`, "a'; touch \"$KEELWAY_ROOT/pwned\"; '", "$(touch $KEELWAY_ROOT/pwned)", "`touch $KEELWAY_ROOT/pwned`", "\n'\n",
		"line\nEOF\nline", "--", "-n", "a=b", "\\", "trailing\n", "漢字 🙂", string(everyByte), strings.Repeat("x", 90<<10),
	}
	env, files := map[string]string{}, map[string][]byte{}
	for i, value := range values {
		env[fmt.Sprintf("V%d", i)] = value
		files[fmt.Sprintf("f%d", i)] = []byte(value)
	}
	files["-rf"], files["nul"] = []byte("a file like an option"), []byte("a\x00b")
	got := m.run(t, "r1", runner.Script{
		Body: `i=0; while [ "$i" -lt ` + fmt.Sprint(len(values)) + ` ]; do
			eval "printf %s \"\$V$i\"" >"$KEELWAY_ROOT/v$i"; cp "inputs/f$i" "$KEELWAY_ROOT/f$i"; i=$((i+1)); done; cp inputs/nul "$KEELWAY_ROOT/nul"`,
		Env: env, Files: files,
	})
	if got.Code != 0 || got.Tail != "" {
		t.Fatalf("got %+v", got)
	}
	for i, value := range values {
		for _, name := range []string{fmt.Sprintf("v%d", i), fmt.Sprintf("f%d", i)} {
			if diff := cmp.Diff(value, m.read(t, name)); diff != "" {
				t.Errorf("%s changed on the way (-sent +got):\n%s", name, diff)
			}
		}
	}
	if m.read(t, "nul") != "a\x00b" {
		t.Error("a NUL byte in a file was lost")
	}
	if m.exists("pwned") {
		t.Error("a value was run as a command")
	}
}

func TestScriptsThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		script runner.Script
		says   string
	}{
		"no body":         {"nothing to run", runner.Script{Body: " \n"}, "empty"},
		"huge body":       {"bounded", runner.Script{Body: strings.Repeat("x", 2<<20)}, "script"},
		"bad name":        {"it would be run as shell", runner.Script{Body: "true", Env: map[string]string{"A;id": "secret-value"}}, "A;id"},
		"NUL value":       {"no process can have it", runner.Script{Body: "true", Env: map[string]string{"A": "secret-value\x00"}}, "A"},
		"reserved name":   {"a daemon would not be found on deletion", runner.Script{Body: "true", Env: map[string]string{"KEELWAY_SERVER": "x"}}, "KEELWAY_SERVER"},
		"huge value":      {"the kernel refuses it", runner.Script{Body: "true", Env: map[string]string{"A": strings.Repeat("x", 100<<10)}}, "A"},
		"path as name":    {"it would leave the directory", runner.Script{Body: "true", Files: map[string][]byte{"../env": nil}}, "../env"},
		"hidden name":     {"..", runner.Script{Body: "true", Files: map[string][]byte{".ssh": nil}}, ".ssh"},
		"empty name":      {"no file", runner.Script{Body: "true", Files: map[string][]byte{"": nil}}, `""`},
		"huge files":      {"bounded", runner.Script{Body: "true", Files: map[string][]byte{"a": make([]byte, 17<<20)}}, "bytes"},
		"too many values": {"bounded", runner.Script{Body: "true", Env: numbered(300)}, "300"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tr := script.New(script.Rules())
			err := runner.Start(t.Context(), tr, "r1", tc.script)
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v, want Terminal/Invalid that says %q: %s", err, tc.says, tc.reason)
			}
			if strings.Contains(err.Error(), "secret-value") || len(err.Error()) > 400 || len(tr.Calls()) > 0 {
				t.Fatalf("the message shows a value or is long, or the machine was called: %v", err)
			}
		})
	}
}

func numbered(n int) map[string]string {
	env := map[string]string{}
	for i := range n {
		env[fmt.Sprintf("V%d", i)] = ""
	}
	return env
}

func TestOutputIsBoundedOnTheMachine(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	const most = 3 << 20
	largest := int64(0)
	m.start(t, "r1", runner.Script{Body: `yes "0123456789 0123456789" | head -c 50000000; head -c 1000000 /dev/zero; printf '\nthe end\n' >&2; exit 4`})
	var got runner.Status
	eventually(t, "the talkative run ends", func() bool {
		got = m.poll(t, "r1")
		largest = max(largest, diskUse(m.path("r1")))
		return got.State == runner.Exited
	})
	largest = max(largest, diskUse(m.path("r1")))
	if got.Code != 4 || !strings.HasSuffix(got.Tail, "\nthe end\n") || len(got.Tail) > runner.MaxTail || !utf8.ValidString(got.Tail) {
		t.Fatalf("code %d, %d bytes of tail: …%q", got.Code, len(got.Tail), got.Tail[max(0, len(got.Tail)-40):])
	}
	if largest > most {
		t.Fatalf("the run took %d bytes of the disk, more than %d", largest, most)
	}
	t.Logf("50 MB were printed; the disk never held more than %d bytes of it", largest)
}

func diskUse(directory string) (total int64) {
	entries, _ := filepath.Glob(filepath.Join(directory, "*"))
	for _, entry := range entries {
		if info, err := os.Lstat(entry); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return total
}

const canary = "canary-5f0c1e'9d \"$x"

func TestCanaryIsNowhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.start(t, "r1", runner.Script{
		Body:   `set -x; echo "$PASSWORD"; cat inputs/password >&2; printf %s "$PASSWORD" >"$KEELWAY_ROOT/kept"; echo "p=$PASSWORD" >>outputs; until [ -e "$KEELWAY_ROOT/go" ]; do sleep 0.02; done; printf %.12s "$PASSWORD"`,
		Env:    map[string]string{"PASSWORD": canary},
		Files:  map[string][]byte{"password": []byte(canary)},
		Redact: []string{canary},
	})
	for i := range 40 {
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range commands {
			if text, _ := os.ReadFile(name); bytes.Contains(text, []byte("canary-5f0c1e")) {
				t.Fatalf("the canary is in %s: %q", name, text)
			}
		}
		if i == 30 {
			if err := os.WriteFile(filepath.Join(m.root, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.poll(t, "r1", canary); strings.Contains(got.Tail, "canary") {
			t.Fatalf("the canary is in the tail: %q", got.Tail)
		}
	}
	got := m.await(t, "r1", runner.Exited, canary)
	if !strings.Contains(got.Tail, "[redacted]") || strings.Contains(got.Tail, "canary") {
		t.Errorf("tail %q", got.Tail)
	}
	if got.Outputs["p"] != "[redacted]" {
		t.Errorf("outputs %q", got.Outputs)
	}
	if m.read(t, "kept") != canary {
		t.Error("the script never saw the canary: the test did not test")
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cases := map[string]struct {
		reason, body string
		want         map[string]string
		tail         string
	}{
		"values keep their =":  {"only the first one separates", `echo 'a=b=c' >outputs`, map[string]string{"a": "b=c"}, ""},
		"the last one wins":    {"as in a shell", `printf 'a=1\na=2\n' >outputs`, map[string]string{"a": "2"}, ""},
		"no newline at end":    {"printf is usual", `printf 'a=1' >outputs; printf out`, map[string]string{"a": "1"}, "out"},
		"a value says tail":    {"it must not end the answer", `printf 'a=1\ntail\n' >outputs`, map[string]string{"a": "1"}, "keelway: outputs from line 2 on are left out: it is not key=value\n"},
		"none":                 {"most scripts have none", `: >outputs`, nil, ""},
		"too much is told":     {"bounded, never in silence", `printf 'a=1\nb=' >outputs; head -c 9999 /dev/zero | tr '\0' x >>outputs; echo hi`, map[string]string{"a": "1"}, "hi\nkeelway: outputs from line 2 on are beyond 4096 bytes and left out\n"},
		"invalid text":         {"status is UTF-8", `printf 'a=\377b\n' >outputs; printf 'x\377y'`, map[string]string{"a": "\uFFFDb"}, "x\uFFFDy"},
		"a directory for once": {"a script may do anything", `mkdir outputs`, nil, ""},
	}
	i := 0
	for name, tc := range cases {
		i++
		id := fmt.Sprintf("r%d", i)
		t.Run(name, func(t *testing.T) {
			got := m.run(t, id, runner.Script{Body: tc.body})
			if diff := cmp.Diff(tc.want, got.Outputs); diff != "" || got.Tail != tc.tail {
				t.Fatalf("%s: tail %q, outputs (-want +got):\n%s", tc.reason, got.Tail, diff)
			}
		})
	}
}
