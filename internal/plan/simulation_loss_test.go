package plan

import (
	"slices"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// lose is another hand that takes the Checkpoint away, finalizer and all.
func (w *world) lose() {
	w.version++
	w.checkpoint.version, w.checkpoint.data, w.checkpoint.plan = 0, nil, nil
	w.lost, w.losses, w.lostAt = true, w.losses+1, w.version
	for _, h := range w.children {
		if f := w.leaf(h); h.live() == nil { // what follows may make it anew, once somebody asks for it
			f.created = 0
		}
	}
}

// loseCheckpoint is how that comes about: maybe in the middle of other work, in which operations are edited, and Runs cleared away that
// are over.
func (s *simulation) loseCheckpoint() {
	if s.editing && s.rng.IntN(2) == 0 {
		s.editOperations()
	}
	for _, h := range s.children {
		if run, ok := h.live().(*v1alpha1.Run); ok && run.Status.FinishedAt != nil && s.rng.IntN(3) == 0 {
			s.trace("%s vanishes", h.name)
			s.visited.see("a Run that is over vanishes before a loss")
			s.vanish(h)
		}
	}
	s.trace("the checkpoint is lost")
	if s.visited.see("checkpoint lost"); s.durable != nil && !s.workflow(s.flow).Fits(s.durable) {
		s.visited.see("checkpoint lost before an edit was planned")
	}
	s.lose()
}

// rebuilt looks at a ledger that was made anew after its loss, against the one that was lost: it may know less, and it may have
// folded in since what the children tell, but it takes nothing to be undone that may have been done, and nothing for what is wanted
// now that was done as it was wanted before. Rows that were unknown then are new.
func (c *checks) rebuilt(read *saga.Ledger) {
	was, back := c.w.durable, map[saga.RunPhase]bool{saga.RunUndoing: true, saga.RunRolledBack: true, saga.RunRollbackFailed: true, saga.RunRollbackBlocked: true}
	c.w.visited.see("ledger rebuilt")
	rows := rowsOf(read, was)
	c.relearn(read, rows)
	for i, to := range read.Phases {
		c.w.visited.see("rebuilt " + to.String())
		if isLive(to) { // what is under way goes on, also where the limit was lowered since its start
			c.limits[i] = len(read.Phases)
		}
		if row := rows[i]; row != saga.None && was.Ops[was.OpOf(int(row))].Child == read.Ops[read.OpOf(i)].Child {
			c.rebuiltRow(was, read, int(row), i)
		}
		c.finished[i] = c.finished[i] || to.Terminal()
	}
	if read.Run == was.Run && read.Phase == saga.RunUndoing && !back[was.Phase] && Lost(read) && read.Stop != saga.StopRollback {
		c.fail("I4: the run is undone because its ledger was lost: it was %s", was.Phase)
	}
}

// rebuiltRow looks at one instance of it.
func (c *checks) rebuiltRow(was, read *saga.Ledger, row, i int) {
	from, to, h := was.Phases[row], read.Phases[i], c.childOf(i)
	switch {
	case to == saga.Pending && c.differs(read, i): // it stands as it was wanted before, and that it is changed is still to come
		c.succeeded[i] = false
		c.w.visited.see("rebuilt and to be changed")
	case to == saga.Pending && from != saga.Pending && (was.Ordered(row) || from == saga.Succeeded || from == saga.Skipped || h.live() != nil):
		c.fail("I4: instance %d was %s after %d attempts, and is said to be %s", i, from, was.Attempts[row], to)
	case to == saga.Succeeded && from != saga.Succeeded && from != saga.Skipped && !h.wasReady():
		c.fail("I4: instance %d was %s, its child was never ready, and it is said to have %s", i, from, to)
	case to == saga.Undone && h.live() != nil:
		c.fail("I10: %s is held to be gone and exists", h.name)
	}
}

// differs reports whether the child of an instance is there and is not what is wanted now: it was edited, or its change was ordered and not
// made yet.
func (c *checks) differs(read *saga.Ledger, i int) bool {
	h := c.childOf(i)
	live := h.live()
	if live == nil {
		return false
	}
	wanted, _ := c.under.Wanted(read, i)
	return len(Changes(h.kind, live, wanted)) > 0
}

// clearAway is what people do when a lost ledger cannot be made anew because of children of no operation.
func (s *simulation) clearAway() bool {
	for _, o := range s.operators {
		if o.ledger != nil || len(o.foreign) == 0 {
			continue
		}
		if s.changeBack(o.foreign) {
			return true
		}
		s.visited.see("children of no operation cleared away")
		for _, name := range o.foreign {
			if h := s.named[name]; h.live() != nil && h.live().GetDeletionTimestamp() == nil {
				s.trace("somebody clears %s away", name)
				s.vanish(h)
			}
		}
		o.foreign, o.dirty = nil, true
		return true
	}
	return false
}

// changeBack brings an operation of such children back, where one is remembered.
func (s *simulation) changeBack(foreign []string) bool {
	if s.rng.IntN(2) == 0 {
		return false
	}
	for _, former := range s.former {
		if !slices.ContainsFunc(former, func(op v1alpha1.Operation) bool { return op.Name == s.named[foreign[0]].operation }) || s.operation(s.named[foreign[0]].operation) != nil {
			continue
		}
		s.visited.see("changed back after a loss")
		s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Operations = slices.Clone(former) })
		return true
	}
	return false
}

// begin starts a new ledger, or makes the lost one anew from what there is, by live reads.
func (o *operator) begin() (err error) {
	o.isStored, o.workflow, o.foreign = false, o.w.workflow(o.flow), nil
	if err := o.read("children"); err != nil {
		return err
	}
	var kids []Child
	for _, h := range o.w.children {
		if live := h.live(); live != nil {
			kids = append(kids, live)
		}
	}
	if o.w.told.Run == nil && len(kids) == 0 || o.w.broken.anew {
		o.ledger, err = o.workflow.Start(o.w.now.Unix())
		return err
	}
	told := o.w.told
	if o.w.broken.trusting && told.Run != nil {
		told.ObservedGeneration, told.Run = o.workflow.generation, &v1alpha1.RunInfo{Number: told.Run.Number, StartedAt: told.Run.StartedAt, FinishedAt: told.Run.FinishedAt}
	}
	o.workflow = o.workflow.Recover(kids)
	found := map[int]Found{}
	for _, kid := range kids {
		switch i, ours := o.workflow.Instance(kid.GetName()); {
		case i >= 0:
			found[i] = Find(kid)
		case !ours && kid.GetDeletionTimestamp() == nil:
			o.foreign = append(o.foreign, kid.GetName())
		}
	}
	if len(o.foreign) > 0 {
		return errForeign
	}
	o.ledger, err = Rebuild(o.workflow, told, found, o.requests, o.w.now)
	o.w.trace("%s makes the ledger anew from %d children, told %s of generation %d by %+v: run %d %s %v, as it was planned %t", o.name, len(found), o.w.told.Phase, o.w.told.ObservedGeneration, o.w.told.Run, o.ledger.Run, o.ledger.Phase, o.ledger.Phases, o.workflow.Fits(o.ledger))
	if err != nil {
		return err
	}
	o.fresh = o.ledger.Clone()
	return o.under()
}
