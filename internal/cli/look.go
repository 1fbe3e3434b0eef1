package cli

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
	"github.com/keelway/keelway/internal/view"
)

// maxChildren bounds how many children of a kind one look reads: a status lists 64 instances, and these are among the first.
const maxChildren = 500

// look takes a snapshot of a workflow and its children. Its Workflow is nil when there is none.
func (c *cluster) look(ctx context.Context, name string) (*view.Snapshot, error) {
	s := &view.Snapshot{Workflow: &v1alpha1.BatchWorkflow{}}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, s.Workflow)
	switch {
	case apierrors.IsNotFound(err) && explainCluster(err) == nil:
		s.Workflow = nil
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("reading BatchWorkflow %s: %w", name, err)
	}
	var servers v1alpha1.ServerList
	var services v1alpha1.TaskServiceList
	var runs v1alpha1.RunList
	for _, list := range []client.ObjectList{&servers, &services, &runs} {
		err := c.List(ctx, list, client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.LabelWorkflow: name}, client.Limit(maxChildren))
		if err != nil && !apierrors.IsForbidden(err) { // who may not see the children sees the workflow
			return nil, fmt.Errorf("reading what workflow %s made: %w", name, err)
		}
	}
	s.Servers, s.Services, s.Runs = servers.Items, services.Items, runs.Items
	if s.Ledger, err = c.ledger(ctx, name); err != nil {
		s.Ledger = nil // the status tells less, and enough
	}
	return s, nil
}

// ledger reads and decodes what a workflow knows; nil when it has not begun.
func (c *cluster) ledger(ctx context.Context, name string) (*saga.Ledger, error) {
	checkpoint := &v1alpha1.Checkpoint{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, checkpoint)
	switch {
	case apierrors.IsNotFound(err) && explainCluster(err) == nil:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading Checkpoint %s: %w", name, err)
	case len(checkpoint.Status.Data) == 0:
		return nil, nil
	}
	ledger, err := saga.Decode(checkpoint.Status.Data)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger of workflow %s: %w", name, err)
	}
	return ledger, nil
}
