package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/provider"
)

// finalize ends the machine and lets the object go when the provider said twice that the machine is gone. Nothing is ever given
// up because it takes long: what holds the object is in its condition.
func (v *visit) finalize(ctx context.Context, s *v1alpha1.Server) error {
	if v.r.launcher.leave(plan.Key(v.key())) {
		return fault.Waiting(fault.ReasonInProgress, 2*time.Second, "a request that makes this Server's machine is under way: it is deleted afterwards")
	}
	_ = v.answer(ctx, s) // a raised attempt asks for another try of the deletion, too
	users, err := v.users(ctx)
	if err != nil {
		return err
	}
	v.seen.Users = users
	v.yield()
	v.seen.Abandoned = plan.NamedIn(s.Annotations[v1alpha1.AnnotationAbandon]).Has(s.Status.ID)
	protected := s.Spec.DeletionProtection == v1alpha1.SwitchEnabled
	if protected || len(users) > 0 || s.Spec.DeletionPolicy == v1alpha1.DeletionOrphan || v.seen.Abandoned {
		err := v.work(ctx) // all four are decided without a provider
		if err == nil && v.seen.Abandoned {
			v.r.Kit.Events.Eventf(s, nil, corev1.EventTypeWarning, "Abandoned", "Abandon", "machine %s of Provider %s at account %s is left as it is, and what it costs is no longer looked after",
				s.Status.ID, s.Spec.ProviderRef.Name, s.Status.Account)
			ctrl.LoggerFrom(ctx).Info("machine abandoned", "machine", s.Status.ID, "account", s.Status.Account)
		}
		return stopping(err)
	}
	never, err := v.openToDelete(ctx)
	if err == nil && !never {
		err = v.work(ctx)
	}
	if err == nil && !never {
		err = v.tidy(ctx)
	}
	if early, ok := errors.AsType[*unseen](err); ok {
		return v.postponed(early)
	}
	if err == nil {
		v.leaveQueue()
		v.ended = true
	}
	return stopping(wayOut(err, s.Status.ID))
}

// wayOut tells people how to go without a machine that nobody can end. Waiting for an end that is under way needs no such advice.
func wayOut(err error, id string) error {
	if err == nil || id == "" || fault.IsWait(err) && fault.ReasonOf(err) != fault.ReasonDeletionBlocked {
		return err
	}
	return &fault.Error{Class: fault.ClassOf(err), Reason: fault.ReasonOf(err), After: fault.AfterOf(err),
		Err: fmt.Errorf("%w; to leave the machine behind, set the annotation %s=%s", err, v1alpha1.AnnotationAbandon, id)}
}

// yield gives back a slot that a Server which only waits for its users does not need: nothing of it is in the making.
func (v *visit) yield() {
	now, _ := v.r.Inventory.Snapshot(v.server.Status.Account)
	made, ok := now.ByID(v.server.Status.ID)
	if !v.r.memory.tried(v.name) || ok && made.State != provider.Pending {
		v.leaveQueue()
	}
}

// openToDelete opens the account. Where that cannot be done the object stays, unless never anything was made for it.
func (v *visit) openToDelete(ctx context.Context) (never bool, err error) {
	if err = v.open(ctx); err == nil {
		return false, nil
	}
	if never, nerr := v.neverTried(ctx); never || nerr != nil {
		return never, nerr
	}
	what := "what was made for it"
	if v.server.Status.ID != "" {
		what = "machine " + v.server.Status.ID
	}
	blocked := &fault.Error{
		Class: fault.ClassOf(err), Reason: fault.ReasonDeletionBlocked, After: fault.AfterOf(err),
		Doing: what + " cannot be deleted", Err: err,
	}
	if blocked.Class == fault.Terminal {
		blocked.Class = fault.Wait // a deletion is never given up
	}
	return false, blocked
}

// neverTried says whether certainly no Create was ever sent for the object. One is sent only while its Provider is Ready, which
// has an account then and a finalizer, and stays while a Server refers to it. So nothing was sent when the Provider is not
// there, or never had an account. A Provider whose finalizer was taken off by force is beyond this: a Server that had got as
// far as an account keeps waiting for it.
func (v *visit) neverTried(ctx context.Context) (bool, error) {
	if v.server.Status.ID != "" || v.server.Status.Account != "" || v.r.memory.tried(v.name) {
		return false, nil
	}
	p, err := v.findProvider(ctx, v.r.Kit.Live)
	switch {
	case err == nil:
		return p.Status.Account == "", nil
	case fault.ReasonOf(err) == fault.ReasonProviderNotFound:
		return true, nil
	}
	return false, err
}

// tidy lets nothing be left of what machines share when the last Server goes that had a part in it: one whose machine was refused, or ended
// by another hand, has no Delete that would. While any machine is there, its own end will.
func (v *visit) tidy(ctx context.Context) error {
	tidier, ok := provider.As[provider.Tidier](v.door.Provider)
	if !ok {
		return nil
	}
	if now, looked := v.r.Inventory.Snapshot(v.door.account.ID); looked && slices.ContainsFunc(now.All(), func(i provider.Instance) bool { return i.State != provider.Terminating }) {
		return nil
	}
	calling, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return tidier.Tidy(calling)
}

// delete asks for the machine's end. An answer that it is gone is one of the two that it takes; the other is a look that begins later.
func (v *visit) delete(ctx context.Context, id string) error {
	err := v.door.Delete(ctx, id)
	v.r.Inventory.Deed(v.door.account.ID)
	if !fault.IsGone(err) { // otherwise nothing was done, and who looked since the last deed need not look again
		v.r.memory.deed(v.name, v.r.Kit.Now())
	}
	switch {
	case fault.IsGone(err):
		if id == v.seen.Recorded {
			v.seen.Absences++
		}
	case err != nil:
		return fault.During(err, "deleting machine %s", id)
	default:
		v.r.memory.shown(v.name)
		v.seen.Ending, v.seen.Looked, v.seen.Machines, v.seen.Absences = true, false, nil, 0
		v.leaveQueue() // it is no longer in the making
	}
	return nil
}

// leaving says whether a Server only waits for others to let it go.
func leaving(s *v1alpha1.Server) bool { return !s.DeletionTimestamp.IsZero() }

// settledServer says whether the provider's side has nothing to do for a Server.
func settledServer(s *v1alpha1.Server) bool {
	return !leaving(s) && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ProvisionedCondition)
}
