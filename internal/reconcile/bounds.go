package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/internal/fault"
)

// Stale is the result of a lost compare-and-swap: we acted on an old copy. Look again shortly; it is not an error.
var Stale = ctrl.Result{RequeueAfter: 200 * time.Millisecond}

// closingTime is how long the last write may take after the walk's own time was up.
const closingTime = 10 * time.Second

// errLease is the cause of a context that ended with our lease.
var errLease = errors.New("the lease has ended")

// bound ends ctx when our lease ends, so that no deed outlives our right to do it. A lease that was renewed meanwhile ends later, and so
// does ctx: how short leases are does not say how long a deed may take.
func (k Kit) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if k.Until == nil {
		return context.WithCancel(ctx)
	}
	bounded, end := context.WithCancelCause(context.WithValue(ctx, untilKey{}, k.Until))
	left := time.Until(k.Until())
	if left <= 0 {
		end(errLease)
		return bounded, func() {}
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Hour, func() {
		if left := time.Until(k.Until()); left > 0 && bounded.Err() == nil {
			timer.Reset(left)
			return
		}
		end(errLease) // which changes nothing where it has ended before
	})
	timer.Reset(left)
	return bounded, func() { timer.Stop(); end(nil) }
}

// closing is the context of the last write. It outlives a walk that used up the controller's time for one reconcile, so that
// people see on the object that it did; it never outlives the lease.
func (k Kit) closing(ctx context.Context) (context.Context, context.CancelFunc) {
	bounded, stop := k.bound(context.WithoutCancel(ctx))
	timed, stopTimer := context.WithTimeout(bounded, closingTime)
	return timed, func() { stopTimer(); stop() }
}

// untilKey is what a context holds by that a lease bounds: its end.
type untilKey struct{}

// expired reports whether our lease has ended: then nothing of ours may be written any more. The clock tells, also where nobody has come
// round yet to end the context.
func expired(ctx context.Context) bool {
	until, bounded := ctx.Value(untilKey{}).(func() time.Time)
	return errors.Is(context.Cause(ctx), errLease) || bounded && !time.Now().Before(until())
}

// stopping reports whether the operator is ending: then an error says nothing about the object.
func stopping(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// bug is the error that a recovered panic becomes.
type bug struct{ value any }

func (b bug) Error() string { return fmt.Sprintf("a bug in keelway, please report it: %v", b.value) }

func panicked(err error) bool {
	_, ok := errors.AsType[bug](err)
	return ok
}

// guard turns a panic into an error: a bug in one reconcile stays there. The stack goes to the log and not to the object,
// where it would be of no use to a reader and different each time.
func guard(ctx context.Context, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			found := bug{p}
			ctrl.LoggerFrom(ctx).Error(found, "panic in a reconcile", "stack", string(debug.Stack()))
			err = &fault.Error{Class: fault.Retry, Reason: fault.ReasonPanic, Err: found}
		}
	}()
	return do()
}

func conflict(err error) bool { return err != nil && apierrors.IsConflict(err) }

// lost is the result of a write that failed: a conflict, a vanished object and the end of our lease are no errors.
func lost(ctx context.Context, err error, doing string) (ctrl.Result, error) {
	switch {
	case conflict(err), expired(ctx):
		return Stale, nil
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, fault.During(err, "%s", doing)
}
