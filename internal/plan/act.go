package plan

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/internal/saga"
)

// Verb is what is done about a child.
type Verb string

const (
	Ensure Verb = "Ensure" // it must exist
	Raise  Verb = "Raise"  // it exists and must try again: its attempt is raised
	Delete Verb = "Delete" // it must go
)

// ChildAction is one thing that must be done about one child. Doing it twice is harmless.
type ChildAction struct {
	Do       Verb
	Instance int
	Kind     string
	Name     string
	Attempt  int32     // Ensure and Raise
	Child    Child     // Ensure: the object to make
	UID      types.UID // Raise and Delete: the object that was seen; nothing else of its name is touched
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
	return actions
}

func act(w *Workflow, l *saga.Ledger, k, n int, sights Sights) (ChildAction, bool) {
	i := l.Instance(k, n)
	s, attempt := sights[i], int32(l.Attempts[i])
	action := ChildAction{Instance: i, Kind: w.ops[k].child, Name: w.names[i], Attempt: attempt, UID: s.UID}
	switch l.Phases[i] {
	case saga.Running:
		if !s.Exists || s.UID == "" && s.Asked < attempt { // not there, or refused at an earlier attempt
			action.Do, action.Child = Ensure, w.child(l, k, n, attempt)
			return action, true
		}
		if s.Asked < attempt && !s.Deleting {
			action.Do = Raise
			return action, true
		}
	case saga.Undoing:
		if s.Exists && !s.Deleting {
			action.Do = Delete
			return action, true
		}
		if s.Deleting && s.Asked < attempt && l.Retries[i] == saga.None { // the next try of undoing
			action.Do = Raise
			return action, true
		}
	}
	return action, false
}

// Wants reports whether the ledger wants the child of instance i to exist. A child that nobody wants was ordered by somebody
// whose order did not become durable, or is a Run of which the story is forgotten, and is deleted. The ledger must be the
// newest there is.
func Wants(w *Workflow, l *saga.Ledger, i int) bool {
	return l.Ordered(i) && l.Phases[i] != saga.Undone && !(l.Compact && w.ops[l.OpOf(i)].child == KindRun)
}

// Confirm lists the instances whose absence must be confirmed by a live read before Advance may call them undone.
func Confirm(w *Workflow, l *saga.Ledger, sights Sights) []int {
	var out []int
	for k := range w.ops {
		left := saga.NumPhases // while others are undone, what was left over may go after all
		if l.Phase == saga.RunUndoing {
			left = saga.UndoFailed
		}
		if c := l.OpCounts(k); c[saga.Undoing] == 0 && (left == saga.NumPhases || c[left] == 0) {
			continue
		}
		for n := range w.ops[k].count {
			if i := l.Instance(k, n); (l.Phases[i] == saga.Undoing || l.Phases[i] == left) && !sights[i].Exists {
				out = append(out, i)
			}
		}
	}
	return out
}
