package plan

import (
	"fmt"
	"math"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// fold takes in what became of started instances.
func (a *advance) fold() {
	for k := range a.w.ops {
		counts := a.l.OpCounts(k)
		late := a.l.Phase == saga.RunUndoing && counts[saga.UndoFailed] > 0
		if counts[saga.Running]+counts[saga.Undoing] == 0 && !late {
			continue
		}
		for n := range a.w.ops[k].count {
			switch i := a.l.Instance(k, n); a.l.Phases[i] {
			case saga.Running:
				a.foldRunning(k, i)
			case saga.Undoing:
				a.foldUndoing(&a.w.ops[k], i)
			case saga.UndoFailed:
				a.foldLeft(&a.w.ops[k], i)
			}
		}
	}
}

func (a *advance) foldRunning(k, i int) {
	op := &a.w.ops[k]
	if op.Type == v1alpha1.OperationWait {
		if op.Wait == nil {
			return // it was removed from the workflow
		}
		a.open(k)
		// What was started in this very call is not ended in it: its start is durable first.
		if a.round == 0 && a.due(a.l.Starts[i], op.Wait.Duration.Duration) {
			a.settle(i, saga.Succeeded, "", "")
		}
		return
	}
	if op.gate != nil {
		a.ask(k, i)
		return
	}
	if op.Type == v1alpha1.OperationPower {
		a.foldPower(k, i)
		return
	}
	s := a.sights[i]
	if ref, unknown := a.w.missing(a.l, k); unknown && !s.Exists { // it was started, so that was known once
		a.settle(i, saga.Unknown, string(fault.ReasonCheckpointLost), fmt.Sprintf("its child is gone, and %s, without which it cannot be made again, was lost with the workflow's Checkpoint", ref))
		return
	}
	if !a.w.draining() {
		a.supplant(op, k, i-op.first, i)
	}
	there := s.Exists && !s.Deleting && !a.older(i, s) // otherwise it is made, made again, or changed, by Act
	answered := there && s.Answered >= int32(a.l.Attempts[i])
	if answered && !s.Queued {
		a.open(k)
	}
	switch {
	case there && s.Ready && (answered || !a.l.Marks[i].Has(saga.Stood)):
		a.settle(i, saga.Succeeded, "", "")
	case answered && s.Unknown:
		a.settle(i, saga.Unknown, orInternal(s.Reason), s.Message)
	case s.Deleting && s.Stalled && (s.Answered >= int32(a.l.Attempts[i]) || a.l.Attempts[i] == a.l.Since[i]):
		if a.round > 0 { // it was ordered in this very call: its order is durable first
			a.wakeAt(a.now)
			return
		}
		a.attemptFailed(op, i, orInternal(s.Reason), "what stands cannot be removed to be made anew: "+s.Message)
	case answered && s.Stalled:
		a.attemptFailed(op, i, orInternal(s.Reason), s.Message)
	default:
		a.tick(k, i, answered && !s.Queued, there && s.Queued)
		if op.Timeout != nil && a.l.Begun[i] != saga.None && a.spent(a.l.Begun[i], a.l.Spent[i], op.Timeout.Duration) {
			a.attemptFailed(op, i, string(fault.ReasonTimedOut), timedOut("the attempt", op.Timeout.Duration, s.Message))
		}
	}
}

// older reports whether a child was not yet asked for the form in which it is wanted now.
func (a *advance) older(i int, s Sight) bool {
	return s.UID != "" && a.l.Since[i] > 1 && s.Asked < int32(a.l.Since[i])
}

// tick starts the clocks that a child starts which has taken up its attempt and is out of its queue, and stops that of an attempt whose child is back in it. Only what
// somebody waits for is recorded.
func (a *advance) tick(k, i int, works, queued bool) {
	switch {
	case works:
		if a.w.ops[k].Timeout != nil && a.l.Begun[i] == saga.None {
			a.own().Begin(i, a.now.Unix())
		}
	case queued && a.l.Begun[i] != saga.None:
		a.own().Rest(i, a.now.Unix())
	}
}

// open starts the clocks of the operation and of the run.
func (a *advance) open(k int) {
	timed := a.w.ops[k].TotalTimeout != nil && a.l.Ops[k].Opened == saga.None
	if timed || a.l.Opened == saga.None { // the run's: its time-out may be set later
		a.own().Open(k, a.now.Unix())
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
	tries := int32(a.l.Tries[i])
	if op.Retry == nil || tries > op.Retry.Limit {
		a.settle(i, saga.Failed, reason, message)
		return
	}
	due := a.now.Add(pause(op.Retry.Backoff, tries))
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
