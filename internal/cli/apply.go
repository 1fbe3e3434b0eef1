package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/internal/manifest"
	"github.com/keelway/keelway/internal/view"
)

// applyArgs is what is asked of apply.
type applyArgs struct {
	files  *[]string
	dryRun string
	force  bool
	format *format
	waitFlags
}

func (s *session) verbApply() *cobra.Command {
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Check files and apply them; with --wait until the end, well or badly",
		Long: `apply checks files as validate does and applies nothing while there is a fault. Then it applies every object by server-side apply, in the
order of the files. With --wait it waits until every object of Keelway's kinds is ready or has ended badly, which kubectl wait does
not notice; a workflow is shown as watch does.`,
		Example: "  keelway apply -f workflow.yaml --wait --timeout 15m\n  keelway apply -f deploy/ --dry-run=server",
		Args:    cobra.NoArgs,
	}
	a := applyArgs{files: filesFlag(c, "what to apply")}
	dryRunFlag(c, &a.dryRun)
	c.Flags().BoolVar(&a.force, "force-conflicts", false, "take over fields that somebody else set")
	a.add(c, true)
	a.format = formatFlag(c, "text", "name", "json", "yaml")
	c.RunE = func(cmd *cobra.Command, _ []string) error { return s.apply(cmd.Context(), a) }
	return c
}

// dryRunFlag adds --dry-run to a verb.
func dryRunFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "dry-run", "none", "none, client (ask the cluster nothing) or server (the cluster checks it and keeps nothing)")
	c.Flags().Lookup("dry-run").NoOptDefVal = "client"
	_ = c.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"none", "client", "server"}, noFiles))
}

// dryRun reads the flag.
func dryRun(text string) (none, server bool, err error) {
	switch text {
	case "none":
		return true, false, nil
	case "client", "server":
		return false, text == "server", nil
	}
	return false, false, invalid("--dry-run=%s: use none, client or server", clip(text, 40))
}

func (s *session) apply(ctx context.Context, a applyArgs) error {
	real, server, err := dryRun(a.dryRun)
	if err != nil {
		return err
	}
	docs, faults, err := s.judge(*a.files)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		s.say(view.Faults(faults)...)
		return failed(codeInvalid, "", "nothing was applied")
	}
	if !real && !server {
		return s.written(a.format, objectsOf(docs), " (dry run)")
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	for i, d := range docs {
		if err := s.applyOne(ctx, c, d, a, server); err != nil {
			before := ""
			if i > 0 {
				before = fmt.Sprintf(" (%d of %d; those before it are applied)", i+1, len(docs))
			}
			return fmt.Errorf("%s:%d: applying %s%s: %w", d.File, d.Line, d.Title(), before, err)
		}
	}
	if a.format.whole() {
		if err := s.written(a.format, objectsOf(docs), ""); err != nil {
			return err
		}
	}
	if !a.wait || server {
		return nil
	}
	return s.awaitAll(ctx, c, docs, a.waitFlags)
}

func objectsOf(docs []*manifest.Document) (objects []*unstructured.Unstructured) {
	for _, d := range docs {
		objects = append(objects, d.Unstructured)
	}
	return objects
}

func (s *session) applyOne(ctx context.Context, c *cluster, d *manifest.Document, a applyArgs, dry bool) error {
	namespaced, err := c.IsObjectNamespaced(d.Unstructured)
	if err != nil {
		return err
	}
	if namespaced && d.GetNamespace() == "" {
		d.SetNamespace(c.namespace)
	}
	before := &unstructured.Unstructured{}
	before.SetGroupVersionKind(d.GroupVersionKind())
	what := "configured"
	err = c.Get(ctx, client.ObjectKeyFromObject(d.Unstructured), before)
	switch {
	case apierrors.IsNotFound(err):
		what = "created"
	case err != nil && !apierrors.IsForbidden(err):
		return err
	}
	options := []client.ApplyOption{client.FieldOwner(fieldOwner)}
	if a.force {
		options = append(options, client.ForceOwnership)
	}
	if dry {
		options = append(options, client.DryRunAll)
	}
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(d.Unstructured), options...); err != nil {
		if apierrors.IsConflict(err) {
			return failed(codeFailed, "leave these fields out, or take them over with --force-conflicts", "%w", err)
		}
		return err
	}
	if what == "configured" && before.GetResourceVersion() == d.GetResourceVersion() {
		what = "unchanged"
	}
	if dry {
		what += " (server dry run)"
	}
	if a.format.whole() { // all of them come at the end
		return nil
	}
	return s.written(a.format, []*unstructured.Unstructured{d.Unstructured}, " "+what)
}

func title(u *unstructured.Unstructured) string {
	group := u.GroupVersionKind().Group
	if group != "" {
		group = "." + group
	}
	return fmt.Sprintf("%s%s/%s", strings.ToLower(u.GetKind()), group, u.GetName())
}

// awaitAll waits for what was applied: workflows as watch does, one after the other, and everything else quietly. It goes on after one
// that ended badly, and tells of all.
func (s *session) awaitAll(ctx context.Context, c *cluster, docs []*manifest.Document, w waitFlags) error {
	var bad []error
	for _, d := range docs {
		if !d.Ours() {
			continue
		}
		k, err := kindOf(d.GetKind())
		if err != nil {
			continue
		}
		there := *c
		there.namespace = d.GetNamespace()
		if k.Kind == "BatchWorkflow" {
			err = s.await(ctx, &there, d.GetName(), w, goal{})
		} else {
			err = s.awaitObject(ctx, &there, k, d.GetName(), w)
		}
		if err == nil {
			continue
		}
		if known, ok := errors.AsType[*failure](err); !ok || known.code != codeEnded {
			return err
		}
		bad = append(bad, err)
	}
	switch len(bad) {
	case 0:
		return nil
	case 1:
		return bad[0]
	}
	return failed(codeEnded, "", "%w", errors.Join(bad...))
}

// awaitObject waits until an object is ready or stalled, and says what is new about it.
func (s *session) awaitObject(ctx context.Context, c *cluster, k kind, name string, w waitFlags) error {
	s.goesOn = "what was applied stays"
	limit := ctx
	if w.timeout > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	said := ""
	for {
		o := k.empty()
		if err := c.get(limit, k, name, o); err != nil && limit.Err() == nil {
			if known := explainCluster(err); known == nil || !known.passing {
				return err
			}
		}
		switch text := message(o); {
		case judge(o) == well:
			s.note("%s %s is ready", k.Kind, name)
			return nil
		case judge(o) == badly:
			return failed(codeEnded, "", "%s %s: %s", k.Kind, name, text)
		case text != said && o.GetObservedGeneration() > 0:
			said = text
			s.note("%s %s: %s", k.Kind, name, text)
		}
		if !sleep(limit, time.Second) {
			if ctx.Err() == nil {
				return failed(codeTimeout, "", "%s is over; %s %s is not ready yet: %s", w.timeout, k.Kind, name, message(o))
			}
			return ctx.Err()
		}
	}
}
