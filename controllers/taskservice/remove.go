package taskservice

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
)

// remove takes the service off every server that it was ever put on. It needs the recipe's remove script and the service's name
// and nothing else: parameters, Secrets and facts may be gone by now.
func (v *visit) remove(ctx context.Context, t *v1alpha1.TaskService) error {
	if err := v.retry(ctx, t); err != nil {
		return err
	}
	if err := v.find(ctx, t); err != nil {
		return err
	}
	_ = v.readSecrets(ctx, t) // only to redact with: without it, scripts that remove print no secrets, since they get none
	if err := v.observe(ctx, t); err != nil {
		return err
	}
	step := v.decide(t)
	t.Status.Ready = 0
	if err := v.removal(t, step); err != nil {
		return err
	}
	if err := v.order(ctx, t, step); err != nil {
		return err
	}
	for _, note := range step.Notes {
		v.kit.Events.Eventf(t, nil, corev1.EventTypeNormal, "RemoveSkipped", "Remove", "%s", note)
	}
	v.do(ctx, t, step)
	if step.Finished || len(t.Status.Servers) == 0 {
		v.wake = 0
		return nil
	}
	return step.Outcome
}

// removal finds the recipe when there is something to remove with it.
func (v *visit) removal(t *v1alpha1.TaskService, step plan.ServiceStep) error {
	for _, a := range step.Actions {
		if a.Do != plan.RunRemove {
			continue
		}
		recipe, err := v.catalog.Get(t.Spec.Recipe)
		if err != nil {
			return fault.During(err, "removing from server %s", a.Server)
		}
		v.recipe = recipe
		return nil
	}
	return nil
}
