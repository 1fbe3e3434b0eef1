package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExitCodesAreDocumented holds the table of docs/cli.md to the program's.
func TestExitCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| code | meaning |\n|---|---|\n")
	want := ""
	for _, c := range Codes() {
		want += fmt.Sprintf("| %d | %s |\n", c.Code, c.Meaning)
	}
	if !found || table != want {
		t.Errorf("docs/cli.md ends with\n%s\nwant\n%s", table, want)
	}
}

// TestEveryVerbIsExplained: help, an example where there are arguments, a page of the reference, and a place in docs/cli.md.
func TestEveryVerbIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	root := Root()
	for _, c := range root.Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.Short == "" || c.GroupID == "" {
			t.Errorf("%s has no help, or no group", c.Name())
		}
		if !strings.Contains(string(page), "`"+c.Name()) {
			t.Errorf("docs/cli.md does not mention `%s`", c.Name())
		}
		explained(t, c)
	}
}

func explained(t *testing.T, c *cobra.Command) {
	t.Helper()
	file := "../../docs/cli/" + strings.ReplaceAll(c.CommandPath(), " ", "_") + ".md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%s has no page: run make generate", c.CommandPath())
	} else if !strings.Contains(string(text), c.Short) {
		t.Errorf("%s is stale: run make generate", file)
	}
	for _, sub := range c.Commands() {
		explained(t, sub)
	}
}
