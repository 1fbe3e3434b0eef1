package cli

import (
	"context"
	"errors"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/app"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/view"
)

func (s *session) verbPlan() *cobra.Command {
	c := &cobra.Command{
		Use:   "plan WORKFLOW | -f FILE",
		Short: "Say what a run would do, by reading alone; ends with 2 when there are changes",
		Long: `plan says what would happen if the workflow in a file were applied, or what the run of one in the cluster would do: per child what is
made (+), changed (~), replaced (∓), deleted (-), adopted (←), left (○) or as it is (·), which fields change, what cannot be undone, what it
costs, and in which order. It changes nothing. It ends with 0 when there is nothing to do, and with 2 when there is.`,
		Example:           "  keelway plan -f workflow.yaml\n  keelway plan release -o json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeNames(kinds[0]),
	}
	files, f := filesFlag(c, "the workflow"), formatFlag(c, "text", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) == (len(*files) == 0) {
			return invalid("name a workflow of the cluster, or a file with -f")
		}
		cl, err := s.connect()
		if err != nil {
			return err
		}
		var p *plan.Preview
		if len(args) > 0 {
			p, err = s.planOf(cmd.Context(), cl, args[0])
		} else {
			p, err = s.planIn(cmd.Context(), cl, *files)
		}
		if err != nil {
			return err
		}
		done, err := s.data(f, p)
		if !done {
			err = s.print(view.Plan(p)...)
		}
		if p.Nothing() || err != nil && !errors.Is(err, syscall.EPIPE) {
			return err
		}
		return quiet(codeChanges) // also for somebody who has stopped reading
	}
	return of(kinds[0], c)
}

// planOf is the plan on record of a workflow that waits for approval, or else what a run of it would do now.
func (s *session) planOf(ctx context.Context, c *cluster, name string) (*plan.Preview, error) {
	w, err := c.workflow(ctx, name)
	if err != nil {
		return nil, err
	}
	if w.Status.Plan != nil && w.Status.Plan.ApprovedAt == nil {
		if p, err := app.Planned(ctx, c, w); err == nil && p != nil {
			return p, nil
		}
	}
	recipes, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	return app.Plan(ctx, c, w, recipes)
}

// planIn is the plan of the one workflow of files, which must be without faults.
func (s *session) planIn(ctx context.Context, c *cluster, files []string) (*plan.Preview, error) {
	docs, faults, err := s.judge(files)
	if err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		s.say(view.Faults(faults)...)
		return nil, failed(codeInvalid, "", "there is no plan for what is wrong")
	}
	w, err := soleWorkflow(docs)
	if err != nil {
		return nil, err
	}
	if w.Namespace == "" {
		w.Namespace = c.namespace
	}
	recipes, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	return app.Plan(ctx, c, w, recipes)
}

// soleWorkflow is the one workflow of documents, with its defaults.
func soleWorkflow(docs []*manifest.Document) (*v1alpha1.BatchWorkflow, error) {
	d, err := sole(docs)
	if err != nil {
		return nil, err
	}
	object, err := d.Defaulted()
	if err != nil {
		return nil, err
	}
	w := &v1alpha1.BatchWorkflow{}
	return w, runtime.DefaultUnstructuredConverter.FromUnstructured(object, w)
}
