package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/nearest"
)

func (s *session) verbRetry() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "retry WORKFLOW [OPERATION...]", Short: "Try again what failed: everything, or some operations",
		Long: `retry gives another attempt to what failed, ended unknown or was cancelled, and a chance to what was omitted for it. A run that is over
goes on. After RollbackFailed it tries again to undo what is left over.`,
		Example: "  keelway retry demo --wait\n  keelway retry demo etcd check",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: s.completeOperations,
	}, func(ctx context.Context, args []string) (request, error) {
		what := "all"
		if len(args) > 1 {
			what = strings.Join(args[1:], ",")
		}
		return s.annotation(ctx, args[0], v1alpha1.VerbRetry, what, "another try of "+what, args[1:])
	})
}

func (s *session) verbApprove() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "approve WORKFLOW [OPERATION...]", Short: "Give the approval that a workflow waits for",
		Long: `approve gives the approvals that a workflow waits for now: its plan, and operations of type Approval; or those of some operations. A plan
is approved by its hash: when the world has changed since, nothing runs. Where the admission policies are installed, it takes the verb
approve on batchworkflows, and your name is kept.`,
		Example: "  keelway plan release; keelway approve release --wait\n  keelway approve release go-live",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: s.completeOperations,
	}, func(ctx context.Context, args []string) (request, error) {
		operations := args[1:]
		if len(operations) == 0 {
			c, err := s.connect()
			if err != nil {
				return request{}, err
			}
			w, err := c.workflow(ctx, args[0])
			if err != nil {
				return request{}, err
			}
			if w.Status.Plan != nil && w.Status.Plan.ApprovedAt == nil && w.Spec.Mode == v1alpha1.ModeApplyAfterApproval {
				return s.annotation(ctx, args[0], v1alpha1.VerbApprove, w.Status.Plan.Hash, "approval of the plan "+w.Status.Plan.Summary, nil)
			}
			if operations = awaited(w); len(operations) == 0 {
				return request{}, failed(codeFailed, "", "workflow %s waits for no approval now; it is %s", args[0], phaseOrPending(w))
			}
		}
		what := strings.Join(operations, ",")
		return s.annotation(ctx, args[0], v1alpha1.VerbApprove, what, "approval of "+what, operations)
	})
}

// awaited are the operations that wait for an approval.
func awaited(w *v1alpha1.BatchWorkflow) (names []string) {
	for _, o := range w.Status.Operations {
		if o.Phase == string(v1alpha1.WorkflowAwaitingApproval) {
			names = append(names, o.Name)
		}
	}
	return names
}

func phaseOrPending(w *v1alpha1.BatchWorkflow) v1alpha1.WorkflowPhase {
	if w.Status.Phase == "" {
		return v1alpha1.WorkflowPending
	}
	return w.Status.Phase
}

func (s *session) verbRollback() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "rollback WORKFLOW", Short: "Undo what the run made",
		Long:    `rollback starts nothing new, lets what runs come to its end, and then undoes what the run made. A run that failed is undone at once.`,
		Example: "  keelway rollback demo --wait", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) (request, error) {
		r, err := s.annotation(ctx, args[0], v1alpha1.VerbRollback, "now", "undoing what the run made", nil)
		r.reached = endedAs(v1alpha1.WorkflowRolledBack)
		return r, err
	})
}

func (s *session) verbCancel() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "cancel WORKFLOW", Short: "Start nothing new, let what runs end, then do what onFailure says",
		Example: "  keelway cancel demo", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) (request, error) {
		r, err := s.annotation(ctx, args[0], v1alpha1.VerbCancel, "now", "the end of the run, once what runs has ended", nil)
		r.reached = endedAs(v1alpha1.WorkflowCancelled, v1alpha1.WorkflowRolledBack)
		return r, err
	})
}

func (s *session) verbAbort() *cobra.Command {
	yes := false
	c := s.steering(&cobra.Command{
		Use: "abort WORKFLOW --yes", Short: "End the run at once and undo nothing",
		Long:    `abort ends the run at once: what runs is left as it is, and nothing is undone. So that it is no slip, it wants --yes.`,
		Example: "  keelway abort demo --yes", Args: cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) (request, error) {
		if !yes {
			return request{}, invalid("abort leaves what runs as it is and undoes nothing: say --yes if that is meant; cancel is the gentle way")
		}
		r, err := s.annotation(ctx, args[0], v1alpha1.VerbAbort, args[0], "the end of the run at once", nil)
		r.reached = endedAs(v1alpha1.WorkflowCancelled)
		return r, err
	})
	c.Flags().BoolVarP(&yes, "yes", "y", false, "it is meant")
	return c
}

// endedAs wants a run to be over in one of some phases.
func endedAs(phases ...v1alpha1.WorkflowPhase) func(*v1alpha1.BatchWorkflow) bool {
	return func(w *v1alpha1.BatchWorkflow) bool {
		return judge(w) != underWay && slices.Contains(phases, w.Status.Phase)
	}
}

// annotation is a request by annotation. The token behind it makes it a new one each time.
func (s *session) annotation(ctx context.Context, name, verb, what, asks string, operations []string) (request, error) {
	c, err := s.connect()
	if err != nil {
		return request{}, err
	}
	w, err := c.workflow(ctx, name)
	if err != nil {
		return request{}, err
	}
	for _, operation := range operations {
		if !slices.ContainsFunc(w.Spec.Operations, func(o v1alpha1.Operation) bool { return o.Name == operation }) {
			var names []string
			for i := range w.Spec.Operations {
				names = append(names, w.Spec.Operations[i].Name)
			}
			return request{}, failed(codeFailed, "", "workflow %s has no operation %q%s", name, clip(operation, 60), nearest.Hint(operation, names))
		}
	}
	value := what + "@" + s.now().UTC().Format("20060102T150405.000Z")
	key := v1alpha1.VerbPrefix + verb
	return request{
		kind: kinds[0], name: name, asks: asks, verb: verb, value: value,
		patch:   map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}},
		kubectl: fmt.Sprintf("%s bwf/%s %s=%s", s.kubectl("annotate --overwrite", c.namespace), name, key, value),
	}, nil
}

func (s *session) verbSuspend() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "suspend WORKFLOW", Short: "Start nothing new until resume; what runs goes on",
		Example: "  keelway suspend demo", Args: cobra.ExactArgs(1),
	}, s.suspension(true, "nothing new to start"))
}

func (s *session) verbResume() *cobra.Command {
	return s.steering(&cobra.Command{
		Use: "resume WORKFLOW", Short: "Go on after suspend",
		Example: "  keelway resume demo --wait", Args: cobra.ExactArgs(1),
	}, s.suspension(false, "the run to go on"))
}

// suspension is a field of the spec: where Git holds the workflow, it has to be changed there.
func (s *session) suspension(suspend bool, asks string) func(context.Context, []string) (request, error) {
	return func(ctx context.Context, args []string) (request, error) {
		c, err := s.connect()
		if err != nil {
			return request{}, err
		}
		if _, err := c.workflow(ctx, args[0]); err != nil {
			return request{}, err
		}
		reached := func(w *v1alpha1.BatchWorkflow) bool {
			return suspend && w.Status.ObservedGeneration == w.Generation && w.Status.Phase == v1alpha1.WorkflowSuspended
		}
		return request{
			kind: kinds[0], name: args[0], asks: asks, reached: reached, patch: map[string]any{"spec": map[string]any{"suspend": suspend}},
			kubectl: fmt.Sprintf(`%s bwf/%s -p '{"spec":{"suspend":%t}}'`, s.kubectl("patch --type=merge", c.namespace), args[0], suspend),
		}, nil
	}
}
