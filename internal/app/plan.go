// Package app knows the use-cases that more than one surface offers, such as the command line: what is read, in which order, and whom
// it is handed to. It must not know how an answer looks, and decides nothing itself.
package app

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/saga"
)

// Plan says what would happen if a workflow were applied as it is given, with its defaults: a new one, or a changed one of which the
// cluster knows an earlier form. It reads alone: from the API server, and from no provider. The error is Terminal where the workflow can
// never work. A nil catalog leaves out what only recipes can tell.
func Plan(ctx context.Context, from client.Reader, workflow *v1alpha1.BatchWorkflow, recipes *plan.Recipes) (*plan.Preview, error) {
	compiled, err := plan.Compile(workflow, recipes)
	if err != nil {
		return nil, err
	}
	given := workflow.DeepCopy()
	ledger, err := ledgerOf(ctx, from, given)
	if err != nil {
		return nil, err
	}
	around, err := children.Around(ctx, from, given)
	if err != nil {
		return nil, err
	}
	sights := plan.Sights{}
	if ledger != nil {
		under, err := compiled.Under(ledger)
		if err != nil {
			return nil, err
		}
		places := under.Places(ledger)
		for kid := range around.Own() {
			sight := plan.Look(kid)
			if place := places.Of(kid.GetName()); place >= 0 && plan.Wants(under, ledger, place) {
				sights[place] = sight
			}
		}
	}
	return compiled.Foresee(ledger, plan.WorldOf(sights, around.Others(), around.Servers))
}

// ledgerOf reads what the workflow of that name is known to have done, and gives the workflow the identity that it has in the cluster.
// nil: nothing.
func ledgerOf(ctx context.Context, from client.Reader, workflow *v1alpha1.BatchWorkflow) (*saga.Ledger, error) {
	var live v1alpha1.BatchWorkflow
	var checkpoint v1alpha1.Checkpoint
	for _, o := range []client.Object{&live, &checkpoint} {
		if err := from.Get(ctx, client.ObjectKeyFromObject(workflow), o); apierrors.IsNotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, fault.During(err, "reading what workflow %s has done", workflow.Name)
		}
		workflow.UID = live.UID
	}
	if len(checkpoint.Status.Data) == 0 || !metav1.IsControlledBy(&checkpoint, &live) {
		return nil, nil
	}
	ledger, err := saga.Decode(checkpoint.Status.Data)
	if err != nil {
		return nil, fault.New(fault.Terminal, fault.ReasonCodecUnknown, "reading what workflow %s has done: %w", workflow.Name, err)
	}
	return ledger, nil
}

// Planned returns the whole plan that the operator has made for a workflow with spec.mode Plan or ApplyAfterApproval; nil: there is none.
func Planned(ctx context.Context, from client.Reader, workflow *v1alpha1.BatchWorkflow) (*plan.Preview, error) {
	var checkpoint v1alpha1.Checkpoint
	err := from.Get(ctx, client.ObjectKeyFromObject(workflow), &checkpoint)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fault.During(err, "reading the plan of workflow %s", workflow.Name)
	case checkpoint.Status.Plan == nil:
		return nil, nil
	}
	return plan.DecodePreview(checkpoint.Status.Plan.Data)
}
