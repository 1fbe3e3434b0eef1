package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/nearest"
	"github.com/keelway/keelway/internal/saga"
)

// Requests are what people ask of a running workflow: by verb, the value of its annotation, what[@token]. A value is acted on
// once, when it is another one than the last; an absent one means nothing. Under ApprovedBy stands who gave the approval.
type Requests map[string]string

// New reports whether the value of a verb is one that was not acted on yet.
func (r Requests) New(l *saga.Ledger, verb string) bool {
	return r[verb] != "" && l.Handled[verb] != clip(r[verb], saga.MaxValue)
}

// what returns what a verb is asked about, without the token.
func (r Requests) what(verb string) string {
	what, _, _ := strings.Cut(r[verb], "@")
	return strings.TrimSpace(what)
}

// approver returns who gave the approval.
func (r Requests) approver() string {
	if by := clip(r[ApprovedBy], maxUser); by != "" {
		return by
	}
	return unverified
}

// requests are the verbs in the order in which they are acted on: where several are new at once, the later one wins.
var requests = []struct {
	name string
	do   func(a *advance, what string) string // what is in the way, or ""
}{
	{v1alpha1.VerbApprove, (*advance).approve},
	{v1alpha1.VerbRetry, (*advance).retry},
	{v1alpha1.VerbRollback, (*advance).rollback},
	{v1alpha1.VerbCancel, (*advance).cancel},
	{v1alpha1.VerbAbort, (*advance).abort},
}

// RequestsIn reads the annotations of a workflow.
func RequestsIn(annotations map[string]string) Requests {
	asked := Requests{}
	for _, verb := range requests {
		if value := annotations[v1alpha1.VerbPrefix+verb.name]; value != "" {
			asked[verb.name] = value
		}
	}
	return asked
}

// handle acts on requests that are new. What is refused counts as handled too, and is told until the next request.
func (a *advance) handle() {
	for _, verb := range requests {
		value := a.asked[verb.name]
		if !a.asked.New(a.l, verb.name) {
			continue
		}
		what, _, _ := strings.Cut(value, "@")
		a.own()
		refusal := ""
		if len(value) > saga.MaxValue {
			refusal = fmt.Sprintf("the value is longer than %d bytes", saga.MaxValue)
		} else {
			refusal = verb.do(a, what)
		}
		a.own().Handle(verb.name, clip(value, saga.MaxValue))
		if a.l.Refusal = ""; refusal != "" {
			a.l.Refusal = clip(fmt.Sprintf("%s%s: %s was refused: %s", v1alpha1.VerbPrefix, verb.name, clip(value, 80), refusal), saga.MaxMessage)
		}
	}
}

// retry gives another try to what failed, ended unknown or was cancelled, and a chance to what was omitted for it; where the
// run was taken back, to what could not be.
func (a *advance) retry(what string) string {
	chosen, refusal := a.choose(what)
	phase := a.l.Phase
	switch {
	case refusal != "":
		return refusal
	case a.l.Compact:
		return "the run has been over for so long that its story is forgotten"
	case phase == saga.RunSucceeded || phase == saga.RunRolledBack:
		return fmt.Sprintf("the run is %s: there is nothing to try again", phase)
	case phase == saga.RunUndoing:
		return "the run is being undone"
	case !leftOver(phase):
		if other := a.bars(chosen); other != "" {
			return fmt.Sprintf("operation %q failed too, and nothing starts while it has: ask for both", other)
		}
	}
	if a.again(chosen) == 0 {
		return "nothing of it failed"
	}
	switch {
	case leftOver(phase):
		a.keep(a.own().Reopen(saga.RunUndoing))
	case phase.Terminal():
		a.keep(a.own().Reopen(saga.RunRunning))
	default:
		a.own().Stop, a.own().Cause = saga.StopNone, saga.Cause{Instance: saga.None}
	}
	if !leftOver(phase) && a.broken(v1alpha1.FailureContinue) {
		a.accuse()
	}
	return ""
}

// choose reads which operations are meant.
func (a *advance) choose(what string) (chosen []bool, refusal string) {
	chosen = make([]bool, len(a.w.ops))
	for _, name := range strings.Split(what, ",") {
		name = strings.TrimSpace(name)
		k, ok := a.w.index[name]
		switch {
		case ok:
			chosen[k] = true
		case name == "all":
			for k := range chosen {
				chosen[k] = true
			}
		default:
			return nil, fmt.Sprintf("there is no operation %q: write all, or names of operations with commas between them%s", clip(name, 80), nearest.Hint(name, a.w.operations()))
		}
	}
	return chosen, ""
}

// bars names an operation that is not chosen, has failed, and keeps others from starting.
func (a *advance) bars(chosen []bool) string {
	for k := range a.w.ops {
		c, op := a.l.OpCounts(k), &a.w.ops[k]
		if !chosen[k] && c[saga.Failed]+c[saga.Unknown] > 0 && (op.policy == v1alpha1.FailureFail || op.policy == v1alpha1.FailureRollback) {
			return op.Name
		}
	}
	return ""
}

// again gives instances another try, and returns how many that had failed.
func (a *advance) again(chosen []bool) (tried int) {
	var omitted []int
	for i := range a.l.N() {
		switch phase := a.l.Phases[i]; {
		case phase == saga.Omitted && a.l.Reason(i) != v1alpha1.ReasonNoPartner && !leftOver(a.l.Phase),
			phase == saga.Cancelled && !a.l.Marks[i].Has(saga.Touched) && !leftOver(a.l.Phase):
			omitted = append(omitted, i)
		case a.l.Asked(i): // what it rests on may be done once more
			a.own().Unask(i)
		case !chosen[a.l.OpOf(i)]:
		case leftOver(a.l.Phase) && phase != saga.UndoFailed:
		case slices.Contains([]saga.Phase{saga.Failed, saga.Unknown, saga.Cancelled, saga.UndoFailed}, phase):
			a.keep(a.own().Again(i))
			tried++
		}
	}
	if tried == 0 && !slices.ContainsFunc(omitted, func(i int) bool { return chosen[a.l.OpOf(i)] }) {
		return 0
	}
	for _, i := range omitted { // what still cannot start is omitted again
		a.keep(a.own().Again(i))
		tried++
	}
	return tried
}

// rollback takes back what the run made: at once when it is over, else when what runs has ended.
func (a *advance) rollback(string) string {
	switch a.l.Phase {
	case saga.RunRunning:
		a.stop(saga.StopRollback, v1alpha1.ReasonCancelled, "somebody asked for it to be undone")
		return ""
	case saga.RunFailed, saga.RunCancelled:
		if a.l.Compact {
			return "the run has been over for so long that its story is forgotten"
		}
		a.keep(a.own().Reopen(saga.RunUndoing))
		a.own().Stop = saga.StopRollback
		return ""
	case saga.RunRollbackFailed, saga.RunRollbackBlocked:
		return a.retry("all")
	case saga.RunSucceeded:
		return "the run has succeeded, and undo compensates a failed one: delete the workflow to remove what it made"
	}
	return fmt.Sprintf("the run is %s already", a.l.Phase)
}

// cancel starts nothing new and lets what runs come to its end.
func (a *advance) cancel(string) string {
	if a.l.Phase != saga.RunRunning {
		return fmt.Sprintf("the run is %s: there is nothing to cancel", a.l.Phase)
	}
	a.stop(saga.StopCancelled, v1alpha1.ReasonCancelled, "somebody cancelled the run")
	return ""
}

// abort ends the run at once and undoes nothing. So that it is no slip, it names the workflow.
func (a *advance) abort(what string) string {
	switch {
	case what != a.w.name:
		return fmt.Sprintf("its value must be the name of the workflow, %s", a.w.name)
	case a.l.Phase != saga.RunRunning && a.l.Phase != saga.RunUndoing:
		return fmt.Sprintf("the run is %s: there is nothing to abort", a.l.Phase)
	}
	a.stop(saga.StopAborted, v1alpha1.ReasonCancelled, "somebody aborted the run")
	return ""
}

// leftOver reports whether a run was taken back and something could not be.
func leftOver(p saga.RunPhase) bool {
	return p == saga.RunRollbackFailed || p == saga.RunRollbackBlocked
}
