package plan

import (
	"fmt"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/dag"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// start orders what may run now: first attempts that are due again, then ready operations, longest remaining path first, as
// far as parallelLimit allows.
func (a *advance) start() {
	if a.l.Phase != saga.RunRunning || a.w.held() || a.w.draining() || a.err != nil {
		return
	}
	a.startAgain()
	counts := a.l.Counts()
	room := a.w.limit() - int(counts.Live())
	a.outcomes = a.outcomes[:0]
	for k := range a.w.ops {
		a.outcomes = append(a.outcomes, outcomeOf(a.l.OpCounts(k)))
	}
	for _, k32 := range a.w.graph.Urgent() { // a topological order, so one pass sees the consequences of its own steps
		k := int(k32)
		if a.l.OpCounts(k)[saga.Pending] == 0 {
			continue
		}
		failed := a.l.OpCounts(k)[saga.Failed]
		switch a.w.graph.Ready(k, a.outcomes) {
		case dag.Omit:
			a.omit(k)
		case dag.Start:
			switch {
			case !a.wanted(k):
			case a.w.ops[k].Approval != nil:
				a.askForApproval(k)
			case !a.settled(k):
			default:
				room = a.startOperation(k, room)
			}
		}
		a.outcomes[k] = outcomeOf(a.l.OpCounts(k))
		if a.l.OpCounts(k)[saga.Failed] > failed {
			return // its values are not to be had: the next pass ends what has not started
		}
	}
}

func outcomeOf(c *saga.Counts) dag.Outcome {
	switch {
	case c.Settled() < c.Total():
		return dag.Open
	case c.Missed() > 0:
		return dag.Missed
	}
	return dag.Passed
}

// startAgain orders the attempts that are due. Their instances have kept their places under the limit.
func (a *advance) startAgain() {
	for k := range a.w.ops {
		if a.l.OpCounts(k)[saga.Retrying] == 0 {
			continue
		}
		for n := range a.w.ops[k].count {
			i := a.l.Instance(k, n)
			if a.l.Phases[i] != saga.Retrying {
				continue
			}
			if due := time.Unix(a.l.Unix(a.l.Retries[i]), 0); a.now.Before(due) {
				a.wakeAt(due)
				continue
			}
			a.order(i)
			if s := a.sights[i]; s.Exists && s.UID == "" && a.l.Since[i] > 1 {
				a.wakeAt(a.now) // it was refused, and hides what stands: that is seen at the next look
			}
		}
	}
}

func (a *advance) omit(k int) {
	for n := range a.w.ops[k].count {
		if i := a.l.Instance(k, n); a.l.Phases[i] == saga.Pending {
			a.leaveOut(i, "", "")
		}
	}
}

// leaveOut ends an instance that can never start. One that did once, and was to be tried again, has failed.
func (a *advance) leaveOut(i int, reason, message string) {
	if a.l.Marks[i].Has(saga.Touched) {
		a.settle(i, saga.Failed, orInternal(a.l.Reason(i)), "what it needs did not succeed")
		return
	}
	a.settle(i, saga.Omitted, reason, message)
}

// stillStands reports whether what stands of an instance is what is wanted, now that all is known which it needs.
func (a *advance) stillStands(op *operation, n, i int) bool {
	if a.l.Outcomes[i] != saga.Succeeded {
		return false
	}
	form, known := a.w.formOf(op, n, a.w.lookup(a.l))
	s := a.sights[i]
	return known && form == a.l.Form(i) && (s.Exists && !s.Deleting || op.child != KindServer && op.child != KindTaskService)
}

// orderAs orders an instance in the form in which it is wanted. Another try of the same form is asked of the same child.
func (a *advance) orderAs(op *operation, k, n, i int) {
	form, _ := a.w.formOf(op, n, a.w.lookup(a.l)) // startOperation made sure that all is known
	if a.l.Marks[i].Has(saga.Touched) && a.l.Form(i) == form {
		a.order(i)
		return
	}
	a.keep(a.own().OrderAs(i, form, a.now.Unix()))
	if a.changesPower(op, n) {
		a.own().Replace(i)
	}
	a.supplant(op, k, n, i)
}

// supplant records that what stands in the place of a server that was ordered has to go first, or goes by another hand, and what is on
// it before that.
func (a *advance) supplant(op *operation, k, n, i int) {
	s := a.sights[i]
	switch {
	case op.child != KindServer:
	case !a.l.Marks[i].Has(saga.Replaces) && a.older(i, s) && a.w.replaces(k, n, s):
		a.own().Replace(i)
		a.disturb(a.w.names[i])
	case s.Deleting:
		a.disturb(a.w.names[i])
	}
}

// failPending ends instances that were not ordered: what they should do cannot be worked out.
func (a *advance) failPending(k int, message string) {
	for n := range a.w.ops[k].count {
		if i := a.l.Instance(k, n); a.l.Phases[i] == saga.Pending {
			a.settle(i, saga.Failed, string(fault.ReasonInvalid), message)
		}
	}
}

// lacking says that an output is not known which is needed now.
func (a *advance) lacking(ref expr.Ref) string {
	return fmt.Sprintf("%s is not known: %q succeeded without this output on all its instances, or with outputs of more than %d bytes, or was skipped", ref, ref.Operation, saga.MaxOutputs)
}

// startOperation orders the pending instances of a ready operation while there is room, and returns what room is left.
func (a *advance) startOperation(k, room int) int {
	op := &a.w.ops[k]
	if ref, unknown := a.w.missing(a.l, k); unknown {
		a.failPending(k, a.lacking(ref))
		return room
	}
	instant := op.Type == v1alpha1.OperationWait && op.Wait.Duration.Duration == 0
	for m := range op.count {
		n := op.nth(m)
		i := a.l.Instance(k, n)
		switch {
		case a.l.Phases[i] != saga.Pending || op.joins != nil && !a.joined(k, i):
			continue
		case a.stillStands(op, n, i):
			a.settle(i, saga.Succeeded, "", "")
			continue
		case room <= 0 && op.joins == nil:
			return room // only those that are joined one by one may be omitted all the same
		case room <= 0:
			continue
		}
		a.orderAs(op, k, n, i)
		if instant {
			a.settle(i, saga.Succeeded, "", "")
			continue
		}
		if op.Wait != nil && a.due(a.l.Starts[i], op.Wait.Duration.Duration) {
			a.wakeAt(a.now) // shorter than the ledger's second: over at the next look
		}
		room--
	}
	return room
}
