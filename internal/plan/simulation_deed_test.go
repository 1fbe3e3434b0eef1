package plan

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// creating looks at the POST of a child.
func (c *checks) creating(o *operator, action ChildAction) {
	w, i := c.w, c.placeOf(action.Name)
	h := w.named[action.Name]
	if h == nil {
		h = &history{kind: action.Kind, name: action.Name, operation: action.Child.GetLabels()[v1alpha1.LabelOperation]}
	}
	f := w.leaf(h)
	if w.durable == nil || i >= 0 && i < w.durable.N() && w.durable.Attempts[i] == 0 {
		c.fail("I2: %s is created by %s and its order is not durable", action.Name, o.name)
		return
	}
	if n := w.durable.N(); i >= n && i < 2*n && w.durable.Phases[i-n] == saga.Undoing {
		w.visited.see("script of an undo")
		return
	}
	phase := saga.Undone
	if i >= 0 && i < w.durable.N() {
		phase = w.durable.Phases[i]
	}
	if f.byStale = phase != saga.Running; f.byStale {
		f.stale++
		w.visited.see("stale deed: created while " + phase.String())
		return
	}
	if c.succeeded[i] && c.w.losses > 0 {
		c.fail("I4: %s, which had succeeded, is made again after a loss", action.Name)
	}
	for _, before := range c.needs[i] {
		if !c.finished[before.instance] || !before.soft && !c.succeeded[before.instance] {
			c.fail("I5: %s is created and the success of instance %d is not durable", action.Name, before.instance)
		}
	}
	if f.created > f.vanished+f.stale+f.takes {
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
		if live == nil || h.place == next || isReady(live) || h.place < 0 || h.place >= c.w.durable.N() || !isLive(c.w.durable.Phases[h.place]) {
			continue
		}
		busy++
		most = max(most, c.limits[h.place])
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
			if k < 0 {
				continue
			}
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
			if k < 0 {
				continue
			}
			if value, ok := c.w.durable.Ops[k].Outputs[givenBy(c.w.durable.Ops[k].Type)]; !ok || value != got {
				c.fail("%s gets %q and durable is %q", service.Name, got, value)
			}
		}
	}
}

// beforeLoss reports whether an operator acts on a ledger that was lost since: what it does was durable then.
func (c *checks) beforeLoss(o *operator) bool { return o.version < c.w.lostAt }

func (c *checks) raising(o *operator, action ChildAction) {
	place := c.placeOf(action.Name)
	if n := c.w.durable.N(); place >= n && place < 2*n {
		place -= n
	}
	if place < 0 || place >= c.w.durable.N() {
		return // it was removed since
	}
	if asked := int32(c.w.durable.Attempts[place]); action.Attempt > asked && !c.beforeLoss(o) {
		c.fail("I2: %s is asked for attempt %d by %s, and durable is %d", action.Name, action.Attempt, o.name, asked)
	}
	c.w.visited.see("attempt raised")
}

// deleting looks at a deletion that has an effect.
func (c *checks) deleting(o *operator, h *history, stray bool) {
	l, n, f := c.w.durable, c.w.durable.N(), c.w.leaf(h)
	f.takes++
	if h.place < 0 || h.place >= n {
		c.taking(o, h, stray)
		return
	}
	phase := l.Phases[h.place]
	switch {
	case c.beforeLoss(o): // as good as another hand
		f.vanished++
		return
	case stray && Wants(c.under, l, h.place):
		c.fail("I13: %s is deleted as a stray by %s, and its instance is %s", h.name, o.name, phase)
	case stray:
		c.w.visited.see("stale deed reversed")
		return
	case phase != saga.Pending && attemptOf(h.live()) < int32(l.Since[h.place]): // also when it was called off since
		c.w.visited.see("replaced")
		return
	case phase == saga.Pending && attemptOf(h.live()) < int32(l.Attempts[h.place]):
		c.w.visited.see("stale deed: replaced what was planned anew since")
		return
	case phase == saga.Pending && l.Marks[h.place].Has(saga.Touched) && h.kind == KindTaskService:
		c.w.visited.see("service went with its server")
		return
	case phase == saga.Failed && l.Marks[h.place].Has(saga.Touched) && h.kind == KindTaskService && o.version != c.w.checkpoint.version:
		c.w.visited.see("stale deed: service went with its server")
		return
	case phase == saga.Undone || phase == saga.Irreversible: // made by a stale order after its end
		return
	case phase != saga.Undoing && phase != saga.UndoFailed: // the latter ran out of time before this deed was done
		c.fail("I7: %s is deleted by %s, and its instance is %s: %s", h.name, o.name, phase, c.describe())
	}
	for _, other := range c.w.children {
		if other.place < 0 || other.place >= n || !l.Marks[other.place].Has(saga.Touched) {
			continue
		}
		switch l.Phases[other.place] {
		case saga.Undone, saga.Irreversible:
			continue
		}
		if other.live() != nil && slices.Contains(c.rests[h.place], other.place) {
			c.fail("I7: %s is deleted before %s, which rests on it", h.name, other.name)
		}
	}
}
