package reconcile

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var errOld = errors.New("the cache showed an old copy")

// Confirm makes sure by one live read that obj is the newest, for a deed that no write of this walk comes before: a cache may
// still show an order whose result is recorded and forgotten already. Its error, a conflict where obj is old, must end the walk.
func Confirm(ctx context.Context, kit Kit, obj client.Object) error {
	live := obj.DeepCopyObject().(client.Object)
	if err := kit.Live.Get(ctx, client.ObjectKeyFromObject(obj), live); err != nil {
		return err
	}
	if live.GetUID() != obj.GetUID() || live.GetResourceVersion() != obj.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{}, obj.GetName(), errOld)
	}
	return nil
}
