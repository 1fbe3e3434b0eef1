package cli

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbLogs() *cobra.Command {
	c := &cobra.Command{
		Use:   "logs run/NAME | taskservice/NAME",
		Short: "Print what a run, or a service's script, printed last on the machine",
		Long: `logs prints the end of the output (4 KiB) of a Run, or of the script of a TaskService that is under way or failed on each server. What has
ended stands in the object's status; what runs is asked of the machine. Values of Secrets are hidden.`,
		Example: "  keelway logs run/demo-check-0-q1w2e3\n  keelway logs taskservice/etcd --server db-1",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: s.completeObjects("run", "taskservice"),
	}
	server := c.Flags().String("server", "", "only of this server (TaskService)")
	_ = c.RegisterFlagCompletionFunc("server", s.completeServersOf)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		k, name, err := named(args[0], mustKind("run"))
		if err != nil {
			return err
		}
		cl, err := s.connect()
		if err != nil {
			return err
		}
		switch k.Kind {
		case "Run":
			return s.logsOfRun(cmd.Context(), cl, name)
		case "TaskService":
			return s.logsOfService(cmd.Context(), cl, name, *server)
		}
		return invalid("a %s prints nothing: name a run or a taskservice, such as taskservice/NAME", k.Kind)
	}
	return c
}

func (s *session) logsOfRun(ctx context.Context, c *cluster, name string) error {
	r := &v1alpha1.Run{}
	if err := c.get(ctx, mustKind("run"), name, r); err != nil {
		return err
	}
	switch {
	case r.Status.Phase == v1alpha1.RunRunning && r.Status.ID != "" && r.Spec.Target != nil:
		return s.on(ctx, c, r.Spec.Target.ServerRef.Name, func(ctx context.Context, tr transport.Transport) error {
			status, err := runner.Poll(ctx, tr, r.Status.ID)
			if err != nil {
				return err
			}
			s.note("Run %s is %s", name, strings.ToLower(string(status.State)))
			return s.text(status.Tail)
		})
	case r.Status.Tail == "":
		s.note("Run %s has printed nothing: %s", name, message(r))
		return nil
	}
	return s.text(r.Status.Tail)
}

// text prints what a machine printed, without what could speak to the terminal.
func (s *session) text(text string) error {
	for line := range strings.Lines(text) {
		if err := s.print(view.Line{view.Plain.Of(strings.TrimRight(line, "\n"))}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) logsOfService(ctx context.Context, c *cluster, name, only string) error {
	t := &v1alpha1.TaskService{}
	if err := c.get(ctx, mustKind("taskservice"), name, t); err != nil {
		return err
	}
	if only != "" {
		if err := carries(t, []string{only}); err != nil {
			return err
		}
	}
	hidden, err := c.secretsOf(ctx, t)
	if err != nil {
		return err
	}
	for _, on := range t.Status.Servers {
		if only != "" && on.Name != only {
			continue
		}
		if on.Run == "" {
			s.note("%s: no script is under way; %s", on.Name, strings.TrimSuffix(strings.ToLower(string(on.Phase))+": "+on.Message, ": "))
			continue
		}
		err := s.on(ctx, c, on.Name, func(ctx context.Context, tr transport.Transport) error {
			status, err := runner.Poll(ctx, tr, on.Run, hidden...)
			if err != nil {
				return err
			}
			s.note("%s: run %s is %s", on.Name, on.Run, strings.ToLower(string(status.State)))
			return s.text(status.Tail)
		})
		if errors.Is(err, syscall.EPIPE) {
			return err
		}
		if err != nil { // the others may answer
			s.say(view.Line{view.Yellow.Of(on.Name + ": "), view.Plain.Of(explain(err).Error())})
		}
	}
	return nil
}
