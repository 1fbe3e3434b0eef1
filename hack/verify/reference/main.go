// Command reference writes the command line's reference (docs/cli) and manual pages (docs/cli/man) from the program's own help. It must
// not say anything that the program does not.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/keelway/keelway/internal/cli"
)

const dir = "docs/cli"

func main() {
	if err := write(cli.Root()); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write(root *cobra.Command) error {
	for _, sub := range []string{dir, filepath.Join(dir, "man")} {
		old, err := filepath.Glob(filepath.Join(sub, "keelway*"))
		if err != nil {
			return err
		}
		for _, file := range old { // a verb that is gone leaves no page
			if err := os.Remove(file); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
	}
	root.DisableAutoGenTag = true // the same program gives the same pages
	root.InitDefaultCompletionCmd()
	unhome(root)
	if err := doc.GenMarkdownTree(root, dir); err != nil {
		return err
	}
	never := time.Unix(0, 0).UTC()
	return doc.GenManTree(root, &doc.GenManHeader{Title: "KEELWAY", Section: "1", Source: "Keelway", Manual: "Keelway", Date: &never}, filepath.Join(dir, "man"))
}

// unhome takes the home of whoever runs this out of the defaults.
func unhome(root *cobra.Command) {
	if f := root.PersistentFlags().Lookup("cache-dir"); f != nil {
		f.DefValue = "$HOME/.kube/cache"
	}
}
