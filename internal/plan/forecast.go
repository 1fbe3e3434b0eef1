package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/expr"
	"github.com/keelway/keelway/internal/saga"
)

// Deed is what a plan does about one child.
type Deed string

const (
	DeedNone    Deed = "NoOp"    // what stands is what is wanted
	DeedCreate  Deed = "Create"  // nothing stands
	DeedUpdate  Deed = "Update"  // it is changed in place, or asked once more
	DeedReplace Deed = "Replace" // it goes, and another one of its name is made; or its machine does
	DeedDelete  Deed = "Delete"  // nobody asks for it any more, and prune is set
	DeedLeave   Deed = "Leave"   // nobody asks for it any more, and it stays
)

// Fate is what becomes of one instance when the workflow goes on from a former ledger.
type Fate struct {
	Do     Deed
	Known  bool       // false: a value that it needs is known after others ran, so that nothing may be left to do
	Phase  saga.Phase // in which it begins: that in which it ended where that is kept, else Pending
	former int32      // its row in the former ledger; saga.None: it has none
	anew   bool       // what stands does not count, whatever its hashes say
	lost   bool       // nobody knows whether it was done as it is written now
	why    string     // in words, where that is not what was written of the instance itself
}

// Forecast says what would happen: one Fate an instance of the workflow, and what is left of operations that are no longer there, in
// the order in which it may go.
type Forecast struct {
	By    *Workflow // whose instances they are: with what outputs list, as far as that is known
	Fates []Fate
	Left  []saga.Left
}

// Forecast says what becomes of every instance, given the former ledger (nil: there is none), and what was seen of the children that it
// speaks of, by its own places. It is what the next ledger is made by, so that what it says is what happens.
//
// An outcome is kept when both hashes of its instance are those with which it was ordered. While a value is not known, that cannot be
// said, and is decided when the instance could start. In a run of its own (the former one is over) what did not succeed is tried
// again, except for what may have taken effect (Unknown), and what has vanished is made again. What is done on a server that is made
// anew is done again, a check is asked again when something changes that it comes after, and an approval when something changes that
// comes after it.
func (w *Workflow) Forecast(former *saga.Ledger, sights Sights) (*Forecast, error) {
	if former == nil {
		var err error
		if former, err = saga.New(0, 0, saga.Hash{}, 0, nil); err != nil {
			return nil, err
		}
	}
	spans := w.carried(former)
	for {
		by, err := w.Spanned(spans)
		if err != nil {
			return nil, err
		}
		f := by.foretell(former, sights)
		better := f.listed(spans)
		if maps.Equal(better, spans) {
			left, err := f.leave()
			return &Forecast{By: by, Fates: f.fates, Left: left}, err
		}
		spans = better // which may decide more
	}
}

// carried are the spans with which a workflow goes on from a former ledger, as long as nothing better is known.
func (w *Workflow) carried(former *saga.Ledger) map[string]string {
	var spans map[string]string
	for k := range former.Ops {
		was := &former.Ops[k]
		at, ok := w.index[was.Name]
		if !ok || !w.ops[at].spans() || !w.ops[at].continues(was) {
			continue
		}
		if was.Span != "" {
			spans = with(spans, was.Name, was.Span)
		} else if held := with(spans, was.Name, keysOf(former, was)); w.admits(held) {
			spans = held
		}
	}
	return spans
}

// keysOf lists the instances of a batch that were written out, as an output would: they hold the places of what stands until the output is
// known. "" where there are none, or more than a ledger keeps.
func keysOf(l *saga.Ledger, was *saga.Op) string {
	keys := make([]string, was.Count)
	for n := range keys {
		if keys[n] = l.Key(int(was.First) + n); keys[n] == saga.KeyOpen {
			return ""
		}
	}
	text := strings.Join(keys, ",")
	if len(text) > saga.MaxOutputs {
		return ""
	}
	return text
}

// listed are spans with those in place that are known by outputs which stay as they are. One that cannot be is told when it is tried.
func (f *forecaster) listed(spans map[string]string) map[string]string {
	for k := range f.w.ops {
		op := &f.w.ops[k]
		if !op.spans() {
			continue
		}
		if text, known := f.lookup(*op.source); known && spanOf(text) != spans[op.Name] {
			if better := with(spans, op.Name, spanOf(text)); f.w.admits(better) {
				spans = better
			}
		}
	}
	return spans
}

// foretell decides about each instance.
func (w *Workflow) foretell(former *saga.Ledger, sights Sights) *forecaster {
	f := &forecaster{
		w: w, former: former, sights: sights, again: former.Phase.Terminal(),
		fates: make([]Fate, len(w.names)), moves: make([]bool, len(w.ops)), stirs: make([]int, len(w.ops)), was: make([]int, len(w.ops)), taken: make([]bool, former.N()),
	}
	f.pair()
	for _, k := range w.graph.Order() {
		f.operation(int(k))
	}
	f.askAgain()
	return f
}

// forecaster makes one forecast.
type forecaster struct {
	w      *Workflow
	former *saga.Ledger
	sights Sights
	again  bool // it is another run
	fates  []Fate
	moves  []bool // by operation: something of it changes
	stirs  []int  // by operation: one that it comes after and of which something changes; -1: there is none
	was    []int  // by operation: the former one; -1: there is none
	taken  []bool // by former instance: it goes on
	left   map[leftKey]saga.Left
	at     map[leftKey]int // by place in the former ledger
}

type leftKey struct{ operation, key string }

// pair finds the former of each operation, and what is left of earlier ones.
func (f *forecaster) pair() {
	names := make(map[string]int, len(f.former.Ops))
	for k := range f.former.Ops {
		names[f.former.Ops[k].Name] = k
	}
	for k := range f.w.ops {
		f.was[k] = -1
		if was, ok := names[f.w.ops[k].Name]; ok && f.w.ops[k].continues(&f.former.Ops[was]) {
			f.was[k] = was
		}
	}
	f.left, f.at = map[leftKey]saga.Left{}, map[leftKey]int{}
	place := 2 * f.former.N()
	for _, of := range f.former.Left {
		for _, key := range of.Keys {
			f.left[leftKey{of.Operation, key}], f.at[leftKey{of.Operation, key}] = of, place
			place++
		}
	}
}

// rows returns the instances that operation former of a ledger had, by the number of the present one; None: it had none.
func (op *operation) rows(l *saga.Ledger, former int) []int32 {
	rows := make([]int32, op.count)
	for n := range rows {
		rows[n] = saga.None
	}
	if former < 0 {
		return rows
	}
	was := &l.Ops[former]
	if op.keys == nil && was.Keys == nil {
		for n := range min(len(rows), int(was.Count)) {
			rows[n] = was.First + int32(n)
		}
		return rows
	}
	byKey := make(map[string]int32, was.Count)
	for n := range was.Count {
		byKey[l.Key(int(was.First+n))] = was.First + n
	}
	for n := range rows {
		if row, ok := byKey[op.key(n)]; ok {
			rows[n] = row
		}
	}
	return rows
}

func (f *forecaster) operation(k int) {
	op, rows := &f.w.ops[k], f.w.ops[k].rows(f.former, f.was[k])
	f.stirs[k] = -1
	for _, arc := range f.w.graph.Preds(k) {
		switch {
		case f.stirs[k] >= 0:
		case f.moves[arc.Op] && !arc.Same:
			f.stirs[k] = int(arc.Op)
		default:
			f.stirs[k] = f.stirs[arc.Op]
		}
	}
	alike := op.own == nil && op.child != KindTaskService
	form, known := saga.Form{}, false
	for n, row := range rows {
		if n == 0 || !alike {
			form, known = f.w.formOf(op, n, f.lookup)
		}
		if row != saga.None {
			f.taken[row] = true
		}
		fate := f.decide(k, n, row, form, known)
		fate.former = row
		f.fates[op.first+n] = fate
		f.moves[k] = f.moves[k] || fate.Do != DeedNone
	}
}

// askAgain makes approvals be asked for again after which something changes: nobody has seen that when they approved.
func (f *forecaster) askAgain() {
	for _, k := range f.w.approvals {
		fate := &f.fates[f.w.ops[k].first]
		dependents := f.w.graph.Dependents(k)
		at := slices.IndexFunc(dependents, func(k int32) bool { return f.moves[k] })
		if fate.Do != DeedNone || at < 0 {
			continue
		}
		*fate = Fate{Do: DeedUpdate, Known: true, anew: true, former: fate.former, why: askedAgain(&f.w.ops[dependents[at]], "which comes after it")}
	}
}

// lookup knows the outputs of operations that are kept as a whole.
func (f *forecaster) lookup(ref expr.Ref) (string, bool) {
	k, ok := f.w.index[ref.Operation]
	if !ok || f.was[k] < 0 || f.moves[k] || !f.w.ops[k].sameKeys(&f.former.Ops[f.was[k]]) {
		return "", false
	}
	value, ok := f.former.Ops[f.was[k]].Outputs[ref.Output]
	return value, ok
}

func (f *forecaster) decide(k, n int, row int32, form saga.Form, known bool) Fate {
	op := &f.w.ops[k]
	if row == saga.None {
		if of, ok := f.left[leftKey{op.Name, op.key(n)}]; ok && of.Child == op.child {
			return Fate{Do: f.change(k, n, f.sights[f.at[leftKey{op.Name, op.key(n)}]]), Known: known, anew: true}
		}
		return Fate{Do: DeedCreate, Known: known}
	}
	i := int(row)
	standing, sight := f.former.Standing(i), f.sights[i]
	stirred := f.stirred(k, n)
	same := known && (f.former.Form(i) == form && f.former.Phases[i] != saga.Undone || f.former.Form(i) == saga.Form{} && f.alike(k, n, sight))
	switch {
	case standing == saga.Pending:
		return Fate{Do: DeedCreate, Known: known}
	case f.again && !sight.Exists && (op.child == KindServer || op.child == KindTaskService):
		return Fate{Do: DeedCreate, Known: known, anew: true, why: "it is gone by another hand"}
	case stirred == "" && f.lost(op, i, sight):
		return doubt(op, known)
	case stirred != "":
		fate := Fate{Do: f.change(k, n, sight), Known: known, anew: true}
		if same {
			fate.why = stirred
		}
		return fate
	case !known && standing == saga.Succeeded:
		return Fate{Do: f.change(k, n, sight)}
	case same && (standing == saga.Succeeded || standing == saga.Unknown):
		return Fate{Do: DeedNone, Known: true, Phase: standing}
	case same && !f.again && ended(f.former.Phases[i]):
		return Fate{Do: DeedNone, Known: true, Phase: f.former.Phases[i]}
	}
	fate := Fate{Do: f.change(k, n, sight), Known: known}
	if same && f.former.Phases[i].Terminal() {
		fate.why = "tried again: it had ended " + f.former.Phases[i].String()
	}
	return fate
}

// alike reports whether what was seen is what is wanted, field by field: in which form it was ordered is not known.
func (f *forecaster) alike(k, n int, sight Sight) bool {
	op := &f.w.ops[k]
	return sight.Child != nil && op.child != "" && len(Changes(op.child, sight.Child, f.w.build(op, n, f.lookup))) == 0
}

// ended reports whether an instance ended badly, and stays so in the same run.
func ended(p saga.Phase) bool { return p == saga.Failed || p == saga.Cancelled }

// change says how something that stands becomes what is wanted.
func (f *forecaster) change(k, n int, sight Sight) Deed {
	if f.w.ops[k].child != "" && !sight.Exists {
		return DeedCreate
	}
	if sight.Deleting { // it is on its way out, and another one of its name is made
		return DeedReplace
	}
	if f.w.renews(k, n, sight) {
		return DeedReplace
	}
	if stranded, _ := f.w.stranded(sight.Child, f.fates, f.sights); stranded {
		return DeedReplace
	}
	return DeedUpdate
}

// stranded reports whether a service is on no server but those that go so that others of their names can be made, and whether it is on
// some of them: it goes with them, or leaves them first (see retreat).
func (w *Workflow) stranded(child Child, fates []Fate, sights Sights) (wholly, partly bool) {
	service, ok := child.(*v1alpha1.TaskService)
	if !ok {
		return false, false
	}
	wholly = len(service.Spec.Servers.Names) > 0
	for _, name := range service.Spec.Servers.Names {
		i, ok := w.instances[name]
		goes := ok && i < len(fates) && fates[i].Do == DeedReplace
		if goes {
			k := w.operationOf(i)
			sight := sights[int(fates[i].former)]
			goes = sight.Deleting || w.replaces(k, i-w.ops[k].first, sight)
		}
		wholly, partly = wholly && goes, partly || goes
	}
	return wholly, partly
}

// operationOf returns the operation that has an instance.
func (w *Workflow) operationOf(i int) int {
	k, _ := slices.BinarySearchFunc(w.ops, i, func(op operation, i int) int {
		switch {
		case op.first+op.count <= i:
			return -1
		case op.first > i:
			return 1
		}
		return 0
	})
	return k
}
