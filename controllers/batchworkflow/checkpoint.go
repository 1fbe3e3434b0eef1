package batchworkflow

import (
	"context"
	"encoding/json"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// load brings the ledger: from memory, from the Checkpoint by a live read, or a new one for a workflow that never ran.
func (l *look) load(ctx context.Context, w *v1alpha1.BatchWorkflow) (err error) {
	if l.memory.ledger == nil {
		if err := l.readCheckpoint(ctx, w); err != nil {
			return fault.During(err, "reading checkpoint %s", w.Name)
		}
	}
	l.workflow, err = l.memory.under()
	return err
}

// begin starts a new ledger: nothing was ordered so far.
func (l *look) begin() (err error) {
	l.memory.durable = false
	l.memory.ledger, err = l.memory.workflow.Start(l.kit.Now().Unix())
	return err
}

func (l *look) readCheckpoint(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	var c v1alpha1.Checkpoint
	err := l.kit.Live.Get(ctx, client.ObjectKeyFromObject(w), &c)
	switch {
	case apierrors.IsNotFound(err):
		if err := l.createCheckpoint(ctx, w, &c); err != nil {
			return err
		}
	case err != nil:
		return err
	case !metav1.IsControlledBy(&c, w):
		return fault.Waiting(fault.ReasonInProgress, gather, "it belongs to an earlier workflow of this name, which is still being removed")
	}
	l.memory.version, l.memory.plan = c.ResourceVersion, c.Status.Plan
	if len(c.Status.Data) == 0 {
		return l.beginOrRebuild(ctx, w)
	}
	ledger, err := saga.Decode(c.Status.Data)
	if err != nil {
		return unreadable(err)
	}
	l.memory.ledger, l.memory.durable = ledger, true
	return nil
}

// unreadable is for a ledger that nobody may write over: it may be right, and only we too old for it.
func unreadable(err error) error {
	advice := "; it is left as it is"
	if errors.Is(err, saga.ErrCorrupt) {
		advice += ": put its status.data back from a copy, or take the Checkpoint away together with its finalizer, and it is made anew from the children"
	}
	return fault.New(fault.Terminal, fault.ReasonCodecUnknown, "%w%s", err, advice)
}

func (l *look) createCheckpoint(ctx context.Context, w *v1alpha1.BatchWorkflow, c *v1alpha1.Checkpoint) error {
	*c = v1alpha1.Checkpoint{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.Namespace, Name: w.Name, Finalizers: []string{v1alpha1.Finalizer},
		Labels:          map[string]string{v1alpha1.LabelWorkflow: w.Name},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(w, v1alpha1.GroupVersion.WithKind("BatchWorkflow"))},
	}}
	return l.kit.Client.Create(ctx, c, l.kit.Owner)
}

// record makes the ledger durable before anything is done about it. The patch carries the resourceVersion that we know: when
// somebody else wrote in between, it is refused, and we read anew instead of acting on what we believed.
func (l *look) record(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	if l.next == l.memory.ledger && l.plan == l.memory.plan && l.memory.durable {
		return nil
	}
	data, err := saga.Encode(l.next)
	if err != nil {
		return fault.New(fault.Terminal, fault.ReasonInvalid, "encoding the ledger: %w", err)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": l.memory.version},
		"status":   l.status(data),
	})
	if err != nil {
		return err
	}
	c := &v1alpha1.Checkpoint{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: w.Name}}
	if err := l.kit.Client.Status().Patch(ctx, c, client.RawPatch(types.MergePatchType, patch), l.kit.Owner); err != nil {
		l.memory.forget() // also when the write may have been done: the Checkpoint tells
		return err
	}
	l.memory.ledger, l.memory.plan, l.memory.version, l.memory.durable = l.next, l.plan, c.ResourceVersion, true
	l.recorded = true
	l.pulse.ledgers.Observe(float64(len(data)))
	return nil
}

var errOld = errors.New("somebody else wrote the ledger: it is read again")

// newest makes sure that what we are about to do follows from the newest ledger. A look that wrote it knows. One that did not
// may remember a ledger that another operator has gone on from since, and would then make and delete against it for ever.
func (l *look) newest(ctx context.Context, w *v1alpha1.BatchWorkflow) error {
	if l.recorded {
		return nil
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Checkpoint"))
	if err := l.kit.Live.Get(ctx, client.ObjectKeyFromObject(w), found); err != nil {
		l.memory.forget()
		return fault.During(err, "looking whether the ledger is the newest")
	}
	if found.ResourceVersion != l.memory.version {
		l.memory.forget()
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("checkpoints").GroupResource(), w.Name, errOld)
	}
	return nil
}

// removeCheckpoint deletes the Checkpoint of a workflow that is going: its finalizer is ours.
func (r *Reconciler) removeCheckpoint(ctx context.Context, key types.NamespacedName, owned func(*v1alpha1.Checkpoint) bool) error {
	var c v1alpha1.Checkpoint
	if err := r.kit.Live.Get(ctx, key, &c); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !owned(&c) {
		return nil
	}
	if c.DeletionTimestamp == nil {
		if err := r.kit.Client.Delete(ctx, &c, client.Preconditions{UID: &c.UID}); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	base := c.DeepCopy()
	if !controllerutil.RemoveFinalizer(&c, v1alpha1.Finalizer) {
		return nil
	}
	return client.IgnoreNotFound(r.kit.Client.Patch(ctx, &c, client.MergeFrom(base), r.kit.Owner))
}

// releaseCheckpoint lets a deleted Checkpoint go whose workflow no longer exists: somebody took the workflow's finalizer away.
func (r *Reconciler) releaseCheckpoint(ctx context.Context, key types.NamespacedName) error {
	return r.removeCheckpoint(ctx, key, func(c *v1alpha1.Checkpoint) bool { return c.DeletionTimestamp != nil })
}
