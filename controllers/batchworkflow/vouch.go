package batchworkflow

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// requests are what people ask for. To a new approval belongs who gave it, where that can be believed.
func (l *look) requests(ctx context.Context, w *v1alpha1.BatchWorkflow) (plan.Requests, error) {
	asked, by := plan.RequestsIn(w.Annotations), w.Annotations[v1alpha1.AnnotationApprovedBy]
	if by == "" || !asked.New(l.memory.ledger, v1alpha1.VerbApprove) {
		return asked, nil
	}
	vouched, err := l.vouched(ctx, w)
	if err != nil {
		return nil, fault.During(err, "looking whether %s can be believed", v1alpha1.AnnotationApprovedBy)
	}
	if vouched {
		asked[plan.ApprovedBy] = by
	}
	return asked, nil
}

// forger is a name that nobody has.
const forger = "keelway.dev/forged"

// vouched tries, as a dry run, to do what the admission policies forbid: to write by hand who approved. Where that is refused, what
// is written there came from them. To read whether the policies exist would prove less: they may be bound to other namespaces.
func (l *look) vouched(ctx context.Context, w *v1alpha1.BatchWorkflow) (bool, error) {
	forged := w.DeepCopy()
	forged.Annotations[v1alpha1.AnnotationApprovedBy] = forger
	err := l.kit.Client.Patch(ctx, forged, client.MergeFrom(w), l.kit.Owner, client.DryRunAll)
	if apierrors.IsInvalid(err) && strings.Contains(err.Error(), v1alpha1.AnnotationApprovedBy) {
		return true, nil
	}
	return false, err
}
