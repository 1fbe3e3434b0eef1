package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

// request is what a verb asks of an object, and how the same is asked with kubectl.
type request struct {
	kind    kind
	name    string
	asks    string         // retry of all
	patch   map[string]any // merge patch
	kubectl string
	verb    string // whose value status.handled will show; "": none
	value   string
	reached func(*v1alpha1.BatchWorkflow) bool // the workflow is as was asked; nil: when its run has succeeded
}

// sameCluster are the flags that choose a cluster or a user, and hold no secret: a line of kubectl needs those that were given.
var sameCluster = []string{"kubeconfig", "context", "cluster", "user", "server", "as", "as-group", "as-uid"}

// bare is what a shell takes as it is.
var bare = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./~-]+$`)

// kubectl begins the line of kubectl that does the same as we do to an object of our cluster and namespace.
func (s *session) kubectl(what, namespace string) string {
	line := "kubectl " + what
	for _, name := range sameCluster {
		flag := s.flags.Lookup(name)
		if flag == nil || !flag.Changed {
			continue
		}
		values := []string{flag.Value.String()}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, value := range values {
			if !bare.MatchString(value) {
				value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
			}
			line += " --" + name + "=" + value
		}
	}
	return line + " -n " + namespace
}

// askArgs are the flags of every verb that asks.
type askArgs struct {
	dryRun string
	format *format
	waitFlags
}

// steering makes a verb on a workflow.
func (s *session) steering(c *cobra.Command, make func(ctx context.Context, args []string) (request, error)) *cobra.Command {
	return of(kinds[0], s.asking(c, make))
}

// asking makes a verb that asks; make turns its arguments into a request.
func (s *session) asking(c *cobra.Command, make func(ctx context.Context, args []string) (request, error)) *cobra.Command {
	var a askArgs
	dryRunFlag(c, &a.dryRun)
	a.add(c, true)
	a.format = formatFlag(c, "text", "name", "json", "yaml")
	if c.ValidArgsFunction == nil {
		c.ValidArgsFunction = s.completeNames(kinds[0])
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := make(cmd.Context(), args)
		if err != nil {
			return err
		}
		return s.ask(cmd.Context(), r, a)
	}
	return c
}

// ask writes a request and says so; with --wait it waits for what comes of it.
func (s *session) ask(ctx context.Context, r request, a askArgs) error {
	real, server, err := dryRun(a.dryRun)
	if err != nil {
		return err
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	dry := ""
	if !real {
		dry = " (dry run)"
	}
	o := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(r.patch)}
	o.SetGroupVersionKind(r.kind.GroupVersionKind)
	o.SetNamespace(c.namespace)
	o.SetName(r.name)
	if real || server {
		patch, err := json.Marshal(r.patch)
		if err != nil {
			return err
		}
		options := []client.PatchOption{client.FieldOwner(fieldOwner)}
		if server {
			options, dry = append(options, client.DryRunAll), " (server dry run)"
		}
		if err := c.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch), options...); err != nil {
			return fmt.Errorf("asking %s %s for %s: %w", r.kind.Kind, r.name, r.asks, err)
		}
	}
	if err := s.written(a.format, []*unstructured.Unstructured{o}, ": asked for "+r.asks+dry); err != nil {
		return err
	}
	s.say(view.Line{view.Dim.Of("the same with kubectl: " + r.kubectl)})
	if !real || !a.wait {
		return nil
	}
	return s.awaitAnswer(ctx, c, r, a.waitFlags)
}

// awaitAnswer waits until the operator has acted on a request, and then for what comes of it.
func (s *session) awaitAnswer(ctx context.Context, c *cluster, r request, w waitFlags) error {
	if r.kind.Kind != "BatchWorkflow" {
		return s.awaitGone(ctx, c, r, w)
	}
	var refusal string
	err := s.await(ctx, c, r.name, w, goal{reached: r.reached, begun: func(seen *view.Snapshot) bool {
		if r.verb != "" && seen.Workflow.Status.Handled[r.verb] != r.value {
			return false
		}
		refusal = refused(seen, r)
		return true
	}})
	if refusal != "" {
		return failed(codeFailed, "", "workflow %s: %s", r.name, refusal)
	}
	return err
}

// refused is what the operator says against a request, or "". A workflow that has succeeded says so and no more: there it is the ledger
// that knows.
func refused(seen *view.Snapshot, r request) string {
	said := []string{message(seen.Workflow)}
	if seen.Ledger != nil {
		said = append(said, seen.Ledger.Refusal)
	}
	for _, text := range said {
		if r.verb != "" && strings.Contains(text, r.verb+": "+r.value) && strings.Contains(text, "was refused") {
			return text
		}
	}
	return ""
}

// awaitGone waits until an object that something was abandoned of is deleted, if it is being deleted.
func (s *session) awaitGone(ctx context.Context, c *cluster, r request, w waitFlags) error {
	s.goesOn = "the request stays"
	limit := ctx
	if w.timeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	for {
		o := r.kind.empty()
		err := c.Get(limit, client.ObjectKey{Namespace: c.namespace, Name: r.name}, o)
		switch {
		case apierrors.IsNotFound(err):
			s.note("%s %s is gone", r.kind.Kind, r.name)
			return nil
		case err == nil && o.GetDeletionTimestamp().IsZero():
			s.note("%s %s is not being deleted: there is nothing to wait for", r.kind.Kind, r.name)
			return nil
		case err != nil && limit.Err() == nil && definite(err):
			return err
		}
		if !sleep(limit, time.Second) {
			if ctx.Err() == nil {
				return failed(codeTimeout, "", "%s is over; %s %s is still there: %s", w.timeout, r.kind.Kind, r.name, message(o))
			}
			return ctx.Err()
		}
	}
}
