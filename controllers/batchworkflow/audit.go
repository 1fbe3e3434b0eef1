package batchworkflow

import (
	"context"
	"hash/maphash"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
)

// family is what a look at a workflow that is over knew of its children.
type family struct {
	key   types.NamespacedName
	print uint64
}

var seed = maphash.MakeSeed()

// fingerprint is the same for the same children, in whatever order they are seen.
func fingerprint(kids children.Family) (sum uint64) {
	for kid := range kids.All() {
		sum += maphash.String(seed, string(kid.GetUID()))
	}
	return sum
}

// overlooked finds workflows that are over and have other children now than at their last look. A stale operator may order one at
// any time, and the event that tells of it can be lost. It reads the cache alone, and asks for a look only where there is something
// to see.
func (r *Reconciler) overlooked(ctx context.Context) (found []*v1alpha1.BatchWorkflow, err error) {
	for uid, known := range r.shelf.ended() {
		w := &v1alpha1.BatchWorkflow{}
		w.Namespace, w.Name, w.UID = known.key.Namespace, known.key.Name, uid
		kids, err := r.children.List(ctx, w)
		if err != nil {
			return nil, err
		}
		if fingerprint(kids) != known.print {
			found = append(found, w)
		}
	}
	return found, nil
}

// audits goes over the workflows that are over once in an audit period, all in one go, as long as we lead.
func (r *Reconciler) audits(wakes chan<- event.GenericEvent) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(audit)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			found, err := r.overlooked(ctx)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "auditing workflows that are over")
			}
			for _, w := range found {
				select {
				case <-ctx.Done():
					return nil
				case wakes <- event.GenericEvent{Object: w}:
				}
			}
		}
	}
}
