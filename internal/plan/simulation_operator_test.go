package plan

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// operator is one process with the shell of controllers/batchworkflow in it, step by step as in look.go and checkpoint.go, so
// that the world can go on, another operator can act, and it can die, between any two steps.
type operator struct {
	w    *world
	name string

	// What it remembers between two looks; a crash loses it.
	workflow *Workflow
	ledger   *saga.Ledger
	plan     *v1alpha1.CheckpointPlan
	isStored bool
	version  int64
	refused  map[int]Sight
	fresh    *saga.Ledger // as it was made anew after a loss, before anything came of it
	foreign  []string     // children of no operation, which it cannot do without somebody about; it remembers nothing then

	// What its caches show.
	seen int64
	flow *v1alpha1.BatchWorkflow

	// One look.
	todo     []step
	requests Requests
	sights   Sights
	strays   []Child
	next     *saga.Ledger
	gate     Gate
	recorded bool // in this look, so the ledger was the newest one then
	failed   bool
	wake     time.Time

	dirty  bool // something wakes it
	frozen int  // steps of the world for which it stands still
}

// step is what an operator does without a break.
type step struct {
	what string
	do   func() error
}

// start is a fresh process: its caches may be older than those of the one before.
func (o *operator) start() {
	w := o.w
	if o.ledger != nil && w.unmade() {
		w.visited.see("crash between an expansion and what is made of it")
	}
	*o = operator{w: w, name: o.name, refused: map[int]Sight{}, dirty: true, flow: w.flow, seen: w.version}
	if !w.calm && w.version > 0 && w.rng.IntN(2) == 0 {
		o.seen = w.version - w.rng.Int64N(min(w.version, 12))
	}
}

// watch brings the caches forward, as far as the watch has got.
func (o *operator) watch(upTo int64) {
	if o.w.changed(o.seen, upTo) || o.flow != o.w.flow {
		o.dirty = true
	}
	if o.ledger != nil && len(o.todo) == 0 && o.version < o.w.lostAt && upTo >= o.w.lostAt { // the Checkpoint is watched too
		o.forget()
		o.dirty = true
	}
	o.seen, o.flow = max(o.seen, upTo), o.w.flow
}

// thaw lets it go on where it stood, with what it knew.
func (o *operator) thaw() bool {
	if o.frozen = 0; o.ledger != nil && o.version != o.w.checkpoint.version {
		o.w.visited.see("thawed with an old ledger")
	}
	return true
}

// due reports whether something has woken it.
func (o *operator) due() bool {
	return o.dirty || !o.wake.IsZero() && !o.wake.After(o.w.now)
}

// look begins a look.
func (o *operator) look() {
	o.dirty, o.failed, o.recorded, o.wake = false, false, false, time.Time{}
	o.sights, o.strays, o.next = nil, nil, nil
	o.requests = RequestsIn(o.flow.Annotations)
	o.todo = []step{{"load", o.load}, {"observe", o.observe}, {"confirm", o.confirm}, {"judge", o.judge}, {"advance", o.advance}, {"record", o.record}, {"act", o.act}}
	if o.w.broken.actFirst {
		o.todo[5], o.todo[6] = o.todo[6], o.todo[5]
	}
}

// step takes the next step of its look. An error ends the look, and it looks again.
func (o *operator) step() {
	next := o.todo[0]
	o.todo = o.todo[1:]
	o.w.trace("%s: %s", o.name, next.what)
	defer func() {
		if died := recover(); died != nil {
			if c, ok := died.(crash); ok {
				o.w.trace("%s dies before %s", o.name, c.before)
				o.start()
				return
			}
			panic(died)
		}
	}()
	if err := next.do(); err != nil {
		o.w.trace("%s: %s: %v", o.name, next.what, err)
		o.todo, o.dirty = nil, !errors.Is(err, errForeign)
	}
}

func (o *operator) forget() {
	o.ledger, o.fresh, o.plan, o.isStored, o.version = nil, nil, nil, false, 0
}

func (o *operator) load() error {
	if o.ledger != nil {
		return o.under()
	}
	if err := o.read("checkpoint"); err != nil {
		return err
	}
	if o.w.checkpoint.version == 0 { // created, empty
		o.w.version++
		o.w.checkpoint.version = o.w.version
	}
	o.version, o.plan = o.w.checkpoint.version, o.w.checkpoint.plan
	if len(o.w.checkpoint.data) == 0 {
		return o.begin()
	}
	ledger, err := saga.Decode(o.w.checkpoint.data)
	o.ledger, o.isStored = ledger, true
	if err != nil {
		return err
	}
	return o.under()
}

// under finds the workflow as the ledger knows it.
func (o *operator) under() (err error) {
	compiled := o.w.workflow(o.flow)
	if compiled.Fits(o.ledger) || o.workflow == nil || !o.workflow.Follows(compiled, o.ledger) {
		o.workflow, err = compiled.Under(o.ledger)
	}
	return err
}

// read is a live read, which can fail.
func (o *operator) read(what string) error {
	if !o.w.calm && o.w.rng.IntN(40) == 0 {
		o.w.visited.see("failed read of " + what)
		return errServer
	}
	return nil
}

func (o *operator) observe() error {
	w := o.w
	o.sights = Sights{}
	places := o.workflow.Places(o.ledger)
	for _, h := range w.children {
		kid := h.at(o.seen)
		if kid == nil {
			continue
		}
		if kid != h.live() {
			w.visited.see("stale cache")
		}
		if i := places.Of(h.name); i >= 0 && Wants(o.workflow, o.ledger, i) {
			o.sights[i] = o.distort(i, Look(kid))
		} else if kid.GetDeletionTimestamp() == nil {
			o.strays = append(o.strays, kid)
		}
	}
	for i, sight := range o.refused {
		of, under := i%o.ledger.N(), saga.Running
		if i >= o.ledger.N() {
			under = saga.Undoing
		}
		if i >= 2*o.ledger.N() || o.ledger.Phases[of] != under || int32(o.ledger.Attempts[of]) != sight.Asked {
			delete(o.refused, i)
		} else if o.sights[i].Asked < sight.Asked {
			o.sights[i] = sight
		}
	}
	return nil
}

// distort is where the simulation breaks a guard of the engine on purpose.
func (o *operator) distort(i int, s Sight) Sight {
	if o.w.broken.anyForm && i < o.ledger.N() && o.ledger.Phases[i] == saga.Running {
		s.Asked, s.Answered = max(s.Asked, int32(o.ledger.Attempts[i])), max(s.Answered, int32(o.ledger.Attempts[i]))
	}
	if o.w.broken.oldStalled && s.Stalled && i < o.ledger.N() {
		s.Answered = int32(o.ledger.Attempts[i])
	}
	return s
}

func (o *operator) confirm() error {
	for _, i := range Confirm(o.workflow, o.ledger, o.sights) {
		if err := o.read("child"); err != nil {
			return err
		}
		_, name := o.workflow.Child(o.ledger, i)
		live := o.w.named[name].live()
		if live == nil || o.w.broken.noConfirm {
			o.sights[i] = Sight{Gone: true}
			continue
		}
		o.w.visited.see("live read found what the cache did not show")
		o.sights[i] = LookAt(live)
	}
	for _, i := range Recheck(o.workflow, o.ledger, o.sights) {
		if err := o.read("child"); err != nil {
			return err
		}
		_, name := o.workflow.Child(o.ledger, i)
		if live := o.w.named[name].live(); live == nil {
			o.sights[i] = Sight{Gone: true}
		} else if !o.w.broken.noConfirm {
			o.sights[i] = Look(live)
		}
	}
	return nil
}

// judge asks whether the run may go on by its plan.
func (o *operator) judge() (err error) {
	world := func() (World, error) { return World{Sights: o.sights}, nil }
	if o.gate, err = o.workflow.Judge(o.ledger, o.plan, o.sights, world, o.judged(), o.w.now); err != nil {
		return o.w.checks.fail("a plan cannot be made: %v", err)
	}
	if o.workflow = o.workflow.Behind(o.gate); o.w.broken.noGate {
		o.workflow.gate.Phase = ""
	}
	return nil
}

// asked is what people ask for, as the cache showed the workflow when the look began.
func (o *operator) asked() Requests {
	asked := maps.Clone(o.requests)
	for _, k := range o.workflow.approvals {
		if o.w.broken.selfGiven && o.ledger.Asked(o.ledger.Instance(k, 0)) {
			asked[v1alpha1.VerbApprove] = o.workflow.ops[k].Name + "@itself"
		}
	}
	return asked
}

func (o *operator) advance() (err error) {
	before := o.ledger.Clone()
	workflow := o.w.broken.engine(o.workflow, o.ledger)
	o.next, o.wake, err = Advance(workflow, o.reread(), o.sights, o.asked(), o.w.now)
	if o.w.broken.oneRecord && err == nil && !o.workflow.draining() && o.workflow.Replanned(o.next) {
		if expanded, failed := o.w.workflow(o.flow).Under(o.next); failed == nil {
			o.next, _, err = Advance(expanded, o.next, Sights{}, o.asked(), o.w.now)
		}
	}
	if err != nil {
		return o.w.checks.fail("I4: %v", err)
	}
	o.w.checks.advanced(o, before)
	if o.w.broken.actFirst {
		o.ledger = o.next
	}
	return nil
}

func (o *operator) record() error {
	if o.next == o.ledger && o.gate.Record == o.plan && o.isStored && !o.w.broken.actFirst {
		return nil
	}
	if o.w.broken.anyRun {
		for i := range o.next.Marks {
			o.next.Marks[i] &^= saga.Stood
		}
	}
	data, err := saga.Encode(o.next)
	if err != nil {
		return o.w.checks.fail("I9: %v", err)
	}
	version, err := o.w.record(o, data, o.version, o.next)
	if err != nil {
		if errors.Is(err, errConflict) {
			o.w.visited.see("stale record refused")
		}
		o.forget()
		return err
	}
	o.ledger, o.plan, o.version, o.isStored, o.recorded = o.next, o.gate.Record, version, true, true
	return nil
}

// act lines up the deeds: in the shell they go out side by side, so their order is any.
func (o *operator) act() error {
	if o.workflow.Replanned(o.ledger) {
		o.dirty = true // the plan was made anew: what was seen is looked at again by it
		return nil
	}
	actions := Act(o.workflow, o.ledger, o.sights)
	o.w.rng.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })
	var deeds []step
	if !o.recorded && len(actions)+len(o.strays) > 0 && !o.w.broken.hasty {
		deeds = append(deeds, step{"prove", o.prove})
	}
	for _, action := range actions {
		deeds = append(deeds, step{"deed: " + string(action.Do) + " " + action.Name, func() error { return o.do(action) }})
	}
	for _, stray := range o.strays {
		deeds = append(deeds, step{"deed: stray " + stray.GetName(), func() error {
			o.failed = o.w.remove(o, stray.GetName(), stray.GetUID(), true) != nil || o.failed
			return nil
		}})
	}
	o.todo = slices.Concat(deeds, o.todo, []step{{"summarise", o.summarise}})
	return nil
}

// prove makes sure that the ledger is still the newest one, when this look has not written it.
func (o *operator) prove() error {
	if err := o.read("checkpoint"); err != nil {
		return err
	}
	if o.version != o.w.checkpoint.version {
		o.w.visited.see("deeds of a stale operator spared")
		o.forget()
		return errConflict
	}
	return nil
}

func (o *operator) do(action ChildAction) error {
	var err error
	switch action.Do {
	case Ensure:
		err = o.w.create(o, action)
	case Raise:
		err = o.w.raise(o, action)
	case Update, Revert, Release, Retreat, Switch:
		err = o.w.rewrite(o, action)
	case Supplant:
		if live := o.w.named[action.Name].live(); live == nil || live.GetResourceVersion() == action.Version {
			err = o.w.remove(o, action.Name, action.UID, false)
		}
	default:
		err = o.w.remove(o, action.Name, action.UID, false)
	}
	switch {
	case err == nil || fault.IsWait(err):
	case fault.IsTerminal(err) && (action.Do == Ensure || action.Do == Update):
		o.refused[action.Instance] = NotMade(action.Attempt, err)
		o.wake = o.w.now
	default:
		o.failed = true // the others are done all the same
	}
	return nil
}

func (o *operator) summarise() error {
	if o.w.rng.IntN(4) == 0 || o.w.calm && o.ledger.Phase.Terminal() {
		o.w.checks.told(o)
	}
	if o.version == o.w.checkpoint.version && o.isStored {
		o.w.told = Summarise(o.workflow, o.ledger, o.sights)
		o.w.told.ObservedGeneration = o.flow.Generation
	}
	if o.failed {
		return errServer
	}
	return nil
}
