package plan

import (
	"fmt"
	"math"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// Advance folds what was seen into the ledger and goes on from there, to a fixed point: it records what has ended, what starts
// now, and what is undone now. Operations without an outside effect start and finish in it. It returns the ledger itself when
// nothing changed, a changed copy otherwise, and the next moment at which time alone changes something (zero: never).
//
// Nothing may be done about the answer before it is durable. The error means a bug: a step that the table forbids.
func Advance(w *Workflow, l *saga.Ledger, sights Sights, now time.Time) (*saga.Ledger, time.Time, error) {
	a := &advance{w: w, l: l, given: l, sights: sights, now: now}
	for again := true; again && a.err == nil; a.round++ {
		before := a.steps
		a.fold()
		a.freeze()
		a.halt()
		a.start()
		a.finish()
		a.undo()
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
}

func (a *advance) setRun(to saga.RunPhase) { a.keep(a.own().SetRun(to, a.now.Unix())) }

// wakeAt asks for a look at that moment.
func (a *advance) wakeAt(t time.Time) {
	if a.wake.IsZero() || t.Before(a.wake) {
		a.wake = t
	}
}

// due reports whether a span that began in the given second of the ledger is over, and asks for a look when it is not. The
// ledger keeps whole seconds, so a span of a second or more counts from the end of its first second: never early.
func (a *advance) due(begun int32, span time.Duration) bool {
	end := time.Unix(a.l.Unix(begun), 0).Add(span)
	if span >= time.Second {
		end = end.Add(time.Second)
	}
	if a.now.Before(end) {
		a.wakeAt(end)
		return false
	}
	return true
}

// fold takes in what became of started instances.
func (a *advance) fold() {
	for k := range a.w.ops {
		counts := a.l.OpCounts(k)
		if counts[saga.Running]+counts[saga.Undoing] == 0 {
			continue
		}
		for n := range a.w.ops[k].count {
			switch i := a.l.Instance(k, n); a.l.Phases[i] {
			case saga.Running:
				a.foldRunning(&a.w.ops[k], i)
			case saga.Undoing:
				a.foldUndoing(&a.w.ops[k], i)
			}
		}
	}
}

func (a *advance) foldRunning(op *operation, i int) {
	if op.Type == v1alpha1.OperationWait {
		// What was started in this very call is not ended in it: its start is durable first.
		if a.round == 0 && a.due(a.l.Starts[i], op.Wait.Duration.Duration) {
			a.settle(i, saga.Succeeded, "", "")
		}
		return
	}
	s := a.sights[i]
	there := s.Exists && !s.Deleting // otherwise it is made, or made again, by Act
	answered := there && s.Answered >= int32(a.l.Attempts[i])
	switch {
	case there && s.Ready:
		a.settle(i, saga.Succeeded, "", "")
	case answered && s.Unknown:
		a.settle(i, saga.Unknown, orInternal(s.Reason), s.Message)
	case answered && s.Stalled:
		a.attemptFailed(op, i, orInternal(s.Reason), s.Message)
	case op.Timeout != nil:
		if there && !s.Queued && a.l.Begun[i] == saga.None {
			a.own().Begin(i, a.now.Unix())
		}
		if a.l.Begun[i] != saga.None && a.due(a.l.Begun[i], op.Timeout.Duration) {
			a.attemptFailed(op, i, string(fault.ReasonTimedOut), timedOut("the attempt", op.Timeout.Duration, s.Message))
		}
	}
}

// orInternal makes a child's reason one that a ledger keeps.
func orInternal(reason string) string {
	if reason == "" || len(reason) > 64 {
		return string(fault.ReasonInternal)
	}
	return reason
}

// theWorkflow begins the story of what was ended by the workflow's own time-out.
const theWorkflow = "the workflow"

func timedOut(what string, limit time.Duration, last string) string {
	text := fmt.Sprintf("%s did not end within %s", what, limit)
	if last != "" {
		text += "; last seen: " + last
	}
	return text
}

// attemptFailed plans the next attempt, or ends the instance. When the run is halting, the next attempt is called off at once.
func (a *advance) attemptFailed(op *operation, i int, reason, message string) {
	attempts := int32(a.l.Attempts[i])
	if op.Retry == nil || attempts > op.Retry.Limit {
		a.settle(i, saga.Failed, reason, message)
		return
	}
	due := a.now.Add(pause(op.Retry.Backoff, attempts))
	a.keep(a.own().Postpone(i, ceilUnix(due), reason, message))
}

// pause is the backoff after the given number of attempts: duration × factor^(attempts-1), at most maxDuration. What is absent
// has the schema's default: 5 s, doubling, up to 5 min.
func pause(b v1alpha1.Backoff, attempts int32) time.Duration {
	first, factor, most := 5*time.Second, float64(max(b.Factor, 1)), 5*time.Minute
	if b.Duration != nil {
		first = b.Duration.Duration
	}
	if b.Factor == 0 {
		factor = 2
	}
	if b.MaxDuration != nil {
		most = b.MaxDuration.Duration
	}
	return time.Duration(min(float64(first)*math.Pow(factor, float64(attempts-1)), float64(most)))
}

func ceilUnix(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
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

// timeIsUp reports whether the workflow's own time is over.
func (a *advance) timeIsUp() bool {
	return a.w.spec.Timeout != nil && a.due(0, a.w.spec.Timeout.Duration)
}

// halting reports whether nothing new may start for good: something failed, or the time is up.
func (a *advance) halting() bool {
	counts := a.l.Counts()
	return counts[saga.Failed]+counts[saga.Unknown] > 0 || a.timeIsUp()
}

// halt ends what has not started. When the time is up it ends what runs, too.
func (a *advance) halt() {
	if a.l.Phase != saga.RunRunning || a.err != nil || !a.halting() {
		return
	}
	counts, reason, message, up := a.l.Counts(), "", "", a.timeIsUp()
	if counts[saga.Pending]+counts[saga.Retrying] == 0 && (!up || counts[saga.Running] == 0) {
		return // there is nothing to end
	}
	if up {
		reason, message = string(fault.ReasonTimedOut), timedOut(theWorkflow, a.w.spec.Timeout.Duration, "")
	}
	for i := range a.l.N() {
		switch a.l.Phases[i] {
		case saga.Pending:
			a.settle(i, saga.Omitted, reason, message)
		case saga.Retrying:
			a.settle(i, saga.Failed, a.l.Reason(i), a.l.Ops[a.l.OpOf(i)].Message)
		case saga.Running:
			if up {
				a.settle(i, saga.Failed, reason, message)
			}
		}
	}
}

// finish ends the run's way forward when nothing is left to do on it.
func (a *advance) finish() {
	counts := a.l.Counts()
	if a.l.Phase != saga.RunRunning || a.err != nil || counts[saga.Pending]+counts.Live() > 0 {
		return
	}
	end := saga.RunSucceeded
	if counts.Passed() != counts.Total() {
		end = saga.RunFailed
		if a.rollback() {
			end = saga.RunUndoing
		}
	}
	a.setRun(end)
}

// rollback reports whether the run is to be undone: one of the operations that failed says so, or, when none failed because
// the time was up, the workflow does.
func (a *advance) rollback() bool {
	failed := false
	for k := range a.w.ops {
		if c := a.l.OpCounts(k); c[saga.Failed]+c[saga.Unknown] > 0 {
			failed = true
			if a.w.ops[k].policy == v1alpha1.FailureRollback {
				return true
			}
		}
	}
	return !failed && a.w.spec.OnFailure == v1alpha1.FailureRollback
}
