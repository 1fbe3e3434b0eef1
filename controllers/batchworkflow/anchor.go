package batchworkflow

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// root finds what children are to be anchored to, where they are to outlive their workflow: before any is made.
func (l *look) root(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	if !plan.Outlives(w) {
		l.ground = ""
		return nil
	}
	if l.memory.ground == "" {
		namespace := &metav1.PartialObjectMetadata{}
		namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		err := l.kit.Live.Get(ctx, types.NamespacedName{Name: w.Namespace}, namespace)
		switch {
		case apierrors.IsForbidden(err):
			l.wake = l.kit.Now().Add(audit) // nobody tells us when we may
			return fault.New(fault.Terminal, fault.ReasonUnauthorized,
				"spec.deletionPolicy is Orphan, and that needs to read Namespace %s, which the operator may not: nothing is done. "+
					"Let its service account `get` namespaces, by a Role in %s if not by a ClusterRole, or set deletionPolicy: Delete: %w", w.Namespace, w.Namespace, err)
		case err != nil:
			return fault.During(err, "reading Namespace %s", w.Namespace)
		}
		l.memory.ground = namespace.UID
	}
	l.ground = l.memory.ground
	return nil
}

// anchor writes, once, into each child that has not the anchor that spec.deletionPolicy asks for. What the cache does not show yet is looked
// for where the policy has changed: when this step is through, the status may say that the policy acts.
func (l *look) anchor(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	policy := w.Spec.DeletionPolicy
	changed := policy != l.memory.anchored && (plan.Outlives(w) || l.memory.anchored != "")
	if len(l.adrift) == 0 && !changed {
		return nil
	}
	if err := l.current(ctx, w); err != nil {
		return err
	}
	if changed {
		live, err := l.children.ListLive(ctx, w)
		if err != nil {
			return err
		}
		l.adrift = nil
		for _, kid := range live {
			if l.drifts(kid) {
				l.adrift = append(l.adrift, kid)
			}
		}
	}
	err := each(l.adrift, func(kid client.Object) error { return l.children.Anchor(ctx, kid, l.ground) })
	if err != nil {
		return err
	}
	l.memory.anchored = policy
	return nil
}

// drifts reports whether a child has another anchor than it shall have. One that goes needs none.
func (l *look) drifts(kid client.Object) bool {
	return kid.GetDeletionTimestamp() == nil && !children.Anchored(kid, l.ground)
}

// current makes sure that the workflow is as we saw it, and stays: two caches never agree to the instant, and an operator that has
// seen an edit before us, or the garbage collector a deletion, may have changed the children already.
func (l *look) current(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("BatchWorkflow"))
	if err := l.kit.Live.Get(ctx, client.ObjectKeyFromObject(w), live); client.IgnoreNotFound(err) != nil {
		return fault.During(err, "looking whether the workflow stays")
	}
	if live.UID != w.UID || live.Generation != w.Generation || live.DeletionTimestamp != nil {
		return fault.Waiting(fault.ReasonInProgress, gather, "the workflow was changed or deleted meanwhile: its newest form is read first")
	}
	return nil
}

// release lets every child go as it is, whether it comes, stays or goes: those that the API server shows, of which the cache may not know
// all, and those that the cache alone knows, because somebody took their label away.
func (l *look) release(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	live, err := l.children.ListLive(ctx, w)
	if err != nil {
		return err
	}
	kids, err := l.children.List(ctx, w)
	if err != nil {
		return err
	}
	var all []client.Object
	seen := map[types.UID]bool{}
	for _, kid := range live {
		seen[kid.UID] = true
		all = append(all, kid)
	}
	for kid := range kids.All() {
		if !seen[kid.GetUID()] {
			all = append(all, kid)
		}
	}
	return each(all, func(kid client.Object) error { return l.children.Release(ctx, w, kid) })
}

// each does something to children, several at a time. One that exists no longer is no failure.
func each(kids []client.Object, do func(client.Object) error) error {
	var mu sync.Mutex
	var failures []error
	group := errgroup.Group{}
	group.SetLimit(writers)
	for _, kid := range kids {
		group.Go(func() error {
			if err := do(kid); err != nil && !fault.IsGone(err) {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
			return nil
		})
	}
	_ = group.Wait() // one child does not keep the others
	return errors.Join(failures...)
}
