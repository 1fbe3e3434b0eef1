// Package reconcile knows the frame that every controller walks: finalizer, steps, conditions, one status write, the result.
// It must not know what any controller decides or does: it imports the API, fault and controller-runtime.
package reconcile

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/keelway/keelway/api/v1alpha1"
)

// Object is a reconciled kind: a pointer type of api/v1alpha1.
type Object interface {
	client.Object
	v1alpha1.Object
}

// Step is one part of a reconcile. nil means done, go on; any error ends the walk and says by its fault class what comes next.
// A step changes the object's status only: the frame writes nothing else, and reports a step that changed spec or metadata.
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
	// ReasonOf replaces Reason where that follows from the object as the walk left it. nil: Reason.
	ReasonOf func(T) string
	// Message of that condition when the walk ends without error, from the object as the walk left it. nil: none.
	Message func(T) string
	// Summarise derives phase, Ready, Reconciling, Stalled and observedGeneration from the parts. Only for kinds that several
	// controllers write; it runs after the walk's own condition is set, and it must be a function of the object alone.
	Summarise func(T)
}

// Run walks the frame for a kind that one controller owns: its outcome is the condition Ready.
//
//	deleting: finalize, then the finalizer goes      otherwise: the finalizer comes, then the steps in order
//
// Whatever happens, the status is written at most once at the end, and only when it changed. A panic becomes a retried error,
// and what its walk had not yet recorded is dropped, as if the process had died there.
// A nil finalize means that the kind holds nothing outside and needs no finalizer.
func Run[T Object](ctx context.Context, kit Kit, obj T, finalize Step[T], steps ...Step[T]) (ctrl.Result, error) {
	return RunPart(ctx, kit, Part[T]{}, obj, finalize, steps...)
}

// RunPart is Run for a controller that decides one condition of a kind that it shares with others.
func RunPart[T Object](ctx context.Context, kit Kit, part Part[T], obj T, finalize Step[T], steps ...Step[T]) (ctrl.Result, error) {
	deleting := !obj.GetDeletionTimestamp().IsZero()
	if deleting {
		if finalize == nil || !controllerutil.ContainsFinalizer(obj, v1alpha1.Finalizer) {
			return ctrl.Result{}, nil
		}
		steps = []Step[T]{finalize}
	}
	doing, stop := kit.bound(ctx)
	defer stop()
	closing, stop := kit.closing(ctx)
	defer stop()

	if !deleting && finalize != nil {
		if err := kit.hold(doing, obj); err != nil {
			return lost(doing, err, "writing the finalizer")
		}
	}
	record := newRecord(kit, obj)
	err := guard(ctx, func() error { return walk(context.WithValue(doing, recordKey{}, record), obj, steps) })
	switch {
	case expired(doing), err != nil && stopping(doing):
		return Stale, nil // as if the process had died: nothing is known that the next walk does not find again
	case conflict(err): // another object was written meanwhile; what this walk learnt about its own stays true
		if err := record.write(closing, obj); err != nil {
			return lost(closing, err, "writing status")
		}
		return Stale, nil
	case deleting && err == nil:
		return kit.release(closing, obj)
	}
	return conclude(closing, kit, part, obj, record, err)
}

// walk takes the steps in order. The first error ends it, and so does the end of our time.
func walk[T Object](ctx context.Context, obj T, steps []Step[T]) error {
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// conclude writes what the walk's outcome means into the status, tells people once, and says when to look again.
func conclude[T Object](ctx context.Context, kit Kit, part Part[T], obj T, record *record, outcome error) (ctrl.Result, error) {
	if panicked(outcome) {
		record.restore(obj)
	}
	result, verdict := Result(outcome, !obj.GetDeletionTimestamp().IsZero())
	err := guard(ctx, func() error {
		if verdict.Ready && part.Message != nil {
			verdict.Message = part.Message(obj)
		}
		if part.ReasonOf != nil {
			part.Reason = part.ReasonOf(obj)
		}
		verdict.apply(obj, part.Condition, part.Reason, kit.Now())
		if part.Summarise != nil {
			part.Summarise(obj)
		}
		return nil
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := record.write(ctx, obj); err != nil {
		return lost(ctx, err, "writing status")
	}
	kit.announce(obj, record.first)
	if verdict.Reconciling && result.RequeueAfter == 0 {
		return ctrl.Result{}, outcome // the queue's own backoff, see Limiter
	}
	return result, nil
}
