package batchworkflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

// finalize removes the children and then the Checkpoint. The order among the children is theirs: a Server waits for whoever
// uses it. When the deletion asks for orphans the children stay; a child that the garbage collector has already cut loose is
// no longer ours in any case. Nothing is ever created here.
func (l *look) finalize(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	if !slices.Contains(w.Finalizers, metav1.FinalizerOrphanDependents) {
		if err := l.removeChildren(ctx, w); err != nil {
			return err
		}
	}
	err := l.removeCheckpoint(ctx, client.ObjectKeyFromObject(w), func(c *v1alpha1.Checkpoint) bool {
		return metav1.IsControlledBy(c, w) || len(c.OwnerReferences) == 0 // cut loose by the garbage collector
	})
	if err != nil {
		return fault.During(err, "removing the checkpoint")
	}
	l.shelf.drop(w.UID)
	return nil
}

func (l *look) removeChildren(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	kids, err := l.children.List(ctx, w)
	if err != nil {
		return err
	}
	for kid := range kids.All() {
		if kid.GetDeletionTimestamp() == nil {
			if err := l.children.Delete(ctx, kid); err != nil {
				return err
			}
		}
	}
	if kids.Len() > 0 {
		return l.waitFor(kids)
	}
	live, err := l.children.ListLive(ctx, w) // the cache may not know the newest ones
	if err != nil {
		return err
	}
	for _, kid := range live {
		if kid.DeletionTimestamp == nil {
			if err := l.children.Delete(ctx, kid); err != nil {
				return err
			}
		}
	}
	if len(live) > 0 {
		return fault.Waiting(fault.ReasonDeletionBlocked, gather, "deleting what this workflow made; still there: %d objects", len(live))
	}
	return nil
}

// waitFor says what holds the deletion up: one child by name, in its own words.
func (l *look) waitFor(kids children.Family) error {
	return fault.Waiting(fault.ReasonDeletionBlocked, audit, "deleting what this workflow made; still there: %s%s", counted(kids), blocked(kids))
}

// counted says how many children of each kind there are, without the kinds that there are none of.
func counted(kids children.Family) string {
	var parts []string
	for _, kind := range []struct {
		name  string
		count int
	}{{"Server", len(kids.Servers)}, {"TaskService", len(kids.TaskServices)}, {"Run", len(kids.Runs)}} {
		switch {
		case kind.count == 1:
			parts = append(parts, "1 "+kind.name)
		case kind.count > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", kind.count, kind.name))
		}
	}
	return strings.Join(parts, ", ")
}

// blocked quotes the first child, by name, that says what it waits for itself.
func blocked(kids children.Family) string {
	name, words := "", ""
	for kid := range kids.All() {
		ready := reconcile.Condition(kid.(v1alpha1.Object), v1alpha1.ReadyCondition)
		if ready != nil && ready.Reason == string(fault.ReasonDeletionBlocked) && (name == "" || kid.GetName() < name) {
			name, words = kid.GetName(), ready.Message
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; %s: %s", name, words)
}
