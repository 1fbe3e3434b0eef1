package plan

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// seasons goes on after the end: the workflow is edited, or another run is asked for, in storm and calm.
func (s *simulation) seasons() {
	for range 2 {
		if s.checks.problem != nil || !s.editing || s.rng.IntN(100) >= 60 {
			return
		}
		for range 1 + s.rng.IntN(2) {
			s.editOperations()
		}
		if s.losing && s.rng.IntN(2) == 0 {
			s.loseCheckpoint()
		}
		if s.rng.IntN(3) > 0 {
			s.calm = false
			for range s.rng.IntN(150) {
				if s.storm(); s.checks.problem != nil {
					return
				}
			}
		}
		s.settle()
		s.calmDown()
	}
}

// editOperations is what people do to operations.
func (s *simulation) editOperations() {
	what := "runID"
	s.edit(func(spec *v1alpha1.BatchWorkflowSpec) {
		k := s.rng.IntN(len(spec.Operations))
		switch n := s.rng.IntN(12); {
		case n < 6:
			what = s.rewriteOperation(&spec.Operations[k])
		case n < 8:
			what = s.removeOperation(spec, k)
		case n < 9 && len(s.former) > 0:
			what = "an earlier spec"
			spec.Operations = slices.Clone(s.former[s.rng.IntN(len(s.former))])
		case n < 10:
			what = "another operation"
			spec.Operations = append(slices.Clone(spec.Operations), s.another(spec.Operations[k]))
		case n < 11:
			what, spec.Prune = "prune", !spec.Prune
		default:
			spec.RunID = fmt.Sprint(s.rng.IntN(3))
		}
	})
	s.former = append(s.former, s.flow.Spec.Operations)
	s.visited.see("edited: " + what)
	s.trace("somebody edits %s", what)
}

// rewriteOperation changes what one operation is about.
func (s *simulation) rewriteOperation(op *v1alpha1.Operation) string {
	*op = *op.DeepCopy()
	n := s.rng.IntN(3)
	switch {
	case op.ServerBatch != nil && op.ServerBatch.Count != nil && n > 0:
		*op.ServerBatch.Count = int32(1 + s.rng.IntN(4))
		return "count"
	case op.ServerBatch != nil && (op.ServerBatch.ForEachFrom != "" && n < 2 || s.rng.IntN(4) == 0):
		return s.respell(op)
	case op.ServerBatch != nil && n == 1:
		key := []string{"a", "b", "c", "d"}[s.rng.IntN(4)]
		if at := slices.IndexFunc(op.ServerBatch.ForEach, func(item v1alpha1.ServerItem) bool { return item.Key == key }); at < 0 {
			op.ServerBatch.ForEach = slices.Insert(op.ServerBatch.ForEach, 0, v1alpha1.ServerItem{Key: key})
			return "head of forEach"
		}
		op.ServerBatch.Template.Labels = map[string]v1alpha1.LabelValue{"edit": v1alpha1.LabelValue(fmt.Sprint(s.rng.IntN(3)))}
		return "labels"
	case op.ServerBatch != nil:
		op.ServerBatch.Template.Spec.Zone = fmt.Sprint("zone-", s.rng.IntN(2))
		if s.rng.IntN(4) > 0 {
			op.ServerBatch.Template.Spec.UpdatePolicy = v1alpha1.UpdateReplaceAllowed
		}
		return "zone"
	case op.TaskServiceBatch != nil && n > 0:
		op.TaskServiceBatch.Recipes[0].Version = fmt.Sprint(s.rng.IntN(3))
		return "version"
	case op.TaskServiceBatch != nil && op.TaskServiceBatch.Recipes[0].Parameters == nil:
		op.TaskServiceBatch.Recipes[0].Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(`{}`)}}
		return "parameters"
	case op.Command != nil:
		op.Command.Script = fmt.Sprint("exit ", s.rng.IntN(2))
		return "script"
	case op.Check != nil && op.Check.TCP != nil:
		op.Check.TCP.Address = fmt.Sprint("127.0.0.1:", 1+s.rng.IntN(2))
		return "check"
	case op.Wait != nil:
		op.Wait.Count = int32(1 + s.rng.IntN(3))
		return "wait"
	}
	return "nothing"
}

// removeOperation takes one out on which nothing depends.
func (s *simulation) removeOperation(spec *v1alpha1.BatchWorkflowSpec, k int) string {
	name := spec.Operations[k].Name
	for _, op := range spec.Operations {
		if slices.ContainsFunc(op.DependsOn, func(d v1alpha1.Dependency) bool { return d.Operation == name }) {
			return "nothing"
		}
	}
	if len(spec.Operations) == 1 {
		return "nothing"
	}
	spec.Operations = slices.Delete(slices.Clone(spec.Operations), k, k+1)
	return "one operation less"
}

// another is an operation that comes after one that is there.
func (s *simulation) another(after v1alpha1.Operation) v1alpha1.Operation {
	s.added++
	op := v1alpha1.Operation{Name: fmt.Sprint("new", s.added), DependsOn: []v1alpha1.Dependency{{Operation: after.Name, Type: v1alpha1.EdgeHard}}}
	if s.rng.IntN(2) == 0 {
		op.Type, op.Command = v1alpha1.OperationCommand, &v1alpha1.Command{CommandScript: v1alpha1.CommandScript{Script: "true"}, Target: v1alpha1.OperationTarget{Server: "made-elsewhere"}}
		op.OnFailure = v1alpha1.FailureRollback
		return op
	}
	count := int32(1 + s.rng.IntN(2))
	op.Type, op.ServerBatch = v1alpha1.OperationServerBatch, &v1alpha1.ServerBatch{Count: &count}
	return op
}

// operation returns the operation of that name as it is written now, or nil.
func (w *world) operation(name string) *v1alpha1.Operation {
	for k := range w.flow.Spec.Operations {
		if w.flow.Spec.Operations[k].Name == name {
			return &w.flow.Spec.Operations[k]
		}
	}
	return nil
}

// locate finds the places of all children in the durable ledger.
func (c *checks) locate(l *saga.Ledger) {
	w := c.w.workflow(c.w.flow)
	under, err := w.Under(l)
	if err != nil {
		c.fail("a ledger cannot be followed: %v", err)
		return
	}
	c.under, c.places = under, under.Places(l)
	for _, h := range c.w.children {
		h.place = c.places.Of(h.name)
	}
}

// placeOf returns where the durable ledger knows a child; -1: nowhere.
func (c *checks) placeOf(name string) int {
	if c.under == nil {
		return -1
	}
	return c.places.Of(name)
}

// scripted reports whether the child is a command's.
func (c *checks) scripted(h *history) bool {
	return h.place >= 0 && h.place < c.w.durable.N() && c.w.durable.Ops[c.opOf[h.place]].Type == string(v1alpha1.OperationCommand)
}

// replanned looks at a ledger of another plan: what stood goes on under its operation and key, or is left.
func (c *checks) replanned(old, read *saga.Ledger) {
	if read.Run != old.Run {
		c.w.visited.see("another run")
		c.before = map[string]Child{}
		for _, h := range c.w.children {
			if live := h.live(); live != nil && live.GetDeletionTimestamp() == nil {
				c.before[h.name] = live
			}
		}
	} else {
		c.w.visited.see("planned anew under a run")
	}
	c.kept = map[leftKey]bool{}
	if read.Run != old.Run && read.Run != old.Run+1 {
		c.fail("I4: run %d follows run %d", read.Run, old.Run)
	}
	rows := map[leftKey]int{}
	for i := range read.N() {
		name := leftKey{read.Ops[read.OpOf(i)].Name, read.Key(i)}
		rows[name], c.kept[name] = i, read.Marks[i].Has(saga.Touched)
	}
	left := map[leftKey]bool{}
	for _, of := range read.Left {
		for _, key := range of.Keys {
			left[leftKey{of.Operation, key}] = true
			if _, both := rows[leftKey{of.Operation, key}]; both {
				c.fail("I1: %s[%s] is left and goes on", of.Operation, key)
			}
		}
	}
	for i := range old.N() {
		name := leftKey{old.Ops[old.OpOf(i)].Name, old.Key(i)}
		j, on := rows[name]
		switch {
		case on && read.Attempts[j] < old.Attempts[i] && old.Ops[old.OpOf(i)].Child != "":
			c.fail("I4: attempts of %v go from %d to %d", name, old.Attempts[i], read.Attempts[j])
		case on && read.Phases[j] == saga.Succeeded && read.Form(j) != old.Form(i):
			c.fail("I16: %v is kept, and its form is another one", name)
		case on && read.Phases[j] == saga.Succeeded:
			c.w.visited.see("outcome kept")
		case old.Phases[i] == saga.Succeeded && old.Ops[old.OpOf(i)].Child != "" && !on && !left[name] && old.Key(i) != saga.KeyOpen:
			c.fail("I17: %v stood, and nothing knows of it any more", name)
		case left[name]:
			c.w.visited.see("left in place")
			if h := c.childOf(i); h != nil && h.live() != nil && h.live().GetDeletionTimestamp() == nil {
				c.w.leaf(h).isLeft = true
			}
		}
	}
}

// rewriting looks at the change of a child.
func (c *checks) rewriting(o *operator, action ChildAction, h *history) {
	c.w.visited.see("child: " + string(action.Do))
	place, l := h.place, c.w.durable
	if place < 0 || place >= l.N() {
		return // it was removed since
	}
	if action.Do == Switch {
		c.switching(o, action, h)
	}
	if action.Do == Update && l.Attempts[place] < uint16(action.Attempt) {
		c.fail("I2: %s is changed by %s for attempt %d, and durable is %d", h.name, o.name, action.Attempt, l.Attempts[place])
	}
	if action.Do == Revert && l.Phases[place] != saga.Undoing && l.Phases[place] != saga.UndoFailed && l.Phases[place] != saga.Undone && l.Run == action.Run {
		c.fail("I7: %s is put back by %s, and its instance is %s", h.name, o.name, l.Phases[place])
	}
}

// taking looks at the deletion of what is no instance's child.
func (c *checks) taking(o *operator, h *history, stray bool) {
	l := c.w.durable
	switch n := l.N(); {
	case h.place < 0 || stray: // nothing knows of it, or it is the Run of an undo that is over
	case h.kind == KindTaskService && slices.ContainsFunc(h.live().(*v1alpha1.TaskService).Spec.Servers.Names, func(name string) bool { return o.workflow.leaving(o.ledger, o.sights)[name] }):
		c.w.visited.see("what was left went with its server")
	case h.place >= 2*n && !o.workflow.spec.Prune:
		c.fail("I13: %s is pruned by %s, and nobody asked for that", h.name, o.name)
	case h.place >= 2*n:
		c.w.visited.see("pruned")
	}
}

// asWanted compares what stands at the end with what is wanted, or, where the run was taken back, with what stood before it.
func (c *checks) asWanted(l *saga.Ledger) {
	w := c.under
	for _, h := range c.w.children {
		live := h.live()
		if live == nil || h.kind == KindRun || h.place < 0 || h.place >= l.N() || c.w.leaf(h).stale+c.w.leaf(h).vanished > 0 {
			continue
		}
		i := h.place
		if l.Phases[i] == saga.Succeeded {
			wanted, known := w.Wanted(l, i)
			if changes := Changes(h.kind, live, wanted); known && len(changes) > 0 {
				c.fail("I18: %s succeeded and is not as it is wanted: %+v", h.name, changes)
			}
		}
		if before := c.before[h.name]; l.Phases[i] == saga.Undone && before != nil && before.GetUID() == live.GetUID() {
			c.w.visited.see("put back as it was")
			if changes := Changes(h.kind, live, before); len(changes) > 0 {
				c.fail("I19: %s was put back, and differs from before: %+v", h.name, changes)
			}
		}
	}
	c.ranAsWanted(l)
	if l.Phase == saga.RunRolledBack && l.Run > 1 {
		for name, before := range c.before {
			h := c.w.named[name]
			if h.kind == KindServer && h.live() == nil && c.w.leaf(h).vanished == 0 && !c.replaced(l, h) {
				c.fail("I19: %s of an earlier run is gone with run %d: %s", before.GetName(), l.Run, c.describe())
			}
		}
	}
}

func (c *checks) replaced(l *saga.Ledger, h *history) bool {
	return h.place < 0 || h.place >= l.N() || l.Marks[h.place].Has(saga.Replaced)
}

// ranAsWanted compares what was run with what is wanted, where it is held to have succeeded: a Run may be gone, what it did is not.
func (c *checks) ranAsWanted(l *saga.Ledger) {
	for i, phase := range l.Phases {
		if phase != saga.Succeeded || l.Ops[l.OpOf(i)].Child != KindRun {
			continue
		}
		ran := c.childOf(i).lastReady()
		if ran == nil {
			c.fail("I23: %s[%s] is held to have succeeded, and never did: %s", l.Ops[l.OpOf(i)].Name, l.Key(i), c.describe())
			continue
		}
		wanted, known := c.under.Wanted(l, i)
		if changes := Changes(KindRun, ran, wanted); known && len(changes) > 0 {
			c.fail("I23: %s[%s] is held to have succeeded, and ran as it was wanted before: %+v: %s", l.Ops[l.OpOf(i)].Name, l.Key(i), changes, c.describe())
		}
	}
}
