package plan

import (
	"maps"
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// ungated looks at an instance that leaves its queue: where a plan is wanted, somebody has approved it, durably and before.
func (c *checks) ungated(o *operator, old, read *saga.Ledger, i int) {
	if old == nil || old.Phases[i] != saga.Pending || read.Phases[i] != saga.Running || o.flow.Spec.Mode == "" || o.flow.Spec.Mode == v1alpha1.ModeApply {
		return
	}
	if record := o.gate.Record; o.flow.Spec.Mode == v1alpha1.ModePlan || record == nil || record.ApprovedAt == nil && !c.nothing(record) {
		c.fail("I20: %s[%s] is started in mode %s, and nobody has approved the plan: %s", read.Ops[c.opOf[i]].Name, read.Key(i), o.flow.Spec.Mode, c.describe())
	}
	c.w.visited.see("ran by its plan")
}

func (c *checks) nothing(record *v1alpha1.CheckpointPlan) bool {
	preview, err := DecodePreview(record.Data)
	return err == nil && preview.Nothing()
}

// planned looks at the plan that is recorded together with a ledger.
func (c *checks) planned(o *operator) {
	was, now := c.w.checkpoint.plan, o.gate.Record
	switch {
	case now == nil:
		c.foretold = nil
		return
	case now.Stale && (was == nil || !was.Stale):
		c.w.visited.see("plan stale")
	case o.gate.answered && o.gate.answer != "":
		c.w.visited.see("plan refused")
	}
	if now.ApprovedAt == nil || was != nil && was.ApprovedAt != nil && was.Hash == now.Hash {
		return
	}
	c.w.visited.see("plan approved")
	if !c.w.approved[now.Hash] {
		c.fail("I20: plan %s is approved by nobody", now.Hash)
	}
	preview, err := DecodePreview(now.Data)
	if err != nil || preview.Hash != now.Hash {
		c.fail("I9: the plan that was approved reads differently: %v", err)
		return
	}
	c.foretold = map[string]Deed{}
	for _, op := range preview.Operations {
		for _, part := range op.Parts {
			for _, key := range part.Keys.all() {
				c.foretold[v1alpha1.ChildName(c.w.flow.Name, op.Name, key)] = part.Do
			}
		}
	}
}

// foreseen looks at a deed of a run that goes on by a plan: the plan has said so. What another hand took away is made again all the same,
// an undo takes everything back, and another try is as good as the first.
func (c *checks) foreseen(o *operator, name string, deeds ...Deed) {
	said, known := c.foretold[name]
	h := c.w.named[name]
	switch {
	case c.foretold == nil || !known || o.version != c.w.checkpoint.version || c.w.durable.Phase != saga.RunRunning:
	case h != nil && c.w.leaf(h).vanished+c.w.leaf(h).stale > 0:
	case !slices.Contains(deeds, said):
		c.fail("I20: something is done to %s that the approved plan did not say: it said %s: %s", name, said, c.describe())
	default:
		c.w.visited.see("did what its plan said")
	}
}

// powers looks at how the Servers stand at the end which operations of type Power switch: as the last of them wants it, or, where it was
// taken back, as they stood before. Where several switch the same one, they say nothing about each other.
func (c *checks) powers(w *Workflow, l *saga.Ledger) {
	by := map[int][]int{} // server → instances that switch it
	for k := range w.ops {
		for n := range w.ops[k].count {
			if w.ops[k].Power != nil {
				by[w.serverOf(&w.ops[k], n)] = append(by[w.serverOf(&w.ops[k], n)], w.ops[k].first+n)
			}
		}
	}
	for server, all := range by {
		h := c.childOf(server)
		if h == nil || len(all) > 1 || h.live() == nil || h.live().GetDeletionTimestamp() != nil || c.w.leaf(h).stale+c.w.leaf(h).vanished > 0 {
			continue
		}
		i := all[0]
		is, want := orRunning(h.live().(*v1alpha1.Server).Spec.Power), w.ops[c.opOf[i]].Power.State
		switch phase := l.Phases[i]; {
		case phase == saga.Succeeded && is != want:
			c.fail("I21: %s is %s, and %q has made it %s: %s", h.name, is, l.Ops[c.opOf[i]].Name, want, c.describe())
		case phase == saga.Undone && l.Marks[i].Has(saga.Replaced) && is == want:
			c.fail("I21: %s is %s, and %q, which made it so, is undone: %s", h.name, is, l.Ops[c.opOf[i]].Name, c.describe())
		case phase == saga.Succeeded:
			c.w.visited.see("switched")
		case phase == saga.Undone:
			c.w.visited.see("switched back")
		}
	}
}

// switching looks at a Server that is switched: it is the workflow's own, and an operation of type Power is about to do that, or to take
// it back.
func (c *checks) switching(o *operator, action ChildAction, h *history) {
	w, l := c.under, c.w.durable
	if o.version != c.w.checkpoint.version {
		c.w.leaf(h).stale++
		return
	}
	for k := range w.ops {
		op := &w.ops[k]
		for n := range op.count {
			if op.Power == nil || w.serverOf(op, n) != h.place {
				continue
			}
			phase := l.Phases[op.first+n]
			if phase == saga.Running && action.Power == op.Power.State || phase == saga.Undoing && action.Power == other(op.Power.State) {
				return
			}
		}
	}
	c.fail("I21: %s is switched to %s by %s, and no operation of type Power does that: %s", h.name, action.Power, o.name, c.describe())
}

// approvePlan is what somebody does about a plan for which all waits: they approve it. Now and then a child vanishes before, and they approve
// the plan that they had read.
func (s *simulation) approvePlan(hash string) bool {
	switch {
	case s.outdated == "" && s.rng.IntN(2) == 0:
		for _, h := range s.children {
			if h.live() != nil && h.live().GetDeletionTimestamp() == nil && h.kind != KindRun {
				s.trace("%s vanishes before the plan is approved", h.name)
				s.outdated = hash
				s.vanish(h)
				return true
			}
		}
	case s.outdated != "" && s.outdated != "none" && s.outdated != hash:
		hash, s.outdated = s.outdated, "none"
	}
	s.approve(hash)
	return true
}

// judged is what Judge is told that people ask for. Broken on purpose, whoever names an earlier plan means the present one.
func (o *operator) judged() Requests {
	if o.w.broken.anyPlan && o.plan != nil && slices.Contains(o.plan.Superseded, o.requests.what(v1alpha1.VerbApprove)) {
		asked := maps.Clone(o.requests)
		asked[v1alpha1.VerbApprove] = o.plan.Hash + "@anyway"
		return asked
	}
	return o.requests
}
