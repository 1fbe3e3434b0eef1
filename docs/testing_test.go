package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	declared  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	mentioned = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
)

// TestNamedTestsExist: testing.md names tests that there are.
func TestNamedTestsExist(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			there[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, name := range mentioned.FindAllString(read(t, filepath.Join(root, "docs", "testing.md")), -1) {
		if named++; !there[name] && name != "TestReal" {
			t.Errorf("docs/testing.md names %s, and there is no such test", name)
		}
	}
	if named < 20 {
		t.Errorf("%d tests are named: the search is broken", named)
	}
}
