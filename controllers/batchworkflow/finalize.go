package batchworkflow

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// finalize removes the children, or lets them go, and then the Checkpoint. The order among the children is theirs: a Server waits for
// whoever uses it. A child that the garbage collector has already cut loose is no longer ours in any case. Nothing is ever created here.
func (l *look) finalize(ctx context.Context, w *v1alpha1.BatchWorkflow) (err error) {
	switch plan.PartingOf(w) {
	case plan.PartDeleted:
		err = l.removeChildren(ctx, w)
	case plan.PartReleased:
		err = l.release(ctx, w)
	}
	if err != nil {
		return err
	}
	err = l.removeCheckpoint(ctx, client.ObjectKeyFromObject(w), func(c *v1alpha1.Checkpoint) bool {
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

// blocked quotes one child that says why it does not go: first, by name, of those that nobody helps before something changes, such as
// credentials that are refused, and else of those that wait for others.
func blocked(kids children.Family) string {
	name, words, stuck := "", "", false
	for kid := range kids.All() {
		object := kid.(v1alpha1.Object)
		ready := reconcile.Condition(object, v1alpha1.ReadyCondition)
		stalled := reconcile.Condition(object, v1alpha1.StalledCondition) != nil && kid.GetDeletionTimestamp() != nil &&
			ready != nil && ready.ObservedGeneration == kid.GetGeneration()
		if ready == nil || !stalled && ready.Reason != string(fault.ReasonDeletionBlocked) {
			continue
		}
		if name == "" || stalled && !stuck || stalled == stuck && kid.GetName() < name {
			name, words, stuck = kid.GetName(), ready.Message, stalled
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; %s: %s", name, words)
}
