package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Preview is what a run would do, found out by reading alone. It is made from the same Forecast that the next ledger is made by, so
// that it decides the run: what it says is what happens, as long as its hash is the same.
type Preview struct {
	Workflow string `json:"workflow"`
	Run      int32  `json:"run"`
	// Hash is over everything that the plan follows from: the operations and edges as written, what happens to each instance, whether a
	// value is unknown, and the children that were read. What things cost is no part of it.
	Hash string `json:"hash"`
	// Operations in the order of their waves. What belongs to no operation any more comes last, in a wave of its own.
	Operations []PreviewOperation `json:"operations"`
	Cost       CostChange         `json:"cost,omitzero"`
}

// PreviewOperation is what happens to one operation.
type PreviewOperation struct {
	Name  string        `json:"name"`
	Type  string        `json:"type"`
	Kind  string        `json:"kind,omitempty"` // of its children; empty: it is decided without any
	Wave  int           `json:"wave"`           // from 1; those of one wave go side by side
	After []string      `json:"after,omitempty"`
	When  bool          `json:"when,omitempty"` // whether it is wanted at all is known after apply
	Each  string        `json:"each,omitempty"` // the operation after which it is known how many instances there are; the parts speak of any of them
	Parts []PreviewPart `json:"parts"`
}

// PreviewPart is instances of an operation to which the same happens.
type PreviewPart struct {
	Do   Deed `json:"do"`
	Keys Keys `json:"keys"`
	// Shape is what is made, in a few words.
	Shape string `json:"shape,omitempty"`
	// Fields that change, with what they are and will be.
	Fields []FieldChange `json:"fields,omitempty"`
	// Why it is done although what is written of it is as it was; empty where that says enough.
	Why string `json:"why,omitempty"`
	// Unknown are the values that are known after apply. While there are any, it may turn out that nothing is left to do.
	Unknown []string `json:"unknown,omitempty"`
	// Problem says why it will fail; empty where nothing is known to be in the way.
	Problem string `json:"problem,omitempty"`
	// Irreversible says why it cannot be undone; empty when it can.
	Irreversible string `json:"irreversible,omitempty"`
	// Cost change of all of them.
	Cost CostChange `json:"cost,omitzero"`
}

// DeedAdopt: an object of that name stands without an owner, and becomes the workflow's.
const DeedAdopt Deed = "Adopt"

// World is what a plan reads besides the ledger.
type World struct {
	Sights Sights // of the workflow's own children, by the places of the former ledger
	Others map[Place]Child
	Prices Prices
}

// Place is where an object stands in a namespace.
type Place struct{ Kind, Name string }

// WorldOf puts together what was read: sights of the workflow's own children, all other objects, and all Servers.
func WorldOf[T metav1.Object](sights Sights, others iter.Seq[T], servers []v1alpha1.Server) World {
	world := World{Sights: sights, Others: map[Place]Child{}, Prices: PricesOf(servers)}
	for o := range others {
		if other, ok := any(o).(Child); ok {
			world.Others[Place{kindOf(other), o.GetName()}] = other
		}
	}
	return world
}

// Foresee makes the plan of a workflow that goes on from a former ledger (nil: it never ran). It changes nothing. The error is Terminal
// where the edit can never work.
func (w *Workflow) Foresee(former *saga.Ledger, world World) (*Preview, error) {
	forecast, err := w.Forecast(former, world.Sights)
	if err != nil {
		return nil, err
	}
	w = forecast.By
	next, err := w.upon(former, world.Sights)
	if err != nil {
		return nil, err
	}
	s := &seer{w: w, next: next, world: world, sum: sha256.New(), preview: &Preview{Workflow: w.name, Run: next.Run}}
	if former != nil {
		under, err := w.Under(former)
		if err != nil {
			return nil, err
		}
		s.places = under.Places(former)
	}
	fmt.Fprintf(s.sum, "%s/%s %d %x\n", w.namespace, w.name, s.preview.Run, w.hash)
	for wave := range w.graph.Waves() {
		for _, k := range w.graph.Wave(wave) {
			s.operation(int(k), wave+1, forecast.Fates)
		}
	}
	s.left(forecast)
	s.preview.Hash = hex.EncodeToString(s.sum.Sum(nil)[:len(saga.Hash{})])
	return s.preview, nil
}

// upon returns the ledger that the run would begin with.
func (w *Workflow) upon(former *saga.Ledger, sights Sights) (*saga.Ledger, error) {
	switch {
	case former == nil:
		return w.Start(0)
	case w.Fits(former) && w.Spans(former):
		return former, nil
	case w.Fits(former):
		return w.respan(former)
	}
	return w.Replan(former, sights, time.Unix(former.Started, 0))
}

// seer makes one plan.
type seer struct {
	w       *Workflow
	next    *saga.Ledger // that the run would begin with
	places  Places       // of the former ledger
	world   World
	sum     hash.Hash
	preview *Preview
}

// operation adds one operation.
func (s *seer) operation(k, wave int, fates []Fate) {
	op := &s.w.ops[k]
	out := PreviewOperation{Name: op.Name, Type: string(op.Type), Kind: op.child, Wave: wave, Parts: []PreviewPart{}}
	for _, arc := range s.w.graph.Preds(k) {
		out.After = append(out.After, s.w.ops[arc.Op].Name)
	}
	if op.countless() {
		out.Each = op.source.Operation
	}
	parts := gathering{}
	for n := range op.count {
		fate := fates[op.first+n]
		out.When = out.When || op.when != nil && fate.Phase == saga.Pending
		part, cost := s.instance(op, n, fate, s.seen(fate))
		if op.Power != nil {
			out.Kind, part = KindServer, s.switching(op, n, part, fates)
		}
		parts.add(part, op.key(n), op.keys != nil, cost)
	}
	out.Parts = parts.all
	for _, part := range out.Parts {
		s.preview.Cost = s.preview.Cost.plus(part.Cost)
	}
	s.preview.Operations = append(s.preview.Operations, out)
}

// instance says what happens to one instance.
func (s *seer) instance(op *operation, n int, fate Fate, is Child) (part PreviewPart, cost CostChange) {
	name := s.w.names[op.first+n]
	part.Do, part.Why = fate.Do, fate.why
	if other := s.world.Others[Place{op.child, name}]; other != nil && fate.Do == DeedCreate {
		is = other
		part.Do, part.Problem = s.meets(op, n, other)
	}
	s.read(name, part.Do, is)
	fmt.Fprintf(s.sum, "%x %t\n", op.writtenAs(n), fate.Known)
	if part.Do == DeedNone {
		return part, cost
	}
	if !fate.Known {
		for _, ref := range op.needs(n) {
			if text := ref.String(); !slices.Contains(part.Unknown, text) {
				part.Unknown = append(part.Unknown, text)
			}
		}
	}
	part.Irreversible = irreversibly(op, fate.Do)
	if op.child == "" {
		part.Shape = shapeOf(op, nil)
		return part, cost
	}
	wanted, _ := s.w.Wanted(s.next, op.first+n)
	part.Shape = shapeOf(op, wanted)
	if is != nil && part.Problem == "" {
		s.w.keepPower(s.w.index[op.Name], wanted, Sight{Child: is})
		part.Fields = fieldChanges(op.child, is, wanted, fate.Known)
		if change := forced(is, wanted); part.Do == DeedUpdate && op.child == KindServer && change != "" {
			part.Problem = fmt.Sprintf("%s, and it cannot be changed in place: set updatePolicy to %s, or set it back", change, v1alpha1.UpdateReplaceAllowed)
		}
	}
	if part.Do == DeedAdopt || op.open { // it costs what it costs already, or nobody knows how many there are
		return part, cost
	}
	return part, s.world.Prices.change(is, wanted)
}

// switching makes of what happens to an instance of a Power operation what happens to its Server.
func (s *seer) switching(op *operation, n int, part PreviewPart, fates []Fate) PreviewPart {
	if part.Do == DeedNone {
		return part
	}
	part.Do = DeedUpdate
	if place := s.w.serverOf(op, n); place >= 0 {
		if server, ok := s.seen(fates[place]).(*v1alpha1.Server); ok && orRunning(server.Spec.Power) != op.Power.State {
			part.Fields = []FieldChange{{Field: "power", Old: string(orRunning(server.Spec.Power)), New: string(op.Power.State)}}
		}
	}
	return part
}

// seen returns the child that an instance has at present; nil: none.
func (s *seer) seen(fate Fate) Child {
	if fate.former == saga.None {
		return nil
	}
	return s.world.Sights[int(fate.former)].Child
}

// meets says what happens where an object that is not the workflow's stands in the place of a child.
func (s *seer) meets(op *operation, n int, other Child) (do Deed, problem string) {
	labels := other.GetLabels()
	mine := labels[v1alpha1.LabelWorkflow] == s.w.name && labels[v1alpha1.LabelOperation] == op.Name && labels[v1alpha1.LabelKey] == op.key(n)
	switch owner := metav1.GetControllerOfNoCopy(other); {
	case owner != nil:
		return DeedCreate, fmt.Sprintf("%s %s exists and belongs to %s %s", op.child, other.GetName(), owner.Kind, owner.Name)
	case !mine:
		return DeedCreate, fmt.Sprintf("%s %s exists and is not this workflow's", op.child, other.GetName())
	}
	wanted, _ := s.w.Wanted(s.next, op.first+n)
	if change := forced(other, wanted); change != "" {
		return DeedCreate, fmt.Sprintf("%s %s stands without an owner and differs in what cannot be changed: %s", op.child, other.GetName(), change)
	}
	return DeedAdopt, ""
}

// read makes a child part of what the plan follows from.
func (s *seer) read(name string, do Deed, is Child) {
	if is == nil {
		fmt.Fprintf(s.sum, "%s %s\n", name, do)
		return
	}
	fmt.Fprintf(s.sum, "%s %s %s %d %t\n", name, do, is.GetUID(), is.GetGeneration(), is.GetDeletionTimestamp() != nil)
}

// left adds what operations had made that are no longer there: it goes, or stays.
func (s *seer) left(forecast *Forecast) {
	for _, of := range forecast.Left {
		parts := gathering{}
		for _, key := range of.Keys {
			name := v1alpha1.ChildName(s.w.name, of.Operation, key)
			is := s.world.Sights[s.places.Of(name)].Child
			part, cost := s.leaving(is, forecast.Fates), CostChange{}
			if s.read(name, part.Do, is); is == nil {
				continue // it went by another hand
			}
			if part.Do == DeedDelete {
				part.Irreversible, cost = "what is deleted does not come back", s.world.Prices.change(is, nil)
			}
			parts.add(part, key, true, cost)
		}
		if len(parts.all) == 0 {
			continue
		}
		s.preview.Operations = append(s.preview.Operations, PreviewOperation{
			Name: of.Operation, Kind: of.Child, Wave: s.w.graph.Waves() + 1, Parts: parts.all,
		})
		for _, part := range parts.all {
			s.preview.Cost = s.preview.Cost.plus(part.Cost)
		}
	}
}

// leaving says what happens to something that nobody asks for any more: a service cannot stay on servers that are made anew.
func (s *seer) leaving(is Child, fates []Fate) PreviewPart {
	switch wholly, partly := s.w.stranded(is, fates, s.world.Sights); {
	case s.w.spec.Prune:
		return PreviewPart{Do: DeedDelete}
	case wholly:
		return PreviewPart{Do: DeedDelete, Why: "its servers are made anew, and it is on no other"}
	case partly:
		return PreviewPart{Do: DeedUpdate, Why: "it leaves servers that are made anew"}
	}
	return PreviewPart{Do: DeedLeave}
}

// irreversibly says why what is done cannot be undone, or "".
func irreversibly(op *operation, do Deed) string {
	switch {
	case op.Command != nil && op.Command.Undo == "":
		return "what the script does stays done: it has no undo"
	case do == DeedReplace && op.child == KindServer:
		return "what is on the machine goes with it"
	}
	return ""
}

// Counts returns to how many children each thing happens, as far as that is known.
func (p *Preview) Counts() map[Deed]int {
	counts := map[Deed]int{}
	for _, op := range p.Operations {
		for _, part := range op.Parts {
			if op.Kind != "" && op.Each == "" {
				counts[part.Do] += part.Keys.Count
			}
		}
	}
	return counts
}

// Summary is the plan in a few signs: "+3 ~1 -0", and "∓1" where something is replaced, "←1" where something is adopted,
// "+?" where it is not known how many are made.
func (p *Preview) Summary() string {
	counts := p.Counts()
	text := fmt.Sprintf("+%d ~%d -%d", counts[DeedCreate], counts[DeedUpdate], counts[DeedDelete])
	if n := counts[DeedReplace]; n > 0 {
		text += fmt.Sprintf(" ∓%d", n)
	}
	if n := counts[DeedAdopt]; n > 0 {
		text += fmt.Sprintf(" ←%d", n)
	}
	if slices.ContainsFunc(p.Operations, func(op PreviewOperation) bool { return op.Kind != "" && op.Each != "" }) {
		text += " +?"
	}
	return text
}

// Nothing reports whether the run would do nothing at all.
func (p *Preview) Nothing() bool {
	for _, op := range p.Operations {
		for _, part := range op.Parts {
			if part.Do != DeedNone && part.Do != DeedLeave {
				return false
			}
		}
	}
	return true
}

// Irreversible lists the operations of which something cannot be undone.
func (p *Preview) Irreversible() (names []string) {
	for _, op := range p.Operations {
		if slices.ContainsFunc(op.Parts, func(part PreviewPart) bool { return part.Irreversible != "" }) {
			names = append(names, op.Name)
		}
	}
	return names
}
