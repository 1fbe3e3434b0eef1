package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/view"
)

// format is the flag -o, with the words that a verb admits; the first one is what it does without.
type format struct {
	chosen string
	admits []string
	heads  bool
}

// formatFlag adds -o to a verb.
func formatFlag(c *cobra.Command, admits ...string) *format {
	f := &format{admits: admits}
	c.Flags().StringVarP(&f.chosen, "output", "o", admits[0], "how to print: "+strings.Join(admits, "|"))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(admits, cobra.ShellCompDirectiveNoFileComp))
	if slices.Contains(admits, "table") {
		noHeaders := c.Flags().Bool("no-headers", false, "no line of column heads")
		c.PreRunE = func(*cobra.Command, []string) error {
			f.heads = !*noHeaders
			return f.check()
		}
		return f
	}
	c.PreRunE = func(*cobra.Command, []string) error { return f.check() }
	return f
}

func (f *format) check() error {
	if !slices.Contains(f.admits, f.chosen) {
		return invalid("-o %s%s", clip(f.chosen, 40), nearest.Hint(f.chosen, f.admits))
	}
	return nil
}

// whole reports whether objects are wanted with all that is in them.
func (f *format) whole() bool { return f.chosen == "json" || f.chosen == "yaml" }

// data prints a value as JSON or YAML; it reports whether that was wanted.
func (s *session) data(f *format, value any) (bool, error) {
	switch f.chosen {
	case "json":
		text, err := json.MarshalIndent(value, "", "  ")
		if err == nil {
			_, err = fmt.Fprintf(s.Out, "%s\n", text)
		}
		return true, err
	case "yaml":
		text, err := yaml.Marshal(value)
		if err == nil {
			_, err = s.Out.Write(text)
		}
		return true, err
	}
	return false, nil
}

// written prints what was written to the cluster: by name with what was done, as kubectl does, or whole.
func (s *session) written(f *format, objects []*unstructured.Unstructured, what string) error {
	for _, o := range objects {
		unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
	}
	var value any = map[string]any{"apiVersion": "v1", "kind": "List", "items": objects}
	if len(objects) == 1 {
		value = objects[0].Object
	}
	if done, err := s.data(f, value); done {
		return err
	}
	if f.chosen == "name" {
		what = ""
	}
	for _, o := range objects {
		if _, err := fmt.Fprintf(s.Out, "%s%s\n", title(o), what); err != nil {
			return err
		}
	}
	return nil
}

// list prints rows as a table, or by their names.
func (s *session) list(f *format, t view.Table, names []string) error {
	if f.chosen == "name" {
		for _, name := range names {
			if _, err := fmt.Fprintln(s.Out, name); err != nil {
				return err
			}
		}
		return nil
	}
	for _, line := range t.Lines(f.heads) {
		if _, err := fmt.Fprintln(s.Out, line.Draw(s.width(), s.colour(s.Out))); err != nil {
			return err
		}
	}
	return nil
}
