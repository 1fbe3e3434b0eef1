package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/saga"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbOps() *cobra.Command {
	c := &cobra.Command{
		Use:   "ops WORKFLOW [OPERATION...]",
		Short: "List every operation instance, as the ledger knows it",
		Long: `ops decodes a workflow's ledger (its Checkpoint) and lists every instance: phase, attempt, times, reason, and the object that does the
work. The workflow's own status lists 64 at most; the ledger holds them all.`,
		Example:           "  keelway ops demo\n  keelway ops demo servers --phase Failed,Retrying -o wide\n  keelway ops demo -o json | jq .",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: s.completeOperations,
	}
	phases := c.Flags().StringSlice("phase", nil, "only instances in these phases")
	_ = c.RegisterFlagCompletionFunc("phase", cobra.FixedCompletions(phaseNames(), noFiles))
	f := formatFlag(c, "table", "wide", "json", "yaml", "name")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		choice := view.Choice{Phases: map[string]bool{}, Operations: map[string]bool{}}
		for _, phase := range *phases {
			known := slices.IndexFunc(phaseNames(), func(name string) bool { return strings.EqualFold(name, phase) })
			if known < 0 {
				return invalid("--phase %s%s", clip(phase, 40), nearest.Hint(phase, phaseNames()))
			}
			choice.Phases[phaseNames()[known]] = true
		}
		for _, operation := range args[1:] {
			choice.Operations[operation] = true
		}
		return s.ops(cmd.Context(), args[0], choice, f)
	}
	return of(kinds[0], c)
}

func phaseNames() (names []string) {
	for p := range saga.NumPhases {
		names = append(names, p.String())
	}
	return append(names, view.PhaseAwaiting)
}

func (s *session) ops(ctx context.Context, name string, choice view.Choice, f *format) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	w, err := c.workflow(ctx, name)
	if err != nil {
		return err
	}
	ledger, err := c.ledger(ctx, name)
	if err != nil {
		return err
	}
	if ledger == nil {
		s.note("workflow %s has not begun: there is no ledger yet", name)
		return nil
	}
	for operation := range choice.Operations {
		if ledger.Find(operation) < 0 {
			var names []string
			for k := range ledger.Ops {
				names = append(names, ledger.Ops[k].Name)
			}
			return failed(codeFailed, "", "workflow %s has no operation %q%s", name, clip(operation, 60), nearest.Hint(operation, names))
		}
	}
	all := view.Instances(w, ledger, choice)
	switch f.chosen {
	case "json", "yaml", "name":
		return s.instances(f, all)
	}
	n, err := view.WriteInstances(s.Out, ledger, all, s.now(), f.chosen == "wide", f.heads)
	if err == nil && n == 0 {
		s.note("none of the %d instances is like that", ledger.N())
	}
	return err
}

// instances writes one after the other, so that 100,000 need no memory.
func (s *session) instances(f *format, all iter.Seq[view.Instance]) (err error) {
	w := bufio.NewWriter(s.Out)
	open, between, end := "", "", ""
	write := func(one view.Instance) ([]byte, error) { return []byte(one.Operation + "/" + one.Key + "\n"), nil }
	switch f.chosen {
	case "json":
		open, between, end = "[\n", ",\n", "\n]\n"
		write = func(one view.Instance) ([]byte, error) { return json.Marshal(one) }
	case "yaml":
		if err := yamlInstances(w, all); err != nil {
			return err
		}
		return w.Flush()
	}
	fmt.Fprint(w, open)
	first := true
	for one := range all {
		text, err := write(one)
		if err != nil {
			return err
		}
		if !first {
			text = append([]byte(between), text...)
		}
		first = false
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	fmt.Fprint(w, end)
	return w.Flush()
}

// chunk is how many instances are made YAML at once: each time costs as much as many of them.
const chunk = 500

// yamlInstances writes a list in parts, which YAML allows: 100,000 instances need no memory, and no encoding by way of JSON.
func yamlInstances(w io.Writer, all iter.Seq[view.Instance]) error {
	part, parts := make([]view.Instance, 0, chunk), 0
	flush := func() error {
		text, err := yaml.Marshal(part)
		if err == nil {
			_, err = w.Write(text)
		}
		part, parts = part[:0], parts+1
		return err
	}
	for one := range all {
		if part = append(part, one); len(part) == chunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(part) > 0 || parts == 0 {
		return flush()
	}
	return nil
}
