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
	a := &advance{w: w, l: l, given: l, sights: sights, now: now, asked: asked}
	a.handle()
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
		a.clock()
		again = a.steps != before
	}
	a.replan()
	a.span()
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
	asked    Requests
	now      time.Time
	wake     time.Time
	outcomes []dag.Outcome
	round    int       // passes so far
	steps    int       // changes so far
	becomes  *Workflow // with the instances that outputs list which were read in this look; nil: none were
	err      error
}

// replan makes the plan anew after operations were edited, as soon as nothing is in flight, and the undo of the run is over if there is one.
// A run that is about to end because something failed comes to that end first.
func (a *advance) replan() {
	if !a.w.draining() || a.w.gate.Shut() || a.err != nil {
		switch {
		case a.w.gate.Phase == v1alpha1.WorkflowPlanning && !a.inFlight(): // what was in flight has just ended: now the plan is made
			a.wakeAt(a.now)
		case !a.w.gate.Shut() && !a.w.Fits(a.l): // another run was asked for while this one went on
			a.wakeAt(a.now)
		}
		return
	}
	if a.l.Phase == saga.RunUndoing || a.l.Phase == saga.RunRunning && (a.halting() || a.inFlight()) {
		return
	}
	next, err := a.w.next.Replan(a.l, a.sights, a.now)
	if err != nil {
		a.err = err
		return
	}
	a.l = next
	a.wakeAt(a.now)
}

// inFlight reports whether something was started of which the end will be known.
func (a *advance) inFlight() bool {
	for k := range a.w.ops {
		op := &a.w.ops[k]
		if a.l.OpCounts(k)[saga.Running] == 0 {
			continue
		}
		for i := op.first; i < op.first+op.count; i++ {
			if a.flies(op, i) {
				return true
			}
		}
	}
	return false
}

// flies reports whether an instance was started and its end is waited for. What was ordered and never made, or not changed yet, is not
// any more once the operations were edited; nor is what is left of an operation that was removed, with its time-out.
func (a *advance) flies(op *operation, i int) bool {
	if !a.w.draining() { // what is ordered is made, too
		return a.l.Phases[i] == saga.Running
	}
	if op.Power != nil && a.l.Phases[i] == saga.Running {
		server, _, asked := a.w.switched(op, i-op.first, a.sights, op.Power.State)
		return server != nil && asked
	}
	s := a.sights[i]
	if _, there := a.w.next.index[op.Name]; !there {
		return false
	}
	return a.l.Phases[i] == saga.Running && (op.Wait != nil || s.Exists && !s.Deleting && s.UID != "" && !a.older(i, s))
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

// clock stops the run's clock while the run is held, or waits for nothing but somebody's approval. What has to end before a plan can be made
// has no more time than ever.
func (a *advance) clock() {
	held := a.w.held() && (a.w.spec.Suspend || a.w.gate.Phase != v1alpha1.WorkflowPlanning) || a.w.awaitsApproval(a.l)
	switch {
	case a.l.Phase.Terminal():
	case held && a.l.HeldSince == saga.None:
		a.own().Hold(a.now.Unix())
	case !held && a.l.HeldSince != saga.None:
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
