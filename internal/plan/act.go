package plan

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// Verb is what is done about a child.
type Verb string

const (
	Ensure   Verb = "Ensure"   // it must exist; one that stands without an owner is adopted
	Update   Verb = "Update"   // it exists and must be as it is wanted: Rewrite
	Raise    Verb = "Raise"    // it exists and must try again: its attempt is raised
	Delete   Verb = "Delete"   // it must go
	Supplant Verb = "Supplant" // as it was seen it must go, so that another one of its name can be made
	Revert   Verb = "Revert"   // what this run changed of it must be put back: Rewrite
	Adopt    Verb = "Adopt"    // it exists, has no owner, and becomes ours: Rewrite
	Switch   Verb = "Switch"   // it exists and must be switched on or off: Rewrite
	Release  Verb = "Release"  // it was adopted and must be let go: Rewrite
	Retreat  Verb = "Retreat"  // it must leave servers that are made anew: Rewrite
)

// ChildAction is one thing that must be done about one child. Doing it twice is harmless.
type ChildAction struct {
	Do       Verb
	Instance int // its place in Sights
	Kind     string
	Name     string
	Attempt  int32           // Ensure, Update, Raise, Revert
	Run      int32           // Revert, Release and Retreat: the run that is taken back, or changes it
	From     map[string]bool // Retreat: the Servers
	Power    v1alpha1.Power  // Switch
	Child    Child           // Ensure and Update: the object as it is wanted
	Version  string          // Supplant: the resourceVersion that was seen; whoever changed it since may want it
	UID      types.UID       // all but Ensure: the object that was seen; nothing else of its name is touched
}

// Act says what must exist or be gone according to the ledger, given what was seen. The ledger must be durable. It follows
// from ledger and sights alone, so that a crash between record and deed is mended by asking again.
func Act(w *Workflow, l *saga.Ledger, sights Sights) []ChildAction {
	var actions []ChildAction
	for k := range w.ops {
		counts := l.OpCounts(k)
		if w.ops[k].child == "" || counts[saga.Running]+counts[saga.Undoing] == 0 {
			continue
		}
		for n := range w.ops[k].count {
			if action, ok := act(w, l, k, n, sights); ok {
				actions = append(actions, action)
			}
		}
	}
	actions = append(append(actions, w.retreat(l, sights)...), switches(w, l, sights)...)
	return append(actions, prune(w, l, sights)...)
}

func act(w *Workflow, l *saga.Ledger, k, n int, sights Sights) (ChildAction, bool) {
	i := l.Instance(k, n)
	s := sights[i]
	action := ChildAction{Instance: i, Kind: w.ops[k].child, Name: w.names[i], Attempt: int32(l.Attempts[i]), Run: l.Run, UID: s.UID}
	switch l.Phases[i] {
	case saga.Running:
		action.Do = w.order(l, i, s)
	case saga.Undoing:
		if w.ops[k].unscripted(s, sights[i+l.N()]) {
			action.Do = w.withdraw(l, i, s)
			break
		}
		return w.undoRun(l, k, n, sights)
	}
	if action.Do == Supplant && s.Child != nil {
		action.Version = s.Child.GetResourceVersion()
	}
	if action.Do == Ensure || action.Do == Update {
		action.Child = w.child(l, k, n, action.Attempt)
		w.keepPower(k, action.Child, s)
	}
	return action, action.Do != ""
}

// order says what is done about the child of an instance that runs; "" when it goes on by itself. While operations were edited, nothing
// is made or changed any more.
func (w *Workflow) order(l *saga.Ledger, i int, s Sight) Verb {
	attempt, since := int32(l.Attempts[i]), int32(l.Since[i])
	refused := s.UID == ""
	switch {
	case w.draining() && (!s.Exists || refused || s.Asked < since):
	case !s.Exists || refused && s.Asked < attempt: // not there, or refused at an earlier attempt
		return Ensure
	case s.Deleting && s.Asked < attempt && attempt > since: // the next try of removing it
		return Raise
	case s.Deleting || refused:
	case s.Asked < since && (l.Marks[i].Has(saga.Replaces) || w.ops[l.OpOf(i)].child == KindRun):
		return Supplant
	case s.Asked < since:
		return Update
	case s.Asked < attempt:
		return Raise
	}
	return ""
}

// withdraw says what is done about the child of an instance that is undone: what this run made is deleted, what stood before is put
// back, what was adopted is let go.
func (w *Workflow) withdraw(l *saga.Ledger, i int, s Sight) Verb {
	switch reverts := w.reverts(l, i); {
	case !s.Exists || s.UID == "":
		return ""
	case s.Deleting || reverts && s.reverted(l):
		if s.Asked < int32(l.Attempts[i]) && l.Retries[i] == saga.None { // the next try of undoing
			return Raise
		}
		return ""
	case reverts:
		return Revert
	case s.Effect == EffectAdopted:
		return Release
	}
	return Delete
}

// reverts reports whether undoing an instance puts back what stood before this run, and deletes nothing.
func (w *Workflow) reverts(l *saga.Ledger, i int) bool {
	return l.Marks[i].Has(saga.Stood) && w.ops[l.OpOf(i)].child != KindRun
}

// reverted reports whether this run's change of a child was taken back.
func (s Sight) reverted(l *saga.Ledger) bool { return s.Effect == EffectReverted && s.Run == l.Run }

// Wants reports whether the ledger wants a child in a place to exist. A child that nobody wants was ordered by somebody
// whose order did not become durable, or is a Run of which the story is forgotten, and is deleted. The ledger must be the newest there
// is.
func Wants(w *Workflow, l *saga.Ledger, place int) bool {
	n := l.N()
	switch i := place; {
	case i >= 2*n:
		return true // it is left where it is, or pruned in its turn
	case i >= n: // the Run that undoes a command
		phase := l.Phases[i-n]
		return !l.Compact && (phase == saga.Undoing || phase == saga.Undone || phase == saga.UndoFailed)
	default:
		return l.Stands(i) && !(l.Compact && w.ops[l.OpOf(i)].child == KindRun)
	}
}

// Confirm lists the places whose emptiness must be confirmed by a live read before Advance may call what was in them undone, or pruned.
func Confirm(w *Workflow, l *saga.Ledger, sights Sights) []int {
	var out []int
	for k := range w.ops {
		left := saga.NumPhases // while others are undone, what was left over may go after all
		if l.Phase == saga.RunUndoing {
			left = saga.UndoFailed
		}
		if c := l.OpCounts(k); w.ops[k].child == "" || c[saga.Undoing] == 0 && (left == saga.NumPhases || c[left] == 0) {
			continue
		}
		for n := range w.ops[k].count {
			if i := l.Instance(k, n); (l.Phases[i] == saga.Undoing || l.Phases[i] == left) && !sights[i].Exists {
				out = append(out, i)
			}
		}
	}
	for n := range w.prunes(l) {
		if place := 2*l.N() + n; !sights[place].Exists {
			out = append(out, place)
		}
	}
	return out
}
