package taskservice

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
)

// act decides, records the decision, and only then does it: a crash in between finds the recorded run and starts it.
func (v *visit) act(ctx context.Context, t *v1alpha1.TaskService) error {
	step := v.decide(t)
	t.Status.Ready, t.Status.Total = step.Ready, step.Total
	t.Status.Progress = fmt.Sprintf("%d/%d", step.Ready, step.Total)
	if step.Outcome == nil {
		t.Status.Version = t.Status.Resolved.Version
	}
	if err := v.order(ctx, t, step); err != nil {
		return err
	}
	v.do(ctx, t, step)
	return step.Outcome
}

// order makes the decision durable. Where nothing is new in it and yet a run is to be started, it has to be the newest that is
// recorded: an old copy would apply again what was applied and is forgotten.
func (v *visit) order(ctx context.Context, t *v1alpha1.TaskService, step plan.ServiceStep) error {
	before := t.ResourceVersion
	if err := reconcile.Record(ctx, t); err != nil || t.ResourceVersion != before {
		return err
	}
	if !slices.ContainsFunc(step.Actions, func(a plan.RunAction) bool { return starts(a.Do) && a.Do != plan.RunHealth && a.Do != plan.RunDrift }) {
		return nil
	}
	return reconcile.Confirm(ctx, v.kit, t)
}

// decide asks the plan and puts its answer into the status, in memory.
func (v *visit) decide(t *v1alpha1.TaskService) plan.ServiceStep {
	now := v.kit.Now()
	if v.memo.moved.IsZero() {
		v.memo.moved = now
	}
	seen := plan.ServiceSeen{
		UID: string(t.UID), Deleting: !t.DeletionTimestamp.IsZero(), Interval: t.Spec.Health.Interval.Duration,
		Pause: plan.PollPause(now.Sub(v.memo.moved)), Slots: int(t.Spec.Rollout.MaxUnavailable), Drift: t.Spec.DriftPolicy,
	}
	if seen.Interval <= 0 {
		seen.Interval = defaultInterval
	}
	if t.Status.Resolved != nil {
		seen.Version = t.Status.Resolved.Version
	}
	for _, h := range v.hosts {
		seen.Hosts = append(seen.Hosts, h.Host)
	}
	step := plan.TaskService(seen, now)
	if !equality.Semantic.DeepEqual(step.Servers, t.Status.Servers) {
		v.memo.moved = now
	}
	t.Status.Servers = step.Servers
	v.wake = step.Wake
	return step
}

// defaultInterval is that of the API, for objects that were made without its defaults.
const defaultInterval = 30 * time.Second

// deed is an action and how it went.
type deed struct {
	plan.RunAction
	err error
}

// do carries the actions out on all machines at once. A failure stays with its server: it is told there, and the next look
// finds out what became of it.
func (v *visit) do(ctx context.Context, t *v1alpha1.TaskService, step plan.ServiceStep) {
	deeds := make([]deed, len(step.Actions))
	for i, action := range step.Actions {
		deeds[i] = deed{RunAction: action}
	}
	each(deeds, func(d *deed) { d.err = v.carryOut(ctx, t, d.RunAction) })
	for _, d := range deeds {
		v.memo.looks[d.Server] = d.Look
		v.settle(t, d)
	}
}

// carryOut does one action. Forgetting is best effort but where it is the point of the action.
func (v *visit) carryOut(ctx context.Context, t *v1alpha1.TaskService, a plan.RunAction) error {
	idle := a.Do == plan.RunNone || a.Do == plan.RunWait
	if idle && len(a.Forget) == 0 {
		return nil
	}
	var script runner.Script
	if starts(a.Do) {
		var err error
		if script, err = v.script(ctx, t, a.Do, a.Server); err != nil {
			return err
		}
	}
	return v.on(ctx, a.Server, func(ctx context.Context, tr transport.Transport) error {
		for _, id := range a.Forget {
			if err := runner.Forget(ctx, tr, id); err != nil && a.Do == plan.RunDrop {
				return err
			}
		}
		for _, id := range a.Halt {
			if err := v.halt(ctx, tr, id); err != nil {
				return err
			}
		}
		switch {
		case a.Do == plan.RunStop:
			return v.halt(ctx, tr, a.ID)
		case starts(a.Do):
			return runner.Start(ctx, tr, a.ID, script)
		}
		return nil
	})
}

func starts(do plan.RunVerb) bool {
	return slices.Contains([]plan.RunVerb{plan.RunCheck, plan.RunApply, plan.RunVerify, plan.RunHealth, plan.RunDrift, plan.RunRemove}, do)
}

func (v *visit) halt(ctx context.Context, tr transport.Transport, id string) error {
	if err := runner.Stop(ctx, tr, id); err != nil {
		return err
	}
	return runner.Forget(ctx, tr, id)
}

// settle takes over how an action went: the status that follows from it, or why it could not be done.
func (v *visit) settle(t *v1alpha1.TaskService, d deed) {
	i := slices.IndexFunc(t.Status.Servers, func(s v1alpha1.ServiceOnServer) bool { return s.Name == d.Server })
	if i < 0 {
		return
	}
	s := &t.Status.Servers[i]
	switch {
	case d.err != nil:
		plan.NotDone(s, d.err)
	case d.Then != nil:
		*s = *d.Then
	case d.Do == plan.RunDrop:
		t.Status.Servers = slices.Delete(t.Status.Servers, i, i+1)
		delete(v.memo.looks, d.Server)
	}
}
