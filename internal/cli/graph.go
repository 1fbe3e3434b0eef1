package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/saga"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbGraph() *cobra.Command {
	c := &cobra.Command{
		Use:   "graph WORKFLOW | -f FILE",
		Short: "Draw a workflow's operations and edges, coloured by how they stand",
		Long: `graph draws the operations of a workflow of the cluster, or of one in a file, wave by wave. As dot, mermaid or svg it is meant for
Graphviz, for Markdown pages and for browsers.`,
		Example:           "  keelway graph demo\n  keelway graph -f workflow.yaml -o svg > workflow.svg",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames(kinds[0]),
	}
	files, f := filesFlag(c, "the workflow"), formatFlag(c, "text", "dot", "mermaid", "svg", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) == (len(*files) == 0) {
			return invalid("name a workflow of the cluster, or a file with -f")
		}
		if len(args) > 0 {
			return s.graphOf(cmd.Context(), args[0], f)
		}
		w, err := s.workflowIn(*files)
		if err != nil {
			return err
		}
		return s.graph(w, nil, f)
	}
	return of(kinds[0], c)
}

func (s *session) graphOf(ctx context.Context, name string, f *format) error {
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
		s.note("without colours of the run: %v", err)
	}
	return s.graph(w, ledger, f)
}

// workflowIn reads the one workflow of files.
func (s *session) workflowIn(files []string) (*v1alpha1.BatchWorkflow, error) {
	docs, faults, err := s.documents(files)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		s.say(view.Faults(faults)...)
		return nil, quiet(codeInvalid)
	}
	d, err := sole(docs)
	if err != nil {
		return nil, err
	}
	w := &v1alpha1.BatchWorkflow{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(d.Object, w); err != nil {
		return nil, invalid("%s:%d: %w; keelway validate tells more", d.File, d.Line, err)
	}
	return w, nil
}

// sole is the one workflow of documents.
func sole(docs []*manifest.Document) (*manifest.Document, error) {
	var found []*manifest.Document
	var names []string
	for _, d := range docs {
		if d.Ours() && d.GetKind() == "BatchWorkflow" {
			found, names = append(found, d), append(names, d.GetName())
		}
	}
	switch len(found) {
	case 0:
		return nil, invalid("no BatchWorkflow is in what was given")
	case 1:
		return found[0], nil
	}
	return nil, invalid("%d BatchWorkflows are in what was given, and one is needed: %s", len(found), clip(strings.Join(names, ", "), 200))
}

func (s *session) graph(w *v1alpha1.BatchWorkflow, ledger *saga.Ledger, f *format) error {
	g, err := view.GraphOf(w, ledger)
	if err != nil {
		return invalid("the operations of workflow %s are no graph: %w", w.Name, err)
	}
	if done, err := s.data(f, g); done {
		return err
	}
	switch f.chosen {
	case "dot":
		_, err = fmt.Fprint(s.Out, g.DOT())
	case "mermaid":
		_, err = fmt.Fprint(s.Out, g.Mermaid())
	case "svg":
		_, err = fmt.Fprint(s.Out, g.SVG())
	default:
		return s.print(g.Text()...)
	}
	return err
}
