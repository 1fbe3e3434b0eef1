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
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	uid := child.GetUID()
	if uid == "" {
		return fault.New(fault.Retry, fault.ReasonInternal, "a bug in keelway: deleting %s %s without its uid", kind, child.GetName())
	}
	err = c.Client.Delete(ctx, Ref(kind, child.GetNamespace(), child.GetName(), uid),
		client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: the name is another object's now
		return nil
	}
	return fault.During(err, "deleting %s %s", kind, child.GetName())
}
