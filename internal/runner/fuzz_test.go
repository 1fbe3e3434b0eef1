package runner

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostile values are the seed corpus: what would end a quotation, begin a command, or be taken for an option.
var hostile = []string{"", "'", "''", `'\''`, `"`, "\\", "\n", "\r\n", "a'; touch pwned; '", "$(touch pwned)", "`touch pwned`", "${IFS}touch${IFS}pwned", "--flags", "-n", "-",
	"; touch pwned", "| touch pwned", "&& touch pwned", "\nEOF\ntouch pwned\n", "export A='b'", "*", "~", "!!", "#", "%s", "\xff\xfe", "漢字", "\x1b[2J", "a\tb", " ", "$$", "@KEELWAY_ROOT@"}

// FuzzVariablesStayData: whatever a variable holds, a shell that reads the run's file of variables has just that value and runs nothing.
func FuzzVariablesStayData(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		script := Script{Body: "x", Env: map[string]string{"VALUE": value}}
		if script.validate() != nil {
			if !strings.ContainsRune(value, 0) && len(value) <= maxEnvValue {
				t.Fatalf("%q is refused", value)
			}
			return
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "env"), exports(script.Env), 0o600); err != nil {
			t.Fatal(err)
		}
		run := exec.Command("sh", "-euc", `. ./env; printf %s "$VALUE"`)
		run.Dir, run.Env = dir, []string{"PATH=" + os.Getenv("PATH")}
		said, err := run.CombinedOutput()
		if err != nil || string(said) != value {
			t.Errorf("%q arrived as %q: %v", value, said, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%q made the shell do something: %v", value, entries)
		}
	})
}
