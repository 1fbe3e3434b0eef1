package plan

import (
	"encoding/json"
	"fmt"
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
	preds     [][]saga.Pred // by operation
	rests     [][]int       // by operation: what depends on it, directly or not
	succeeded []bool        // by instance: its success was durable at some time
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

// learn takes the graph from the ledger's own copy of it.
func (c *checks) learn(l *saga.Ledger) {
	c.succeeded, c.finished, c.limits = make([]bool, l.N()), make([]bool, l.N()), make([]int, l.N())
	c.rests = make([][]int, len(l.Ops))
	for k := range l.Ops {
		c.preds = append(c.preds, l.Ops[k].Preds)
		for range l.Ops[k].Count {
			c.opOf = append(c.opOf, k)
		}
	}
	for k := range l.Ops {
		reached := map[int]bool{k: true}
		for grew := true; grew; {
			grew = false
			for other := range l.Ops {
				for _, p := range c.preds[other] {
					if reached[int(p.Op)] && !reached[other] {
						reached[other], grew = true, true
						c.rests[k] = append(c.rests[k], other)
					}
				}
			}
		}
	}
}

// reach holds, for each phase, what the table allows in any number of steps.
var reach = closure(saga.NumPhases, saga.CanMove)
var reachRun = closure(saga.NumRunPhases, saga.CanMoveRun)

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
	started := 0
	for i, to := range read.Phases {
		from := saga.Pending
		if old != nil {
			from = old.Phases[i]
			if read.Attempts[i] < old.Attempts[i] || to == saga.Running && from == saga.Retrying && read.Attempts[i] == old.Attempts[i] {
				c.fail("I4: attempts of instance %d go from %d to %d", i, old.Attempts[i], read.Attempts[i])
			}
		}
		if !reach[[2]saga.Phase{from, to}] {
			c.fail("I4: instance %d goes from %s to %s", i, from, to)
		}
		if isLive(to) && !isLive(from) {
			started++
			c.limits[i] = o.workflow.limit()
		}
		c.believed(old, read, i)
		if from == saga.Pending && read.Attempts[i] > 0 {
			c.started(read, i)
		}
		c.succeeded[i] = c.succeeded[i] || to == saga.Succeeded
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

// believed looks whether what is now held for true about a child was ever so.
func (c *checks) believed(old, read *saga.Ledger, i int) {
	f, failed := c.w.leaves[i], int32(read.Attempts[i])
	if old == nil || old.Phases[i] == read.Phases[i] && old.Attempts[i] == read.Attempts[i] {
		return
	}
	switch read.Phases[i] {
	case saga.Undone:
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

func (c *checks) childOf(i int) *history {
	for _, h := range c.w.children {
		if h.instance == i {
			return h
		}
	}
	return nil
}

func (c *checks) compareRuns(old, read *saga.Ledger) {
	if !reachRun[[2]saga.RunPhase{old.Phase, read.Phase}] {
		c.fail("I4: the run goes from %s to %s", old.Phase, read.Phase)
	}
	if old.Phase.Terminal() {
		c.fail("I14: something is written about a run that is over: %s", old.Phase)
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
func (c *checks) started(l *saga.Ledger, i int) {
	if l.Phases[i] == saga.Undone {
		return // without a child and over at once: the whole way there and back is in this record
	}
	for j, phase := range l.Phases {
		if phase == saga.Failed && l.Attempts[j] == 0 {
			return // a value was found missing after this one was started, in one pass
		}
	}
	for j, phase := range l.Phases {
		if phase == saga.Failed || phase == saga.Unknown {
			c.fail("%s[%s] is started although %s[%s] is %s: %s", l.Ops[c.opOf[i]].Name, l.Key(i), l.Ops[c.opOf[j]].Name, l.Key(j), phase, l.Reason(j))
		}
	}
	for _, p := range c.preds[c.opOf[i]] {
		for n := range int(l.Ops[p.Op].Count) {
			if phase := l.Phases[l.Instance(int(p.Op), n)]; !phase.Terminal() || !p.Soft && phase != saga.Succeeded {
				c.fail("I5: instance %d is started while %q, which it depends on, is %s", i, l.Ops[p.Op].Name, phase)
			}
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
	for _, p := range c.preds[c.opOf[i]] {
		op := &w.durable.Ops[p.Op]
		for j := op.First; j < op.First+op.Count; j++ {
			if !c.finished[j] || !p.Soft && !c.succeeded[j] {
				c.fail("I5: %s is created and the success of %q is not durable", action.Name, op.Name)
			}
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
	case stray && Wants(c.w.durable, h.instance):
		c.fail("I13: %s is deleted as a stray by %s, and its instance is %s", h.name, o.name, phase)
	case stray:
		c.w.visited.see("stale deed reversed")
		return
	case phase == saga.Undone || phase == saga.Irreversible: // made by a stale order after its end
		return
	case phase != saga.Undoing:
		c.fail("I7: %s is deleted by %s, and its instance is %s", h.name, o.name, phase)
	}
	for _, other := range c.w.children {
		switch c.w.durable.Phases[other.instance] {
		case saga.Undone, saga.Irreversible:
			continue
		}
		for _, k := range c.rests[c.opOf[h.instance]] {
			if c.opOf[other.instance] == k && other.live() != nil {
				c.fail("I7: %s is deleted before %s, which rests on it", h.name, other.name)
			}
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
	again, _, err := Advance(c.w.broken.engine(o.workflow, o.next), o.next, o.sights, c.w.now)
	if err != nil || again != o.next {
		c.fail("Advance is not at a fixed point: %v", err)
	}
}

// told looks at what people read.
func (c *checks) told(o *operator) {
	status := Summarise(o.workflow, o.ledger, o.sights)
	text, err := json.Marshal(status)
	if err != nil || len(text) > 32<<10 || len(status.Operations) > 64 || len(status.Leftovers) > 64 {
		c.fail("the summary has %d operations and %d bytes: %v", len(status.Operations), len(text), err)
	}
	if err := Verdict(o.workflow, o.ledger, time.Second); err != nil && len(err.Error()) > 1<<10 {
		c.fail("the verdict is %d bytes long", len(err.Error()))
	}
}

// describe says where the durable ledger stands.
func (c *checks) describe() string {
	l := c.w.durable
	if l == nil {
		return "nothing was recorded"
	}
	lines := []string{l.Phase.String()}
	for i, phase := range l.Phases {
		lines = append(lines, fmt.Sprintf("%s[%s] %s %d %s", l.Ops[l.OpOf(i)].Name, l.Key(i), phase, l.Attempts[i], l.Reason(i)))
	}
	for _, h := range c.w.children {
		if live := h.live(); live != nil {
			lines = append(lines, fmt.Sprintf("%s of %s exists, leaving %v", h.name, h.name, live.GetDeletionTimestamp() != nil))
		}
	}
	return strings.Join(lines, "\n  ")
}

// end looks at a world in which nothing happens any more.
func (c *checks) end(operators []*operator) {
	l := c.w.durable
	if l == nil || !l.Phase.Terminal() {
		c.fail("I11: the workflow has not ended and nothing wakes anybody: %s", c.describe())
		return
	}
	counts := l.Counts()
	if counts.Live()+counts[saga.Pending] > 0 {
		c.fail("I11: it has ended and something runs: %s", c.describe())
	}
	switch l.Phase {
	case saga.RunSucceeded:
		if counts.Passed() != counts.Total() {
			c.fail("I11: it succeeded without all: %s", c.describe())
		}
	case saga.RunRolledBack:
		if counts[saga.Undone]+counts[saga.Irreversible]+counts[saga.Omitted]+counts[saga.Failed] != counts.Total() || counts[saga.UndoFailed] > 0 {
			c.fail("I7: it is rolled back, and not all of it: %s", c.describe())
		}
	case saga.RunRollbackFailed:
		left := Summarise(operators[0].workflow, l, operators[0].sights).Leftovers
		if counts[saga.UndoFailed] == 0 || len(left) != int(min(counts[saga.UndoFailed], maxShown)) {
			c.fail("I11: %d leftovers are listed: %s", len(left), c.describe())
		}
	}
	for _, h := range c.w.children {
		c.atRest(h, l.Phases[h.instance])
	}
	for _, o := range operators {
		if len(Act(o.workflow, l, o.sights)) > 0 || len(o.strays) > 0 {
			c.fail("I14: there is still something to do at rest")
		}
	}
}

// atRest looks at one child, or at its absence, when all is over.
func (c *checks) atRest(h *history, phase saga.Phase) {
	live, f := h.live(), c.w.leaf(h)
	switch phase {
	case saga.Undone, saga.Pending, saga.Omitted:
		if live != nil && !(f.stuck && live.GetDeletionTimestamp() != nil) { // a stray's deletion may stall like any other
			c.fail("I8: %s is left over, and its instance is %s", h.name, phase)
		}
	case saga.Succeeded:
		if live == nil && f.vanished == 0 {
			c.fail("I1: %s succeeded and is not there", h.name)
		}
	}
}
