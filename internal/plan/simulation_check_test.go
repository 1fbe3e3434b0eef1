package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// checks are the invariants. They follow from the spec and from what is durable, not from the engine.
type checks struct {
	w       *world
	problem error // the first one found

	opOf      []int
	needs     [][]need // by instance: what it waits for
	rests     [][]int  // by instance: what depends on it, directly or not
	succeeded []bool   // by instance: its success was durable at some time
	finished  []bool
	limits    []int // by instance: the limit in force when it was started
}

func (c *checks) fail(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if c.problem == nil {
		c.problem = err
	}
	return err
}

// reach holds, for each phase, what the table allows in any number of steps.
var reach = closure(saga.NumPhases, saga.CanMove)
var reachRun = closure(saga.NumRunPhases, saga.CanMoveRun)

// reachAsked holds what it allows when somebody asked for another try.
var reachAsked = closure(saga.NumPhases, func(a, b saga.Phase) bool { return saga.CanMove(a, b) || saga.CanRepeat(a, b) })
var reachRunAsked = closure(saga.NumRunPhases, func(a, b saga.RunPhase) bool { return saga.CanMoveRun(a, b) || saga.CanReopen(a, b) })

func closure[P saga.Phase | saga.RunPhase](n P, can func(a, b P) bool) map[[2]P]bool {
	out := map[[2]P]bool{}
	for a := range n {
		for b := range n {
			out[[2]P{a, b}] = a == b || can(a, b)
		}
	}
	for via := range n {
		for a := range n {
			for b := range n {
				out[[2]P{a, b}] = out[[2]P{a, b}] || out[[2]P{a, via}] && out[[2]P{via, b}]
			}
		}
	}
	return out
}

// recorded looks at what replaces the durable ledger.
func (c *checks) recorded(o *operator, read, next *saga.Ledger) {
	if !read.Equal(next) {
		c.fail("I9: what was stored reads differently")
	}
	old := c.w.durable
	if c.opOf == nil {
		c.learn(read)
	}
	started, asked, reached := 0, c.asked(old, read), reach
	if asked {
		reached = reachAsked
	}
	for i, to := range read.Phases {
		from := saga.Pending
		if old != nil {
			from = old.Phases[i]
			if read.Attempts[i] < old.Attempts[i] && !read.Compact || to == saga.Running && from == saga.Retrying && read.Attempts[i] == old.Attempts[i] {
				c.fail("I4: attempts of instance %d go from %d to %d", i, old.Attempts[i], read.Attempts[i])
			}
		}
		if !reached[[2]saga.Phase{from, to}] {
			c.fail("I4: instance %d goes from %s to %s", i, from, to)
		}
		if isLive(to) && !isLive(from) {
			started++
			c.limits[i] = o.workflow.limit()
		}
		c.believed(old, read, i)
		if old != nil && old.Attempts[i] == 0 && read.Attempts[i] > 0 || old == nil && read.Attempts[i] > 0 {
			c.started(o.workflow, read, i)
		}
		c.succeeded[i] = c.succeeded[i] || to == saga.Succeeded || to == saga.Skipped
		c.finished[i] = c.finished[i] || to.Terminal()
	}
	counts := read.Counts()
	if limit := o.workflow.limit(); started > 0 && int(counts.Live()) > limit {
		c.fail("I6: %d instances are started and not ended, and the limit is %d", counts.Live(), limit)
	}
	if old != nil {
		c.compareRuns(old, read)
	}
}

// asked reports whether a request was acted on.
func (c *checks) asked(old, read *saga.Ledger) bool {
	if old == nil || maps.Equal(old.Handled, read.Handled) {
		return false
	}
	switch {
	case read.Refusal != "":
		c.w.visited.see("request refused")
	case old.Phase.Terminal() && read.Phase == saga.RunRunning:
		c.w.visited.see("run goes on")
	case old.Phase.Terminal() && read.Phase == saga.RunUndoing:
		c.w.visited.see("undone after its end")
	}
	return true
}

// believed looks whether what is now held for true about a child was ever so.
func (c *checks) believed(old, read *saga.Ledger, i int) {
	f, failed := c.w.leaves[i], int32(read.Attempts[i])
	if old == nil || old.Phases[i] == read.Phases[i] && old.Attempts[i] == read.Attempts[i] {
		return
	}
	if read.Phases[i] == saga.Skipped {
		c.w.visited.see("skipped by its condition")
	}
	c.inTime(old, read, i)
	switch read.Phases[i] {
	case saga.Undone:
		if old.Phases[i] == saga.UndoFailed {
			c.w.visited.see("undone after it had failed")
		} else if read.Tries[i] > 1 {
			c.w.visited.see("undone at another try")
		}
		if h := c.childOf(i); h.live() != nil && !f.byStale {
			c.fail("I10: %s is held to be gone and exists", h.name)
		}
		return
	case saga.Running:
		failed--
	case saga.Retrying, saga.Failed:
	default:
		return
	}
	if read.Reason(i) == string(fault.ReasonQuotaExceeded) && f.stalledAt < failed {
		c.fail("an attempt is used up that the child has not taken up: %d of instance %d, after %d", failed, i, f.stalledAt)
	}
}

// inTime looks whether an attempt had its time before it was over: that of its queue, and that for which the run was held, do
// not count.
func (c *checks) inTime(old, read *saga.Ledger, i int) {
	f, spec := c.w.leaves[i], c.w.flow.Spec.Operations[c.opOf[i]]
	if read.Reason(i) != string(fault.ReasonTimedOut) || old.Phases[i] != saga.Running || f.vanished+f.stale > 0 || spec.Timeout == nil ||
		f.told < toldWorking || f.attempt != int32(read.Attempts[i]) || spec.TotalTimeout != nil || c.w.flow.Spec.Timeout != nil {
		return
	}
	held := time.Duration(max(read.Held-f.heldAt, 0)) * time.Second
	whole := time.Second * time.Duration(1+2*(c.w.suspends-f.suspends)) // the ledger keeps whole seconds
	if had := c.w.now.Sub(f.worksAt) - held + whole; had < spec.Timeout.Duration {
		c.fail("an attempt of instance %d that had %s is said to have had %s", i, had, spec.Timeout.Duration)
	}
}

func (c *checks) childOf(i int) *history {
	for _, h := range c.w.children {
		if h.instance == i {
			return h
		}
	}
	return nil
}

func (c *checks) compareRuns(old, read *saga.Ledger) {
	reached, asked := reachRun, !maps.Equal(old.Handled, read.Handled)
	if asked {
		reached = reachRunAsked
	}
	if !reached[[2]saga.RunPhase{old.Phase, read.Phase}] {
		c.fail("I4: the run goes from %s to %s", old.Phase, read.Phase)
	}
	if read.Compact && !old.Compact {
		c.w.visited.see("story forgotten")
		return
	}
	if old.Phase.Terminal() && !asked {
		c.fail("I14: something is written about a run that is over: %s", old.Phase)
	}
	if old.Cause.Reason != "" && read.Cause != old.Cause && !asked {
		c.fail("the cause was %+v, and is now %+v", old.Cause, read.Cause)
	}
	for k := range old.Ops {
		for key, value := range old.Ops[k].Outputs {
			if read.Ops[k].Outputs[key] != value {
				c.fail("outputs of operation %q changed after they were frozen", old.Ops[k].Name)
			}
		}
	}
}

func isLive(p saga.Phase) bool { return p == saga.Running || p == saga.Retrying || p == saga.Undoing }

// started looks at an instance that is ordered for the first time.
func (c *checks) started(w *Workflow, l *saga.Ledger, i int) {
	if l.Phases[i] == saga.Undone {
		return // without a child and over at once: the whole way there and back is in this record
	}
	for j, phase := range l.Phases {
		if phase == saga.Failed && l.Attempts[j] == 0 {
			return // a value was found missing after this one was started, in one pass
		}
	}
	for j, phase := range l.Phases {
		policy := w.ops[c.opOf[j]].policy
		if (phase == saga.Failed || phase == saga.Unknown) && (policy == v1alpha1.FailureFail || policy == v1alpha1.FailureRollback) {
			c.fail("%s[%s] is started although %s[%s] is %s: %s", l.Ops[c.opOf[i]].Name, l.Key(i), l.Ops[c.opOf[j]].Name, l.Key(j), phase, l.Reason(j))
		}
	}
	if l.Stop != saga.StopNone {
		c.fail("%s[%s] is started although the run was stopped: %s", l.Ops[c.opOf[i]].Name, l.Key(i), l.Cause.Message)
	}
	for _, before := range c.needs[i] {
		if phase := l.Phases[before.instance]; !phase.Terminal() || !before.soft && phase != saga.Succeeded && phase != saga.Skipped {
			c.fail("I5: instance %d is started while %d, which it depends on, is %s", i, before.instance, phase)
		}
	}
	for _, p := range l.Ops[c.opOf[i]].Preds {
		if counts := l.OpCounts(int(p.Op)); counts.Settled() < counts.Total() {
			c.w.visited.see("started before its operation's predecessor had ended")
		}
	}
}

// creating looks at the POST of a child.
func (c *checks) creating(o *operator, action ChildAction) {
	w, i := c.w, action.Instance
	f := w.leaves[i]
	if w.durable == nil || w.durable.Attempts[i] == 0 {
		c.fail("I2: %s is created by %s and its order is not durable", action.Name, o.name)
		return
	}
	phase := w.durable.Phases[i]
	if f.byStale = phase != saga.Running; f.byStale {
		f.stale++
		w.visited.see("stale deed: created while " + phase.String())
		return
	}
	for _, before := range c.needs[i] {
		if !c.finished[before.instance] || !before.soft && !c.succeeded[before.instance] {
			c.fail("I5: %s is created and the success of instance %d is not durable", action.Name, before.instance)
		}
	}
	if f.created > f.vanished+f.stale {
		c.fail("I1: %s is created twice", action.Name)
	}
	c.room(i)
	c.content(action.Child)
}

// room counts in the world: children that are neither as wanted nor given up, against the limits in force at their starts.
func (c *checks) room(next int) {
	busy, most := 1, c.limits[next]
	for _, h := range c.w.children {
		live := h.live()
		if live == nil || h.instance == next || isReady(live) || !isLive(c.w.durable.Phases[h.instance]) {
			continue
		}
		busy++
		most = max(most, c.limits[h.instance])
	}
	if busy > most {
		c.fail("I6: %d children are at work, and the limit was %d", busy, most)
	}
}

// content compares what was substituted with what is durable.
func (c *checks) content(child Child) {
	text, err := json.Marshal(child)
	if err != nil {
		c.fail("encoding a child: %v", err)
	}
	if run, ok := child.(*v1alpha1.Run); ok && run.Spec.Command != nil {
		for _, v := range run.Spec.Command.Env {
			k := c.w.durable.Find(strings.TrimPrefix(v.Name, "FROM_"))
			if value, ok := c.w.durable.Ops[k].Outputs[givenBy(c.w.durable.Ops[k].Type)]; !ok || value != v.Value {
				c.fail("%s gets %q and durable is %q", run.Name, v.Value, value)
			}
		}
	}
	if service, ok := child.(*v1alpha1.TaskService); ok && service.Spec.Parameters != nil {
		var parameters map[string]string
		if err := json.Unmarshal(service.Spec.Parameters.Raw, &parameters); err != nil {
			c.fail("parameters are no longer JSON: %v: %s", err, text)
		}
		for name, got := range parameters {
			k := c.w.durable.Find(name)
			if value, ok := c.w.durable.Ops[k].Outputs[givenBy(c.w.durable.Ops[k].Type)]; !ok || value != got {
				c.fail("%s gets %q and durable is %q", service.Name, got, value)
			}
		}
	}
}

func (c *checks) raising(o *operator, action ChildAction) {
	if asked := int32(c.w.durable.Attempts[action.Instance]); action.Attempt > asked {
		c.fail("I2: %s is asked for attempt %d by %s, and durable is %d", action.Name, action.Attempt, o.name, asked)
	}
	c.w.visited.see("attempt raised")
}

// deleting looks at a deletion that has an effect.
func (c *checks) deleting(o *operator, h *history, stray bool) {
	phase := c.w.durable.Phases[h.instance]
	switch {
	case stray && Wants(o.workflow, c.w.durable, h.instance):
		c.fail("I13: %s is deleted as a stray by %s, and its instance is %s", h.name, o.name, phase)
	case stray:
		c.w.visited.see("stale deed reversed")
		return
	case phase == saga.Undone || phase == saga.Irreversible: // made by a stale order after its end
		return
	case phase != saga.Undoing && phase != saga.UndoFailed: // the latter ran out of time before this deed was done
		c.fail("I7: %s is deleted by %s, and its instance is %s", h.name, o.name, phase)
	}
	for _, other := range c.w.children {
		switch c.w.durable.Phases[other.instance] {
		case saga.Undone, saga.Irreversible:
			continue
		}
		if other.live() != nil && slices.Contains(c.rests[h.instance], other.instance) {
			c.fail("I7: %s is deleted before %s, which rests on it", h.name, other.name)
		}
	}
}

// advanced looks at the engine itself: it changes nothing that it was given, and its answer is a fixed point.
func (c *checks) advanced(o *operator, before *saga.Ledger) {
	if !before.Equal(o.ledger) {
		c.fail("Advance changed the ledger that it was given")
	}
	if c.w.rng.IntN(8) > 0 || c.w.flow.Annotations["short-waits"] != "" {
		return
	}
	again, _, err := Advance(c.w.broken.engine(o.workflow, o.next), o.next, o.sights, o.asked(), c.w.now)
	if err != nil || again != o.next {
		c.fail("Advance is not at a fixed point: %v", err)
	}
}
