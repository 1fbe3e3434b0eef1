package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/internal/transport"
)

// maxExecOutput bounds what is kept of each output of a command.
const maxExecOutput = 16 << 20

func (s *session) verbExec() *cobra.Command {
	c := &cobra.Command{
		Use:   "exec SERVER -- COMMAND [ARG...]",
		Short: "Run one command on a server, and end with its code",
		Long: `exec runs a command on the machine of a Server, the way the operator does: over SSH with the pinned host keys and the key in the Secret
(if you may read it), or in the container or directory that the machine is. Arguments reach it as they are: no shell reads them.
It prints what the command printed once that has ended (up to 16 MiB), and ends with the command's code.`,
		Example: "  keelway exec web-1 -- systemctl is-active etcd\n  echo hello | keelway exec web-1 -i -- cat",
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: s.completeNames(mustKind("server")),
	}
	input := c.Flags().BoolP("stdin", "i", false, "hand standard input to the command, up to 16 MiB")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.ArgsLenAtDash() != 1 {
			return invalid("write the command behind two dashes: %s exec %s -- COMMAND", s.name, clip(args[0], 60))
		}
		command := transport.Command{Argv: args[1:], OutputLimit: maxExecOutput}
		if *input {
			text, err := io.ReadAll(io.LimitReader(s.In, maxExecOutput))
			if err != nil {
				return failed(codeFailed, "", "reading standard input: %w", err)
			}
			command.Stdin = text
		}
		return s.exec(cmd.Context(), args[0], command)
	}
	return of(mustKind("server"), c)
}

func (s *session) exec(ctx context.Context, server string, command transport.Command) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	return s.on(ctx, c, server, func(ctx context.Context, tr transport.Transport) error {
		result, err := tr.Exec(ctx, command)
		if err != nil {
			return err
		}
		if _, err := s.Out.Write(result.Stdout); err != nil {
			return err
		}
		_, _ = s.Err.Write(result.Stderr)
		if result.Truncated {
			s.note("more was printed than is kept")
		}
		if result.Exit != 0 {
			return quiet(result.Exit)
		}
		return nil
	})
}
