package plan

import (
	"fmt"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/saga"
)

// Advance folds what was seen into the ledger and goes on from there, to a fixed point: it records what has ended, what starts
// now, and what is undone now. Operations without an outside effect start and finish in it. It returns the ledger itself when
// nothing changed, a changed copy otherwise, and the next moment at which time alone changes something (zero: never).
//
// Nothing may be done about the answer before it is durable. The error means a bug: a step that the table forbids.
func Advance(w *Workflow, l *saga.Ledger, sights Sights, asked Requests, now time.Time) (*saga.Ledger, time.Time, error) {
	a := &advance{w: w, l: l, given: l, sights: sights, now: now}
	a.handle(asked)
	a.clock()
	for again := true; again && a.err == nil; a.round++ {
		before := a.steps
		a.fold()
		a.freeze()
		a.halt()
		a.start()
		a.finish()
		a.undo()
		a.expire()
		again = a.steps != before
	}
	if a.err != nil {
		return l, time.Time{}, fmt.Errorf("advancing workflow %s: %w", w.name, a.err)
	}
	return a.l, a.wake, nil
}

// advance is one call of Advance.
type advance struct {
	w        *Workflow
	given    *saga.Ledger
	l        *saga.Ledger // the one that was given, until the first change
	sights   Sights
	now      time.Time
	wake     time.Time
	outcomes []dag.Outcome
	round    int // passes so far
	steps    int // changes so far
	err      error
}

// own returns a ledger that may be changed: a copy, made when it is first needed, because most looks change nothing.
func (a *advance) own() *saga.Ledger {
	if a.l == a.given {
		a.l = a.given.Clone()
	}
	a.steps++
	return a.l
}

// keep keeps the first error.
func (a *advance) keep(err error) {
	if err != nil && a.err == nil {
		a.err = err
	}
}

func (a *advance) order(i int) { a.keep(a.own().Order(i, a.now.Unix())) }

func (a *advance) takeBack(i int) { a.keep(a.own().Undo(i, a.now.Unix())) }

// settle ends an instance; reason and message are empty when nothing went wrong.
func (a *advance) settle(i int, to saga.Phase, reason, message string) {
	a.keep(a.own().Settle(i, to, a.now.Unix(), reason, message))
	if (to == saga.Failed || to == saga.Unknown) && a.w.ops[a.l.OpOf(i)].policy != v1alpha1.FailureIgnore {
		a.l.Blame(int32(i), orInternal(reason), message)
	}
}

func (a *advance) stop(why saga.Stop, reason, message string) {
	l := a.own()
	l.Stop = why
	l.Blame(saga.None, reason, message)
}

func (a *advance) setRun(to saga.RunPhase) { a.keep(a.own().SetRun(to, a.now.Unix())) }

// wakeAt asks for a look at that moment.
func (a *advance) wakeAt(t time.Time) {
	if a.wake.IsZero() || t.Before(a.wake) {
		a.wake = t
	}
}

// due reports whether a span that began in the given second of the ledger is over, and asks for a look when it is not.
func (a *advance) due(begun int32, span time.Duration) bool { return a.over(a.l.Unix(begun), span) }

// spent reports whether a span is over that began at that time of the run's clock, with some of it spent before. While the
// clock stands still it is not, and no moment is known at which it will be.
func (a *advance) spent(since, before int32, span time.Duration) bool {
	return a.l.HeldSince == saga.None && a.over(a.l.ClockUnix(since-before), span)
}

// over reports whether a span is over. The ledger keeps whole seconds, so one of a second or more counts from the end of its
// first second: never early.
func (a *advance) over(from int64, span time.Duration) bool {
	end := time.Unix(from, 0).Add(span)
	if span >= time.Second {
		end = end.Add(time.Second)
	}
	if a.now.Before(end) {
		a.wakeAt(end)
		return false
	}
	return true
}

// clock stops the run's clock while the run is suspended.
func (a *advance) clock() {
	switch {
	case a.l.Phase.Terminal():
	case a.w.spec.Suspend && a.l.HeldSince == saga.None:
		a.own().Hold(a.now.Unix())
	case !a.w.spec.Suspend && a.l.HeldSince != saga.None:
		a.own().Resume(a.now.Unix())
	}
}

// expire forgets the story of a run that has been over for long enough.
func (a *advance) expire() {
	ttl := a.w.spec.TTLAfterFinished
	if ttl != nil && a.l.Phase.Terminal() && !a.l.Compact && a.over(a.l.Finished, ttl.Duration) {
		a.keep(a.own().Compress())
		a.wakeAt(a.now) // its Runs are no longer wanted
	}
}

// freeze keeps the outputs of operations that have just succeeded, before anything that uses them starts.
func (a *advance) freeze() {
	if a.l.Phase != saga.RunRunning {
		return
	}
	for k := range a.w.ops {
		op := &a.w.ops[k]
		if len(op.given) == 0 || a.l.Ops[k].Outputs != nil || a.l.OpCounts(k)[saga.Succeeded] != int32(op.count) {
			continue
		}
		if outputs := a.w.collect(k, a.sights); len(outputs) > 0 && a.l.CanHold(k, outputs) == nil {
			a.keep(a.own().SetOutputs(k, outputs))
		} // outputs too long to keep stay unknown: whoever refers to them fails by name
	}
}
