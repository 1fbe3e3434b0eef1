package reconcile

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
)

// hold writes the finalizer before anything is made outside. Children of a workflow carry it from their POST.
func (k Kit) hold(ctx context.Context, obj client.Object) error {
	if controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
		return nil
	}
	return k.patchFinalizers(ctx, obj, controllerutil.AddFinalizer)
}

// release removes the finalizer. The object may be gone at once, so nothing is written after it.
func (k Kit) release(ctx context.Context, obj client.Object) (ctrl.Result, error) {
	if err := k.patchFinalizers(ctx, obj, controllerutil.RemoveFinalizer); err != nil {
		return lost(ctx, err, "removing the finalizer")
	}
	return ctrl.Result{}, nil
}

// patchFinalizers patches a copy, because the answer would overwrite what the steps put into the object's status. The lock
// matters: a merge patch replaces the whole list, and somebody else may have added to it.
func (k Kit) patchFinalizers(ctx context.Context, obj client.Object, change func(client.Object, string) bool) error {
	next := obj.DeepCopyObject().(client.Object)
	change(next, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(obj.DeepCopyObject().(client.Object), client.MergeFromWithOptimisticLock{})
	if err := k.Client.Patch(ctx, next, patch, k.Owner); err != nil {
		return err
	}
	obj.SetFinalizers(next.GetFinalizers())
	obj.SetResourceVersion(next.GetResourceVersion())
	return nil
}
