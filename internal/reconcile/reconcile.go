// Package reconcile knows the frame that every controller walks: finalizer, steps, conditions, one status write, the result.
// It must not know what any controller decides or does: it imports the API, fault and controller-runtime.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Object is a reconciled kind: a pointer type of api/v1alpha1.
type Object interface {
	client.Object
	v1alpha1.Object
}

// Step is one part of a reconcile. nil means done, go on; any error ends the walk and says by its fault class what comes next.
type Step[T Object] func(ctx context.Context, obj T) error

// Kit is what every controller is given. All fields but Until are required.
type Kit struct {
	Client client.Client        // reads come from the cache, writes go to the API server
	Live   client.Reader        // reads that bypass the cache
	Events events.EventRecorder // one event a transition
	Owner  client.FieldOwner    // the field manager of our writes
	Now    func() time.Time
	// Until returns the moment at which our lease ends; deeds carry a context that ends there. nil: no lease, no bound.
	Until func() time.Time
}

// Part says which condition a walk decides and how the object's summary follows from it.
type Part[T Object] struct {
	// Condition that the walk's outcome is written to; "" means Ready.
	Condition string
	// Reason of that condition when the walk ends without error; "" means Ready.
	Reason string
	// Summarise derives phase, Ready, Reconciling and Stalled from the parts. Only for kinds that several controllers write.
	Summarise func(T)
}

// Run walks the frame for a kind that one controller owns: its outcome is the condition Ready.
//
//	deleting: finalize, then the finalizer goes      otherwise: the finalizer comes, then the steps in order
//
// Whatever happens, the status is written at most once at the end, and only when it changed; a panic becomes a retried error.
// A nil finalize means that the kind holds nothing outside and needs no finalizer.
func Run[T Object](ctx context.Context, kit Kit, obj T, finalize Step[T], steps ...Step[T]) (ctrl.Result, error) {
	return RunPart(ctx, kit, Part[T]{}, obj, finalize, steps...)
}

// RunPart is Run for a controller that decides one condition of a kind that it shares with others.
func RunPart[T Object](ctx context.Context, kit Kit, part Part[T], obj T, finalize Step[T], steps ...Step[T]) (ctrl.Result, error) {
	ctx, cancel := kit.bound(ctx)
	defer cancel()
	record := newRecord(kit, obj)
	ctx = context.WithValue(ctx, recordKey{}, record)

	deleting := !obj.GetDeletionTimestamp().IsZero()
	if deleting && (finalize == nil || !controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer)) {
		return ctrl.Result{}, nil
	}
	err := guard(func() error { return walk(ctx, kit, obj, deleting, finalize, steps) })
	if deleting && err == nil {
		return kit.release(ctx, obj)
	}
	if conflict(err) {
		return Stale, nil
	}
	result, verdict := Result(err, deleting)
	verdict.apply(obj, part.Condition, part.Reason, kit.Now())
	if part.Summarise != nil {
		part.Summarise(obj)
	}
	if werr := record.write(ctx, obj); werr != nil {
		return whenLost(werr)
	}
	kit.announce(obj, record.first, verdict)
	if fault.ClassOf(err) == fault.Retry && err != nil && fault.AfterOf(err) == 0 {
		return ctrl.Result{}, err // the queue's own exponential backoff with its cap
	}
	return result, nil
}

// Stale is the result of a lost compare-and-swap: we acted on an old copy. Look again shortly; it is not an error.
var Stale = ctrl.Result{RequeueAfter: 200 * time.Millisecond}

func walk[T Object](ctx context.Context, kit Kit, obj T, deleting bool, finalize Step[T], steps []Step[T]) error {
	if deleting {
		return finalize(ctx, obj)
	}
	if finalize != nil {
		if err := kit.hold(ctx, obj); err != nil {
			return err
		}
	}
	for _, step := range steps {
		if err := step(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// bound ends ctx when our lease ends, so that no deed outlives our right to do it.
func (k Kit) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if k.Until == nil {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, k.Until())
}

// hold writes the finalizer before anything is made outside. Children of a workflow carry it from their POST.
func (k Kit) hold(ctx context.Context, obj client.Object) error {
	if controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
		return nil
	}
	return k.patchFinalizers(ctx, obj, controllerutil.AddFinalizer)
}

// release removes the finalizer. The object may be gone at once, so nothing is written after it.
func (k Kit) release(ctx context.Context, obj client.Object) (ctrl.Result, error) {
	err := k.patchFinalizers(ctx, obj, controllerutil.RemoveFinalizer)
	if err == nil || apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	}
	return whenLost(err)
}

// patchFinalizers patches a copy, because the answer would overwrite what the steps put into the object's status.
func (k Kit) patchFinalizers(ctx context.Context, obj client.Object, change func(client.Object, string) bool) error {
	next := obj.DeepCopyObject().(client.Object)
	change(next, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(obj.DeepCopyObject().(client.Object), client.MergeFromWithOptimisticLock{})
	if err := k.Client.Patch(ctx, next, patch, k.Owner); err != nil {
		return err
	}
	obj.SetFinalizers(next.GetFinalizers())
	obj.SetResourceVersion(next.GetResourceVersion())
	return nil
}

// guard turns a panic into an error: a bug in one reconcile stays there.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := debug.Stack()
			err = fault.New(fault.Retry, fault.ReasonPanic, "a bug in keelway: %v\n%s", p, stack[:min(len(stack), 2048)])
		}
	}()
	return do()
}

func conflict(err error) bool { return err != nil && apierrors.IsConflict(err) }

// whenLost is the result of a status or finalizer write that failed: a conflict and a vanished object are no errors.
func whenLost(err error) (ctrl.Result, error) {
	if conflict(err) {
		return Stale, nil
	}
	if apierrors.IsNotFound(err) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, fmt.Errorf("writing status: %w", err)
}

// announce emits one event when the verdict changed what people see.
func (k Kit) announce(obj Object, before seen, v Verdict) {
	after, ready := see(obj), Condition(obj, v1alpha1.ReadyCondition)
	if after == before || ready == nil {
		return
	}
	kind := corev1.EventTypeNormal
	if v.Stalled {
		kind = corev1.EventTypeWarning
	}
	k.Events.Eventf(obj, nil, kind, ready.Reason, "Reconcile", "%s", ready.Message)
}

// ErrNoRecord says that Record was called outside of Run.
var ErrNoRecord = errors.New("reconcile: Record called outside of Run")
