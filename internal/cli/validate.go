package cli

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbValidate() *cobra.Command {
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check files without a cluster: every fault at once, with its line",
		Long: `validate reads files as the API server and the operator would: the schema and the rules of the kinds, then the operator's own
code with the built-in recipes. It needs no cluster. Every fault is told at once, as file:line: field: what is wrong.
Objects of other kinds are not looked at.`,
		Example: "  keelway validate -f workflow.yaml\n  keelway validate -f deploy/ -o json",
		Args:    cobra.NoArgs,
	}
	files, f := filesFlag(c, "what to check"), formatFlag(c, "text", "json", "yaml")
	c.RunE = func(*cobra.Command, []string) error {
		docs, faults, err := s.judge(*files)
		if err != nil {
			return err
		}
		if done, err := s.data(f, struct {
			Objects int              `json:"objects"`
			Faults  []manifest.Fault `json:"faults"`
		}{len(docs), append([]manifest.Fault{}, faults...)}); done {
			return ending(err, faults)
		}
		if len(faults) == 0 {
			return s.print(view.Line{view.Green.Of("✔ "), view.Plain.Of(counted(len(docs), "object") + ", no fault")})
		}
		return ending(s.print(view.Faults(faults)...), faults)
	}
	return c
}

// judge reads files and hears everything that is wrong with them.
func (s *session) judge(files []string) ([]*manifest.Document, []manifest.Fault, error) {
	docs, faults, err := s.documents(files)
	if err != nil {
		return nil, nil, err
	}
	recipes, err := catalog.Builtin()
	if err != nil {
		return nil, nil, err
	}
	found, err := manifest.Validate(docs, recipes)
	if err == nil && len(docs)+len(faults) == 0 {
		err = invalid("no object is in what was given")
	}
	return docs, append(faults, found...), err
}

// ending is the end of a verb that told faults as its answer. The code is an answer, too: also for somebody who has stopped reading.
func ending(err error, faults []manifest.Fault) error {
	if len(faults) > 0 && (err == nil || errors.Is(err, syscall.EPIPE)) {
		return quiet(codeInvalid)
	}
	return err
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
