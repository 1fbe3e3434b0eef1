package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (s *session) verbDescribe() *cobra.Command {
	c := &cobra.Command{
		Use:   "describe WORKFLOW",
		Short: "Tell how a workflow stands, and why something failed",
		Long: `describe shows a workflow's tree and, for what failed or is tried again, the way down to the root cause: the operation, the object that
does its work, the server, and the last lines of the machine's output.`,
		Example:           "  keelway describe demo",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeNames(kinds[0]),
	}
	f := formatFlag(c, "text", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, args []string) error { return s.describe(cmd.Context(), args[0], f) }
	return of(kinds[0], c)
}

func (s *session) describe(ctx context.Context, name string, f *format) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	if _, err := c.workflow(ctx, name); err != nil {
		return err
	}
	snapshot, err := c.look(ctx, name)
	if err != nil || snapshot.Workflow == nil {
		return err
	}
	if done, err := s.data(f, snapshot.Account()); done {
		return err
	}
	return s.print(snapshot.Describe(s.now(), s.width())...)
}
