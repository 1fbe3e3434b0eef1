package plan

import (
	"cmp"
	"fmt"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// broken reports whether an operation has failed whose policy is one of these.
func (a *advance) broken(policies ...v1alpha1.FailurePolicy) bool {
	if c := a.l.Counts(); c[saga.Failed]+c[saga.Unknown] == 0 {
		return false
	}
	for k := range a.w.ops {
		if c := a.l.OpCounts(k); c[saga.Failed]+c[saga.Unknown] == 0 {
			continue
		}
		for _, policy := range policies {
			if a.w.ops[k].policy == policy {
				return true
			}
		}
	}
	return false
}

// halting reports whether nothing new may start for good: something failed that does not let others go on, or the run as a
// whole was stopped.
func (a *advance) halting() bool {
	return a.l.Stop != saga.StopNone || a.broken(v1alpha1.FailureFail, v1alpha1.FailureRollback)
}

// halt ends operations and runs whose time is over, and what has not started when nothing new may start.
func (a *advance) halt() {
	if a.l.Phase != saga.RunRunning || a.err != nil {
		return
	}
	a.overdue()
	limit := a.w.spec.Timeout
	up := limit != nil && a.l.Opened != saga.None && a.spent(a.l.Opened, 0, limit.Duration)
	if up && a.l.Stop == saga.StopNone {
		a.stop(saga.StopTimedOut, string(fault.ReasonTimedOut), fmt.Sprintf("the workflow did not end within %s%s", limit.Duration, under(a.w, a.l)))
	}
	if !a.halting() {
		return
	}
	for k := range a.w.ops {
		if c := a.l.OpCounts(k); c[saga.Pending]+c.Live() > 0 {
			a.haltOperation(k, up)
		}
	}
}

// overdue ends operations whose own time is over: what runs has failed, and so has what did not come to it.
func (a *advance) overdue() {
	for k := range a.w.ops {
		limit, c := a.w.ops[k].TotalTimeout, a.l.OpCounts(k)
		if limit == nil || a.l.Ops[k].Opened == saga.None || c[saga.Pending]+c.Live() == 0 || !a.spent(a.l.Ops[k].Opened, 0, limit.Duration) {
			continue
		}
		for n := range a.w.ops[k].count {
			switch i := a.l.Instance(k, n); a.l.Phases[i] {
			case saga.Pending, saga.Running, saga.Retrying:
				a.settle(i, saga.Failed, string(fault.ReasonTimedOut), timedOut("the operation", limit.Duration, a.sights[i].Message))
			}
		}
	}
}

// haltOperation ends what an operation has not started. What runs comes to its end, unless the run's time is over or somebody
// wants it to end at once.
func (a *advance) haltOperation(k int, up bool) {
	why := a.l.Stop
	asked := why != saga.StopNone && why != saga.StopTimedOut
	for n := range a.w.ops[k].count {
		i := a.l.Instance(k, n)
		switch phase := a.l.Phases[i]; {
		case asked && (phase == saga.Pending || phase == saga.Retrying), why == saga.StopAborted && phase == saga.Running:
			a.settle(i, saga.Cancelled, v1alpha1.ReasonCancelled, a.l.Cause.Message)
		case phase == saga.Pending && a.l.Marks[i].Has(saga.Touched): // another try was asked for, and does not come about
			a.settle(i, saga.Failed, cmp.Or(a.l.Reason(i), string(fault.ReasonDependency)), a.l.Ops[k].Message)
		case phase == saga.Pending && why == saga.StopTimedOut:
			a.settle(i, saga.Omitted, string(fault.ReasonTimedOut), a.l.Cause.Message)
		case phase == saga.Pending:
			a.settle(i, saga.Omitted, "", "")
		case phase == saga.Retrying:
			a.settle(i, saga.Failed, a.l.Reason(i), a.l.Ops[k].Message)
		case phase == saga.Running && a.w.draining() && !a.flies(&a.w.ops[k], i):
			a.settle(i, saga.Cancelled, v1alpha1.ReasonCancelled, "its operation was edited before anything came of it")
		case phase == saga.Running && (up || why == saga.StopTimedOut):
			a.settle(i, saga.Failed, string(fault.ReasonTimedOut), "the time of the workflow was over")
		}
	}
}

// finish ends the run's way forward when nothing is left to do on it.
func (a *advance) finish() {
	counts := a.l.Counts()
	if a.l.Phase != saga.RunRunning || a.err != nil || counts[saga.Pending]+counts.Live() > 0 {
		return
	}
	end := a.end()
	if end == saga.RunSucceeded && !a.prune() {
		return
	}
	if end != saga.RunSucceeded && a.l.Cause.Reason == "" {
		a.accuse()
	}
	a.setRun(end)
}

// end says where the run goes from its way forward: to its end, or back.
func (a *advance) end() saga.RunPhase {
	failed := a.broken(v1alpha1.FailureFail, v1alpha1.FailureContinue, v1alpha1.FailureRollback)
	back := a.broken(v1alpha1.FailureRollback)
	switch stop := a.l.Stop; {
	case stop == saga.StopAborted:
		return saga.RunCancelled
	case stop != saga.StopRollback && Lost(a.l): // what nobody knows is not undone before somebody has looked
		return saga.RunFailed
	case stop == saga.StopRollback, back, stop != saga.StopNone && a.w.spec.OnFailure == v1alpha1.FailureRollback:
		return saga.RunUndoing
	case stop == saga.StopCancelled:
		return saga.RunCancelled
	case stop == saga.StopTimedOut, failed:
		return saga.RunFailed
	case a.l.Counts()[saga.Cancelled] > 0: // another try was asked for others only
		return saga.RunCancelled
	}
	return saga.RunSucceeded
}

// accuse finds a cause where none was recorded: a policy that was edited since makes a failure count, or another try left some.
func (a *advance) accuse() {
	for k := range a.w.ops {
		for n := range a.w.ops[k].count {
			i := a.l.Instance(k, n)
			failed := a.l.Phases[i] == saga.Failed || a.l.Phases[i] == saga.Unknown
			if failed && a.w.ops[k].policy != v1alpha1.FailureIgnore {
				a.own().Blame(int32(i), orInternal(a.l.Reason(i)), a.l.Ops[k].Message)
				return
			}
		}
	}
	a.own().Blame(saga.None, v1alpha1.ReasonCancelled, "an instance was cancelled, and no other try of it was asked for")
}
