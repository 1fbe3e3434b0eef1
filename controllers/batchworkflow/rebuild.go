package batchworkflow

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// beginOrRebuild is for a workflow whose Checkpoint holds nothing: it never ran, or somebody took its Checkpoint away. The API
// server itself tells which of the two it is: a cache that lags would begin anew what has run.
func (l *look) beginOrRebuild(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	var live v1alpha1.BatchWorkflow
	if err := l.kit.Live.Get(ctx, client.ObjectKeyFromObject(w), &live); err != nil {
		return err
	}
	if live.UID != w.UID {
		return fault.Waiting(fault.ReasonInProgress, gather, "this workflow is gone: another one has its name")
	}
	kids, err := l.children.List(ctx, w)
	if err != nil {
		return err
	}
	if live.Status.Run == nil && kids.Len() == 0 {
		return l.begin()
	}
	return l.rebuild(ctx, &live)
}

// rebuild makes the ledger anew from what is durable besides it: the children and the summary. It is recorded before anything is
// done about it, like any other.
func (l *look) rebuild(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	var kids []plan.Child
	if err := l.children.ReadLive(ctx, w, func(child client.Object) { kids = append(kids, child.(plan.Child)) }); err != nil {
		return err
	}
	workflow := l.memory.workflow.Recover(kids)
	found, foreign := map[int]plan.Found{}, []string(nil)
	for _, child := range kids {
		switch i, ours := workflow.Instance(child.GetName()); {
		case i >= 0:
			found[i] = plan.Find(child)
		case !ours && child.GetDeletionTimestamp() == nil:
			foreign = append(foreign, child.GetName())
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return fault.New(fault.Terminal, fault.ReasonCheckpointLost,
			"it is gone, and of what is there %d objects, such as %s, are of no operation in spec.operations: change it back to what ran, or delete these objects, or the workflow",
			len(foreign), strings.Join(foreign[:min(len(foreign), 3)], ", "))
	}
	l.memory.durable = false
	var err error
	l.memory.ledger, err = plan.Rebuild(workflow, w.Status, found, plan.RequestsIn(w.Annotations), l.kit.Now())
	if err != nil {
		return err
	}
	l.kit.Events.Eventf(w, nil, corev1.EventTypeWarning, string(fault.ReasonCheckpointLost), "Rebuild",
		"the Checkpoint was gone: its ledger was made anew from %d children and this status; what they do not tell is Unknown", len(found))
	return nil
}
