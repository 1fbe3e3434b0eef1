package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/saga"
)

// floor says which writes a piece of work cannot do without, whoever does it: each workflow and its Checkpoint are created, the ledger is
// written once a wave and the workflow's status at the end; each child is created and its status written when it begins and when it ends.
type floor struct {
	workflows int
	waves     int // what starts together once the wave before has ended
	children  int // of all workflows
	writes    int // for a child: its creation, and its status
	undone    bool
}

// writers is how many requests are under way at once: more only lengthen the queue of a small API server.
const writers = 16

// necessary is how many writes that are.
func (f floor) necessary() int {
	n := f.workflows*(2+f.waves+1) + f.children*f.writes
	if f.undone {
		n += 2 * f.children
	}
	return n
}

// play makes those writes as fast as a bare client can, and returns how long that took.
func (f floor) play(ctx context.Context, c client.Client, workflows []*v1alpha1.BatchWorkflow) (time.Duration, error) {
	ledgers := make([][]byte, len(workflows))
	for i, w := range workflows {
		var err error
		if ledgers[i], err = ledgerOf(w); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	err := each(len(workflows), func(i int) error {
		w := workflows[i]
		if err := c.Create(ctx, w); err != nil {
			return err
		}
		checkpoint := &v1alpha1.Checkpoint{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: w.Name}}
		if err := c.Create(ctx, checkpoint); err != nil {
			return err
		}
		for wave := range f.waves {
			if err := f.wave(ctx, c, w, wave); err != nil {
				return err
			}
			base := checkpoint.DeepCopy()
			checkpoint.Status.Data = append(bytes.Clone(ledgers[i]), byte(wave)) // a write that changes nothing would not be one
			if err := c.Status().Patch(ctx, checkpoint, client.MergeFrom(base)); err != nil {
				return err
			}
		}
		base := w.DeepCopy()
		w.Status.Phase = v1alpha1.WorkflowSucceeded
		return c.Status().Patch(ctx, w, client.MergeFrom(base))
	})
	return time.Since(began), err
}

// wave creates the children of one wave, or takes those of an earlier one away, and writes their status.
func (f floor) wave(ctx context.Context, c client.Client, w *v1alpha1.BatchWorkflow, wave int) error {
	forward := f.waves
	if f.undone {
		forward /= 2
	}
	size := f.children / max(1, forward)
	return each(size, func(i int) error {
		s := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: fmt.Sprintf("floor-%d-%d", wave%forward, i)}}
		s.Spec.ProviderRef.Name = providerName
		if wave >= forward {
			return c.Delete(ctx, s)
		}
		s.Labels = map[string]string{v1alpha1.LabelWorkflow: w.Name}
		if err := c.Create(ctx, s); err != nil {
			return err
		}
		for n := range f.writes - 1 {
			base := s.DeepCopy()
			s.Status.ID, s.Status.Attempt = "machine-"+s.Name, int32(n+1)
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Now()}}
			if err := c.Status().Patch(ctx, s, client.MergeFrom(base)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ledgerOf is what is written at each wave: that the operations of this workflow have ended, or not, takes as many bytes as our own ledger.
func ledgerOf(w *v1alpha1.BatchWorkflow) ([]byte, error) {
	compiled, err := plan.Compile(w, nil)
	if err != nil {
		return nil, err
	}
	ledger, err := compiled.Start(time.Now().Unix())
	if err != nil {
		return nil, err
	}
	return saga.Encode(ledger)
}

// each does something for 0 to n-1, several at once.
func each(n int, do func(int) error) error {
	var group errgroup.Group
	group.SetLimit(writers)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}
