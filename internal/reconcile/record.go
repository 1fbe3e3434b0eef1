package reconcile

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// record holds the object as the API server last gave it to us: what a status write is compared with.
type record struct {
	kit   Kit
	base  client.Object
	first seen
}

type recordKey struct{}

func newRecord(kit Kit, obj Object) *record {
	return &record{kit: kit, base: obj.DeepCopyObject().(client.Object), first: see(obj)}
}

// Record writes the object's status now, compare-and-swap by resourceVersion: what a step is about to do is durable before it
// does it. It is a no-op when nothing changed. A conflict ends the walk; the frame looks again shortly.
func Record(ctx context.Context, obj Object) error {
	r, ok := ctx.Value(recordKey{}).(*record)
	if !ok {
		return ErrNoRecord
	}
	return r.write(ctx, obj)
}

func (r *record) write(ctx context.Context, obj client.Object) error {
	r.base.SetFinalizers(obj.GetFinalizers()) // written by themselves, see Kit.hold
	r.base.SetResourceVersion(obj.GetResourceVersion())
	if equality.Semantic.DeepEqual(r.base, obj) {
		return nil
	}
	patch := client.MergeFromWithOptions(r.base, client.MergeFromWithOptimisticLock{})
	next := obj.DeepCopyObject().(client.Object)
	if err := r.kit.Client.Status().Patch(ctx, next, patch, r.kit.Owner); err != nil {
		return err
	}
	obj.SetResourceVersion(next.GetResourceVersion())
	r.base = obj.DeepCopyObject().(client.Object)
	return nil
}

// seen is what an event is due for when it changes. The message is not part of it: it may count progress.
type seen struct{ ready, reason string }

func see(obj v1alpha1.Object) seen {
	c := Condition(obj, v1alpha1.ReadyCondition)
	if c == nil {
		return seen{}
	}
	return seen{ready: string(c.Status), reason: c.Reason}
}
