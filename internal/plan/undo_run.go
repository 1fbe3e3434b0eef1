package plan

import (
	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// script returns what takes the effect of a command back: as the workflow says it now, or as its Run was given it; "" when it has none.
func (op *operation) script(s Sight) string {
	if op.Command != nil {
		return op.Command.Undo
	}
	if s.Child != nil && op.Type == v1alpha1.OperationCommand {
		return s.Child.GetAnnotations()[v1alpha1.AnnotationUndo]
	}
	return ""
}

// unscripted reports whether an instance is undone by what becomes of its child, and not by a script. u is the Run of the script.
func (op *operation) unscripted(s, u Sight) bool {
	return op.Type != v1alpha1.OperationCommand || op.script(s) == "" && !u.Exists
}

// undoRun says what is done for a command that is undone by its script. One that may still run is stopped first.
func (w *Workflow) undoRun(l *saga.Ledger, k, n int, sights Sights) (ChildAction, bool) {
	i := l.Instance(k, n)
	s, u, attempt := sights[i], sights[i+l.N()], int32(l.Attempts[i])
	action := ChildAction{Instance: i + l.N(), Kind: KindRun, Name: undoName(w.name, w.ops[k].Name, w.ops[k].key(n)), Attempt: attempt, Run: l.Run, UID: u.UID}
	switch {
	case s.Exists && !over(l, i, s):
		action.Instance, action.Name, action.UID = i, w.names[i], s.UID
		action.Do = Delete
		return action, !s.Deleting
	case !s.Exists && !s.Gone: // a live read tells at the next look
	case !u.Exists || u.UID == "" && u.Asked < attempt:
		action.Do, action.Child = Ensure, w.undoChild(l, k, n, s, attempt)
		return action, action.Child != nil
	case u.Asked < attempt && !u.Deleting && u.UID != "" && l.Retries[i] == saga.None:
		action.Do = Raise
		return action, true
	}
	return action, false
}

// over reports whether a command that is being undone is known to have ended before that began.
func over(l *saga.Ledger, i int, s Sight) bool {
	before := int32(l.Attempts[i]) - max(int32(l.Tries[i])-1, 0)
	return !s.Deleting && (s.Ready || s.Stalled && s.Answered >= before)
}

// undoChild builds the Run that undoes a command: its script in the place of the command's, all else as it was. It is nil when neither
// the Run nor its operation is there any more.
func (w *Workflow) undoChild(l *saga.Ledger, k, n int, s Sight, attempt int32) Child {
	op := &w.ops[k]
	var spec v1alpha1.RunSpec
	switch run, ok := s.Child.(*v1alpha1.Run); {
	case ok:
		spec = *run.Spec.DeepCopy()
	case !w.draining():
		spec = w.run(op, n, w.lookup(l)).(*v1alpha1.Run).Spec
	}
	if spec.Command == nil {
		return nil
	}
	spec.Command.Script, spec.Expect, spec.OnUnknown, spec.Verify = op.script(s), v1alpha1.Expectation{}, v1alpha1.OnUnknownRetry, ""
	run := &v1alpha1.Run{Spec: spec}
	w.dress(run, l, l.Instance(k, n), attempt)
	run.SetName(undoName(w.name, op.Name, op.key(n)))
	return run
}

// foldScript takes in what became of the script that undoes a command.
func (a *advance) foldScript(op *operation, i int) (done bool) {
	u := a.sights[i+a.l.N()]
	answered := u.Exists && u.Answered >= int32(a.l.Attempts[i])
	switch {
	case u.Exists && !u.Deleting && u.Ready:
		a.settle(i, saga.Undone, "", "")
	case a.l.Phases[i] == saga.Undoing && a.l.Retries[i] == saga.None && answered && u.Stalled:
		a.undoFailed(op, i, orInternal(u.Reason), u.Message)
	default:
		return false
	}
	return true
}
