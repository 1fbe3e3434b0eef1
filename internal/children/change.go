package children

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Raise asks a child for an attempt, by its annotation. An attempt only ever rises: a child that was asked for this one or a
// later one stays as it is. child need hold no more than Ref gives it, and it is not changed. Gone: it exists no longer.
func (c Children) Raise(ctx context.Context, child client.Object, attempt int32) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	live := Ref(kind, "", "", "")
	err = c.Live.Get(ctx, client.ObjectKeyFromObject(child), live) // the cached one may be several attempts behind
	if apierrors.IsNotFound(err) || err == nil && live.UID != child.GetUID() {
		return fault.New(fault.Gone, fault.ReasonNotFound, "%s %s exists no longer", kind, child.GetName())
	}
	if err != nil {
		return fault.During(err, "looking which attempt %s %s was asked for", kind, child.GetName())
	}
	if Attempt(live) >= attempt {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": live.ResourceVersion, // between the look and the write nobody may have raised it further
		"annotations":     map[string]string{v1alpha1.AnnotationAttempt: strconv.Itoa(int(attempt))},
	}})
	if err != nil {
		return fmt.Errorf("writing a patch: %w", err)
	}
	err = c.Client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch), c.Owner)
	return fault.During(err, "asking %s %s for attempt %d", kind, child.GetName(), attempt)
}

// Attempt is the attempt that a child was asked for, 0 when nobody asked.
func Attempt(child metav1.Object) int32 {
	n, err := strconv.ParseInt(child.GetAnnotations()[v1alpha1.AnnotationAttempt], 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int32(n)
}

// Delete deletes exactly the object that was seen: another one of its name, made since, is not touched. It returns nil once the
// deletion is asked for; GetLive says when it is over. child need hold no more than Ref gives it.
func (c Children) Delete(ctx context.Context, child client.Object) error {
	return c.remove(ctx, child, "")
}

// DeleteVersion is Delete, but for a child that was changed since it was seen: whoever changed it may want it.
func (c Children) DeleteVersion(ctx context.Context, child client.Object, version string) error {
	return c.remove(ctx, child, version)
}

func (c Children) remove(ctx context.Context, child client.Object, version string) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	uid := child.GetUID()
	if uid == "" {
		return fault.New(fault.Retry, fault.ReasonInternal, "a bug in keelway: deleting %s %s without its uid", kind, child.GetName())
	}
	seen := client.Preconditions{UID: &uid}
	if version != "" {
		seen.ResourceVersion = &version
	}
	err = c.Client.Delete(ctx, Ref(kind, child.GetNamespace(), child.GetName(), uid), seen, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: the name is another object's now, or it was changed
		return nil
	}
	return fault.During(err, "deleting %s %s", kind, child.GetName())
}

// Rewrite changes a child as rewrite says, on what the API server has of it now, unless it was asked for this attempt or a later one: then
// somebody has done it. child need hold no more than Ref gives it. What is written is refused when the child changes in between.
//
//	Gone                it exists no longer
//	Terminal            what rewrite says, or Invalid: the API server refuses it
func (c Children) Rewrite(ctx context.Context, workflow *v1alpha1.BatchWorkflow, order string, child client.Object, attempt int32, rewrite func(client.Object) error) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	live, err := c.getTyped(ctx, kind, child)
	switch {
	case apierrors.IsNotFound(err) || err == nil && (live.GetUID() != child.GetUID() || !live.GetDeletionTimestamp().IsZero()):
		return fault.New(fault.Gone, fault.ReasonNotFound, "%s %s exists no longer", kind, child.GetName())
	case err != nil:
		return fault.During(err, "reading %s %s before it is changed", kind, child.GetName())
	case !ours(workflow, live):
		return fault.New(fault.Gone, fault.ReasonNotFound, "%s %s is no longer ours", kind, child.GetName())
	case attempt > 0 && Attempt(live) >= attempt:
		return nil
	}
	return c.patch(ctx, kind, order, live, rewrite)
}

// patch writes what rewrite makes of a child, with the order that it follows from.
func (c Children) patch(ctx context.Context, kind, order string, live client.Object, rewrite func(client.Object) error) error {
	next := live.DeepCopyObject().(client.Object)
	if err := rewrite(next); err != nil {
		return err
	}
	notes := next.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	notes[v1alpha1.AnnotationOrderedBy] = order
	next.SetAnnotations(notes)
	err := c.Client.Patch(ctx, next, client.MergeFromWithOptions(live, client.MergeFromWithOptimisticLock{}), c.Owner)
	if apierrors.IsInvalid(err) {
		return &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Doing: "changing " + kind + " " + live.GetName(), Err: err}
	}
	return fault.During(err, "changing %s %s", kind, live.GetName())
}

func (c Children) getTyped(ctx context.Context, kind string, child client.Object) (client.Object, error) {
	made, err := c.Client.Scheme().New(v1alpha1.GroupVersion.WithKind(kind))
	if err != nil {
		return nil, fmt.Errorf("reading a %s: %w", kind, err)
	}
	live := made.(client.Object)
	return live, c.Live.Get(ctx, client.ObjectKeyFromObject(child), live)
}

// Adopt makes an object ours that has a child's name, its labels and no owner, as one has whose workflow was deleted without it. rewrite
// makes it what is wanted, or says why it cannot be. The errors are those of Rewrite, and NameTaken where it is somebody else's.
func (c Children) Adopt(ctx context.Context, workflow *v1alpha1.BatchWorkflow, order string, child client.Object, rewrite func(client.Object) error) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	live, err := c.getTyped(ctx, kind, child)
	switch {
	case apierrors.IsNotFound(err):
		return fault.New(fault.Gone, fault.ReasonNotFound, "%s %s exists no longer", kind, child.GetName())
	case err != nil:
		return fault.During(err, "reading %s %s before it is adopted", kind, child.GetName())
	case !loose(workflow, live, child):
		return c.recognise(ctx, workflow, kind, child)
	}
	return c.patch(ctx, kind, order, live, func(next client.Object) error {
		if err := rewrite(next); err != nil {
			return err
		}
		owned := child.DeepCopyObject().(client.Object)
		claim(workflow, order, owned)
		SetAnchor(next, "") // it may have one of before; child says whether it shall have one
		next.SetOwnerReferences(append(next.GetOwnerReferences(), owned.GetOwnerReferences()...))
		controllerutil.AddFinalizer(next, v1alpha1.Finalizer)
		return nil
	})
}

// loose reports whether an object stands in the place of a child and belongs to nobody.
func loose(workflow *v1alpha1.BatchWorkflow, found, child metav1.Object) bool {
	return metav1.GetControllerOfNoCopy(found) == nil && found.GetDeletionTimestamp().IsZero() &&
		found.GetLabels()[v1alpha1.LabelWorkflow] == workflow.Name && sameInstance(found, child)
}
