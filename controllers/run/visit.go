package run

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
	"github.com/keelway/keelway/internal/runner"
	"github.com/keelway/keelway/internal/transport"
)

// visit is one look at one Run: what each step learns for the next.
type visit struct {
	*Reconciler
	server *v1alpha1.Server // the target's; nil when there is none
	seen   plan.RunSeen
}

const (
	tripTimeout  = 30 * time.Second // of everything that one look does on a machine
	refusedPause = 5 * time.Second  // until a machine that did not take a run is asked again
)

// target finds the Server. One that is not there is no error here: the plan says what that means.
func (v *visit) target(ctx context.Context, one *v1alpha1.Run) error {
	v.seen = plan.RunSeen{
		UID: string(one.UID), Deleting: !one.DeletionTimestamp.IsZero(), Asked: plan.Attempt(one), Spec: one.Spec, Status: one.Status,
	}
	if one.Spec.Target == nil {
		return nil
	}
	name, server := one.Spec.Target.ServerRef.Name, &v1alpha1.Server{}
	switch err := v.kit.Client.Get(ctx, client.ObjectKey{Namespace: one.Namespace, Name: name}, server); {
	case err == nil:
		v.server, v.seen.Machine = server, server.Status.ID
	case client.IgnoreNotFound(err) != nil:
		return err
	}
	v.seen.State, v.seen.Why = plan.Standing(name, v.server)
	return nil
}

// observe asks the machine how the recorded run stands.
func (v *visit) observe(ctx context.Context, one *v1alpha1.Run) error {
	s := one.Status
	if s.ID == "" || plan.Ended(s.Phase) || v.seen.State != plan.HostReady || v.seen.Machine != s.Machine {
		return nil
	}
	v.seen.Err = v.on(ctx, func(ctx context.Context, tr transport.Transport) error {
		status, err := runner.Poll(ctx, tr, s.ID)
		if err == nil {
			said := translate(one.Spec, status)
			v.seen.Said = &said
		}
		return err
	})
	return ctx.Err()
}

// act decides, records the decision, and only then does it.
func (v *visit) act(ctx context.Context, one *v1alpha1.Run) error {
	step := plan.Run(v.seen, v.kit.Now())
	if plan.Ended(one.Status.Phase) && !plan.Ended(step.Status.Phase) {
		v.reopen(one)
		step.Status.Conditions = one.Status.Conditions
	}
	before := one.Status
	one.Status = step.Status
	switch step.Do {
	case plan.OnceStart:
		if err := v.order(ctx, one); err != nil {
			return err
		}
		if err := v.start(ctx, one); err != nil {
			return v.refused(one, err)
		}
	case plan.OnceProbe:
		return v.ask(ctx, one, &step)
	case plan.OnceNone:
		if plan.Ended(before.Phase) {
			return repeat(one)
		}
	}
	return step.Outcome
}

// order makes the start durable. Where it is recorded already, it has to be the newest that is recorded: an old copy would start
// again what has ended and is forgotten.
func (v *visit) order(ctx context.Context, one *v1alpha1.Run) error {
	before := one.ResourceVersion
	if err := reconcile.Record(ctx, one); err != nil || one.ResourceVersion != before {
		return err
	}
	return reconcile.Confirm(ctx, v.kit, one)
}

// reopen takes back what the conditions said of the last attempt, in the write that begins the next one.
func (v *visit) reopen(one *v1alpha1.Run) {
	const words = "is done once more"
	now := v.kit.Now()
	reconcile.Set(one, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonProgressing, words, now)
	reconcile.Flag(one, v1alpha1.ReconcilingCondition, true, v1alpha1.ReasonProgressing, words, now)
	reconcile.Flag(one, v1alpha1.StalledCondition, false, "", "", now)
	reconcile.Flag(one, v1alpha1.SucceededCondition, false, "", "", now)
}

// repeat is the outcome that an ended Run had: its conditions say it already.
func repeat(one *v1alpha1.Run) error {
	ready := meta.FindStatusCondition(one.Status.Conditions, v1alpha1.ReadyCondition)
	if one.Status.Phase == v1alpha1.RunSucceeded || ready == nil {
		return nil
	}
	return fault.New(fault.Terminal, fault.Reason(ready.Reason), "%s", ready.Message)
}

// refused says what it means that a run could not be started. What never can be ends the Run; else the id is tried again.
func (v *visit) refused(one *v1alpha1.Run, err error) error {
	switch {
	case !fault.IsTerminal(err):
		return fault.Waiting(fault.ReasonOf(err), max(refusedPause, fault.AfterOf(err)), "%w", err)
	case fault.ReasonOf(err) != fault.ReasonDriverNotAllowed: // an installation may admit it tomorrow
		one.Status.Phase = v1alpha1.RunFailed
		now := metav1.NewTime(v.kit.Now())
		one.Status.FinishedAt = &now
	}
	return err
}

// summarise adds the condition Succeeded to what the frame said.
func (r *Reconciler) summarise(one *v1alpha1.Run) {
	ready := reconcile.Condition(one, v1alpha1.ReadyCondition)
	switch one.Status.Phase {
	case v1alpha1.RunSucceeded:
		reconcile.Set(one, v1alpha1.SucceededCondition, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, ready.Message, r.kit.Now())
	case v1alpha1.RunFailed, v1alpha1.RunUnknown:
		reconcile.Set(one, v1alpha1.SucceededCondition, metav1.ConditionFalse, ready.Reason, ready.Message, r.kit.Now())
	default:
		reconcile.Flag(one, v1alpha1.SucceededCondition, false, "", "", r.kit.Now())
	}
	if one.Status.Phase == "" {
		one.Status.Phase = v1alpha1.RunPending
	}
}

// leave ends what a deleting Run has on its machine.
func (v *visit) leave(ctx context.Context, one *v1alpha1.Run) error {
	if err := v.target(ctx, one); err != nil {
		return err
	}
	one.Status.Attempt = max(one.Status.Attempt, plan.Attempt(one)) // a raised attempt asks for another try of the deletion, too
	step := plan.Run(v.seen, v.kit.Now())
	if step.Note != "" {
		v.kit.Events.Eventf(one, nil, corev1.EventTypeNormal, "StopSkipped", "Stop", "%s", step.Note)
	}
	if step.Do != plan.OnceEnd {
		return step.Outcome
	}
	err := v.on(ctx, func(ctx context.Context, tr transport.Transport) error {
		if err := runner.Stop(ctx, tr, one.Status.ID); err != nil {
			return err
		}
		return runner.Forget(ctx, tr, one.Status.ID)
	})
	if fault.IsGone(err) || err != nil && plan.Ended(one.Status.Phase) {
		return nil // the machine is gone, or only a directory of a few files stays behind on one that does not answer
	}
	return fault.During(err, "ending the run on Server %s", one.Spec.Target.ServerRef.Name)
}

// forget removes what the machine keeps of a run whose result is recorded. If it fails, the Run's deletion does it.
func (v *visit) forget(ctx context.Context, one *v1alpha1.Run) {
	if one.Status.ID == "" || v.seen.State != plan.HostReady || v.seen.Machine != one.Status.Machine {
		return
	}
	_ = v.on(ctx, func(ctx context.Context, tr transport.Transport) error { return runner.Forget(ctx, tr, one.Status.ID) })
}

// on opens the way to the target's machine for one call.
func (v *visit) on(ctx context.Context, do func(context.Context, transport.Transport) error) error {
	ctx, stop := context.WithTimeout(ctx, tripTimeout)
	defer stop()
	tr, err := v.connector.Open(ctx, v.server)
	if err != nil {
		return err
	}
	defer func() { _ = tr.Close() }() // what was done is done
	return do(ctx, tr)
}
