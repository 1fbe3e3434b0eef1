package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named are the tests that a page names: `directory.TestName`, `directory.TestName/part`, or `directory "words of a spec"`.
var (
	namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z]+)(?:/([^`]+))?`")
	namedSpec = regexp.MustCompile("`([a-z0-9/]+) (\"[^`]+\")`")
)

// TestRulesNameTheirTests: what workflows.md says about its tests is so, and no rule stands without one.
func TestRulesNameTheirTests(t *testing.T) {
	page, found := read(t, "workflows.md"), 0
	sources := map[string]string{}
	source := func(directory string) string {
		if text, ok := sources[directory]; ok {
			return text
		}
		files, _ := filepath.Glob(filepath.Join(root, filepath.FromSlash(directory), "*_test.go"))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources[directory] += string(text)
		}
		return sources[directory]
	}
	for _, m := range namedTest.FindAllStringSubmatch(page, -1) {
		found++
		_, body, ok := strings.Cut(source(m[1]), "\nfunc "+m[2]+"(")
		body, _, _ = strings.Cut(body, "\n}\n")
		if !ok {
			t.Errorf("%s has no test %s", m[1], m[2])
		} else if m[3] != "" && !strings.Contains(body, `"`+m[3]+`"`) {
			t.Errorf("%s.%s has no part %q", m[1], m[2], m[3])
		}
	}
	for _, m := range namedSpec.FindAllStringSubmatch(page, -1) {
		found++
		if !strings.Contains(source(m[1]), "("+m[2]) {
			t.Errorf("%s has no spec %s", m[1], m[2])
		}
	}
	_, rules, _ := strings.Cut(page, "\n## Rules and their tests\n")
	if found < 70 || strings.Count(rules, "\n| ") < 70 {
		t.Errorf("%d tests were found: the search is broken", found)
	}
	for _, line := range strings.Split(rules, "\n") {
		if strings.HasPrefix(line, "| ") && !namedTest.MatchString(line) && !namedSpec.MatchString(line) && !strings.HasPrefix(line, "| rule") {
			t.Errorf("a rule without a test: %s", line)
		}
	}
}
