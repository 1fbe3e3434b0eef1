package provider

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// Guarded returns p with two nets under it. Each call gets at most timeout (0: 30 s), and an error that nobody classified and
// that comes from an ended context becomes Retry/Transient for a read and Unknown/OutcomeUnknown for Create and Delete, which
// may have taken effect. A panic inside a call becomes Retry/Panic: its Key makes a repeated Create safe.
func Guarded(p Provider, timeout time.Duration) Provider {
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	return Recovering(withDeadline{next: p, timeout: timeout})
}

// Recovering returns p with every panic turned into a Retry/Panic error of at most MessageLimit bytes, so that a bug in one
// vendor's code does not end the operator between two machines.
func Recovering(p Provider) Provider { return recovering{next: p} }

type recovering struct{ next Provider }

// As finds the optional capability T of a provider, below the nets around it.
func As[T any](p Provider) (T, bool) {
	for p != nil {
		if found, ok := p.(T); ok {
			return found, true
		}
		wrapper, ok := p.(interface{ unwrap() Provider })
		if !ok {
			break
		}
		p = wrapper.unwrap()
	}
	var none T
	return none, false
}

func (r recovering) unwrap() Provider { return r.next }

func (d withDeadline) unwrap() Provider { return d.next }

func (r recovering) Create(ctx context.Context, want Machine) (got Instance, err error) {
	defer catch("creating a machine", &err)
	return r.next.Create(ctx, want)
}

func (r recovering) Get(ctx context.Context, id string) (got Instance, err error) {
	defer catch("getting a machine", &err)
	return r.next.Get(ctx, id)
}

func (r recovering) Delete(ctx context.Context, id string) (err error) {
	defer catch("deleting a machine", &err)
	return r.next.Delete(ctx, id)
}

func (r recovering) List(ctx context.Context, owner Owner) (got []Instance, err error) {
	defer catch("listing machines", &err)
	return r.next.List(ctx, owner)
}

// catch must be deferred itself: recover works only in the deferred function.
func catch(doing string, err *error) {
	if cause := recover(); cause != nil {
		*err = fault.New(fault.Retry, fault.ReasonPanic, "%s", Clip(fmt.Sprintf("panic while %s: %v\n%s", doing, cause, debug.Stack())))
	}
}

type withDeadline struct {
	next    Provider
	timeout time.Duration
}

func (d withDeadline) Create(ctx context.Context, want Machine) (Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	got, err := d.next.Create(ctx, want)
	return got, cutOff(err, fault.Unknown, fault.ReasonOutcomeUnknown)
}

func (d withDeadline) Get(ctx context.Context, id string) (Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	got, err := d.next.Get(ctx, id)
	return got, cutOff(err, fault.Retry, fault.ReasonTransient)
}

func (d withDeadline) Delete(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return cutOff(d.next.Delete(ctx, id), fault.Unknown, fault.ReasonOutcomeUnknown)
}

func (d withDeadline) List(ctx context.Context, owner Owner) ([]Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	got, err := d.next.List(ctx, owner)
	return got, cutOff(err, fault.Retry, fault.ReasonTransient)
}

func cutOff(err error, class fault.Class, reason fault.Reason) error {
	if err == nil {
		return nil
	}
	if _, classified := errors.AsType[*fault.Error](err); classified {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fault.New(class, reason, "the call was cut off: %w", err)
	}
	return err
}
