package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/convert"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbConvert() *cobra.Command {
	c := &cobra.Command{
		Use:   "convert -f FILE",
		Short: "Turn a workflow of the older form (JSON or TOML) into a BatchWorkflow",
		Long: `convert reads a batch_workflow of the older form, as nickel export prints it or in TOML, and writes a BatchWorkflow in YAML.
Unknown fields are refused by name with their path. What has no counterpart is said in a comment, and what is still missing is
told on standard error.`,
		Example: "  keelway convert -f old.json > workflow.yaml\n  nickel export old.ncl | keelway convert -f -",
		Args:    cobra.NoArgs,
	}
	files := c.Flags().StringP("filename", "f", "", "the older workflow; - for standard input")
	_ = c.MarkFlagFilename("filename", "json", "toml")
	c.RunE = func(*cobra.Command, []string) error {
		if *files == "" {
			return invalid("no file: name one with -f, or - for standard input")
		}
		sources, err := s.sources([]string{*files})
		if err != nil {
			return err
		}
		src := sources[0]
		result, err := convert.Convert(src.text)
		if err != nil {
			return failed(codeInvalid, "", "%s cannot be converted:\n%w", src.name, err)
		}
		if _, err := s.Out.Write(result.YAML); err != nil {
			return err
		}
		return s.tellConversion(result)
	}
	return c
}

// tellConversion says what a person has to look at.
func (s *session) tellConversion(result convert.Result) error {
	for _, note := range result.Notes {
		s.say(view.Line{view.Yellow.Of("note: "), view.Plain.Of(note)})
	}
	recipes, err := catalog.Builtin()
	if err != nil {
		return err
	}
	docs, faults := manifest.Read("the result", result.YAML)
	found, err := manifest.Validate(docs, recipes)
	if err != nil {
		return err
	}
	for _, f := range append(faults, found...) {
		s.say(view.Line{view.Yellow.Of("still to do: "), view.Plain.Of(strings.Replace(f.Error(), "the result:", "line ", 1))})
	}
	return nil
}
