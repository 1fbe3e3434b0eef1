package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// Bounds of a summary: it stays below 32 KiB whatever the workflow holds.
const (
	maxShown   = 64       // operations, and left-overs
	maxMessage = 256      // bytes of an operation's message
	maxStatus  = 26 << 10 // bytes of all but the conditions, as JSON
)

// The pause between two summaries while the phase stays: a second, and for large workflows what keeps the writing to a tenth of the time
// or so. A status write costs the API server the reading of the whole object and its rules, 0.3 to 0.4 ms an operation.
const (
	pace             = time.Second
	pacePerOperation = 4 * time.Millisecond
)

// Pace is how long a summary stands before the next one is written, unless the phase changes.
func (w *Workflow) Pace() time.Duration {
	return max(pace, time.Duration(len(w.ops))*pacePerOperation)
}

// Summarise says in the workflow's status what the ledger knows: phase, counts, and the operations that matter now. Conditions
// are not part of it: they follow from Verdict.
func Summarise(w *Workflow, l *saga.Ledger, sights Sights) v1alpha1.BatchWorkflowStatus {
	s := &summary{w: w, l: l, sights: sights}
	counts := l.Counts()
	status := v1alpha1.BatchWorkflowStatus{
		Phase:    w.Phase(l),
		Progress: fmt.Sprintf("%d/%d", counts.Passed(), counts.Total()),
		Counts: &v1alpha1.WorkflowCounts{
			Pending: counts[saga.Pending] + counts[saga.Retrying], Running: counts[saga.Running] + counts[saga.Undoing],
			Succeeded: counts[saga.Succeeded], Skipped: counts[saga.Skipped],
			Omitted: counts[saga.Omitted], Cancelled: counts[saga.Cancelled], Undone: counts[saga.Undone],
		},
		Handled:    l.Handled,
		Run:        w.runInfo(l),
		Plan:       w.gate.told(),
		Operations: s.operations(),
		Leftovers:  s.leftovers(),
		Cost:       costOf(sights),
		Removed:    s.removed(),
	}
	status.Counts.Failed, status.Counts.FailedAllowed = w.failures(l)
	fit(&status)
	return status
}

// costOf sums up what the Servers that were seen cost a month.
func costOf(sights Sights) *v1alpha1.WorkflowCost {
	bill := &Bill{}
	for _, sight := range sights {
		bill.Add(sight.Cost)
	}
	if monthly := bill.Monthly(); monthly != "" {
		return &v1alpha1.WorkflowCost{Monthly: cutText(monthly, 128), Unknown: bill.Unknown}
	}
	return nil
}

// failures counts what failed, also what was undone since, and what of that is allowed to.
func (w *Workflow) failures(l *saga.Ledger) (failed, allowed int32) {
	c := l.Counts()
	failed = l.Failures()
	if failed == 0 {
		return 0, 0
	}
	for k := range w.ops {
		if w.ops[k].policy == v1alpha1.FailureIgnore && l.Phase != saga.RunUndoing && c[saga.Undone]+c[saga.UndoFailed] == 0 {
			allowed += l.OpCounts(k)[saga.Failed] + l.OpCounts(k)[saga.Unknown]
		}
	}
	return failed - allowed, allowed
}

// fit shortens the messages until the status is small enough, whatever characters they hold.
func fit(status *v1alpha1.BatchWorkflowStatus) {
	for most := maxMessage / 2; most >= len("…"); most /= 2 {
		if text, err := json.Marshal(status); err == nil && len(text) <= maxStatus {
			return
		}
		for i := range status.Operations {
			op := &status.Operations[i]
			op.Message = cutText(op.Message, most)
			for n := range op.WaitingFor {
				op.WaitingFor[n].Limit = cutText(op.WaitingFor[n].Limit, most)
			}
		}
		for i := range status.Leftovers {
			status.Leftovers[i].Message = cutText(status.Leftovers[i].Message, most)
		}
	}
}

// Phase returns the workflow's phase: that of its plan where nothing starts without it, that of its run, Suspended or AwaitingApproval.
func (w *Workflow) Phase(l *saga.Ledger) v1alpha1.WorkflowPhase {
	switch {
	case w.gate.Shut():
		return w.gate.Phase
	case w.spec.Suspend && !l.Phase.Terminal():
		return v1alpha1.WorkflowSuspended
	case w.awaitsApproval(l):
		return v1alpha1.WorkflowAwaitingApproval
	}
	return v1alpha1.WorkflowPhase(l.Phase.String())
}

// runInfo tells of the run; nil while it has not begun, because its plan is not approved.
func (w *Workflow) runInfo(l *saga.Ledger) *v1alpha1.RunInfo {
	if counts := l.Counts(); w.gate.Shut() && l.Run == 1 && counts[saga.Pending] == counts.Total() {
		return nil
	}
	info := &v1alpha1.RunInfo{Number: l.Run, StartedAt: unixTime(l.Started), FinishedAt: unixTime(l.Finished), Operations: fmt.Sprintf("%x", l.SpecHash), Generation: l.Generation}
	if l.Finished > 0 {
		info.Duration = (time.Duration(l.Finished-l.Started) * time.Second).String()
	}
	return info
}

func unixTime(unix int64) *metav1.Time {
	if unix == 0 {
		return nil
	}
	t := metav1.Unix(unix, 0)
	return &t
}

// summary chooses what people need to see.
type summary struct {
	w      *Workflow
	l      *saga.Ledger
	sights Sights
}

// shown is an instance, or a whole operation that waits.
type shown struct {
	instance int
	waits    bool
}

// operations chooses at most maxShown: what failed, what is under way, what waits, and then what ended last. They are listed
// in order of declaration.
func (s *summary) operations() []v1alpha1.OperationStatus {
	const share = maxShown / 4
	failed := s.pick(2*share, func(p saga.Phase) bool { return p == saga.Failed || p == saga.Unknown || p == saga.UndoFailed })
	live := s.pick(share, func(p saga.Phase) bool { return p == saga.Running || p == saga.Retrying || p == saga.Undoing })
	chosen := append(failed, live...)
	if !s.l.Phase.Terminal() {
		chosen = append(chosen, s.waiting(share)...)
	}
	chosen = append(chosen, s.latest(maxShown-len(chosen))...)
	slices.SortStableFunc(chosen, func(a, b shown) int { return cmp.Compare(a.instance, b.instance) })
	out := make([]v1alpha1.OperationStatus, 0, len(chosen))
	for _, c := range chosen {
		if c.waits {
			out = append(out, s.waits(c.instance))
			continue
		}
		out = append(out, s.instance(c.instance))
	}
	return out
}

func (s *summary) pick(most int, want func(saga.Phase) bool) (out []shown) {
	for i := range s.l.N() {
		if len(out) == most {
			break
		}
		if want(s.l.Phases[i]) {
			out = append(out, shown{instance: i})
		}
	}
	return out
}

// waiting picks operations that have instances which did not start; one line an operation.
func (s *summary) waiting(most int) (out []shown) {
	for k := range s.w.ops {
		if len(out) < most && s.l.OpCounts(k)[saga.Pending] > 0 {
			first := slices.Index(s.l.Phases[s.l.Ops[k].First:], saga.Pending)
			out = append(out, shown{instance: int(s.l.Ops[k].First) + first, waits: true})
		}
	}
	return out
}

// latest picks the instances that ended last, well or by not starting at all.
func (s *summary) latest(most int) []shown {
	var out []shown
	for i := range s.l.N() {
		switch s.l.Phases[i] {
		case saga.Succeeded, saga.Skipped, saga.Omitted, saga.Cancelled, saga.Undone, saga.Irreversible:
		default:
			continue
		}
		if len(out) == most && (most == 0 || s.l.Ends[i] <= s.l.Ends[out[most-1].instance]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(out, s.l.Ends[i], func(o shown, end int32) int { return cmp.Compare(end, s.l.Ends[o.instance]) })
		for at < len(out) && s.l.Ends[out[at].instance] == s.l.Ends[i] {
			at++
		}
		out = slices.Insert(out, at, shown{instance: i})
		out = out[:min(len(out), most)]
	}
	return out
}

func (s *summary) instance(i int) v1alpha1.OperationStatus {
	k, sight := s.l.OpOf(i), s.sights[i]
	status := v1alpha1.OperationStatus{
		Name: s.l.Ops[k].Name, Key: s.l.Key(i), Phase: s.l.Phases[i].String(), Attempt: int32(s.l.Attempts[i]),
		StartedAt: unixTime(s.l.Unix(s.l.Starts[i])), FinishedAt: unixTime(s.l.Unix(s.l.Ends[i])),
		ChildRef: s.childRef(i), Reason: s.l.Reason(i), ApprovedBy: s.w.approvedBy(s.l, k),
	}
	switch s.l.Phases[i] {
	case saga.Running, saga.Undoing:
		status.Message = sight.Message
		if sight.Queued && sight.Message != "" {
			status.WaitingFor = []v1alpha1.WaitingFor{{Limit: cutText(sight.Message, maxMessage)}}
		}
	case saga.Retrying:
		status.NextAttemptAt = unixTime(s.l.Unix(s.l.Retries[i]))
		status.Message = s.l.Ops[k].Message
		status.WaitingFor = []v1alpha1.WaitingFor{{Limit: "retry.backoff"}}
	case saga.Failed, saga.Unknown, saga.UndoFailed:
		status.Message = s.l.Ops[k].Message
	case saga.Undone: // why it had to be undone, where it was this one that failed
		if status.Reason != "" {
			status.Message = s.l.Ops[k].Message
		}
	}
	status.Message = cutText(status.Message, maxMessage)
	return status
}

// waits is the line of an operation that did not start, with what it waits for.
func (s *summary) waits(i int) v1alpha1.OperationStatus {
	k := s.l.OpOf(i)
	status := v1alpha1.OperationStatus{Name: s.l.Ops[k].Name, Phase: saga.Pending.String(), Message: s.w.ops[k].unknown()}
	if s.w.draining() {
		status.WaitingFor = []v1alpha1.WaitingFor{{Limit: "what runs, before the edited operations are planned anew"}}
		return status
	}
	if s.l.Asked(i) {
		status.Phase, status.StartedAt = phaseAwaiting, unixTime(s.l.Unix(s.l.Starts[i]))
		status.WaitingFor = []v1alpha1.WaitingFor{{Limit: "approval"}}
		status.Message = cutText(s.w.ops[k].Approval.Message, maxMessage)
		return status
	}
	for _, arc := range s.w.graph.Preds(k) {
		counts := s.l.OpCounts(int(arc.Op))
		if counts.Settled() == counts.Total() {
			continue
		}
		edge, phase := s.w.ops[k].edgeTo(s.l.Ops[arc.Op].Name), saga.Pending
		if counts.Live() > 0 {
			phase = saga.Running
		}
		status.WaitingFor = append(status.WaitingFor, v1alpha1.WaitingFor{Operation: s.l.Ops[arc.Op].Name, Type: edge, Phase: phase.String()})
	}
	if status.WaitingFor == nil {
		limit := fmt.Sprintf("parallelLimit: %d", s.w.limit())
		switch {
		case s.w.gate.Shut():
			limit = "plan"
		case s.w.spec.Suspend:
			limit = "suspend"
		}
		status.WaitingFor = []v1alpha1.WaitingFor{{Limit: limit}}
	}
	return status
}

// edgeTo returns the type of the edge that leads to an operation.
func (op *operation) edgeTo(name string) v1alpha1.EdgeType {
	for _, d := range op.DependsOn {
		if d.Operation == name && d.Type != "" {
			return d.Type
		}
	}
	return v1alpha1.EdgeHard
}

func (s *summary) childRef(i int) *v1alpha1.ChildRef {
	if op := &s.w.ops[s.l.OpOf(i)]; op.Power != nil && s.l.Ordered(i) {
		if place := s.w.serverOf(op, i-op.first); place >= 0 {
			return &v1alpha1.ChildRef{Kind: KindServer, Name: s.w.names[place]}
		}
	}
	if kind, name := s.w.Child(s.l, i); kind != "" && s.l.Ordered(i) {
		return &v1alpha1.ChildRef{Kind: kind, Name: name}
	}
	return nil
}

// leftovers lists what undo could not remove.
func (s *summary) leftovers() (out []v1alpha1.Leftover) {
	for _, c := range s.pick(maxShown, func(p saga.Phase) bool { return p == saga.UndoFailed }) {
		k := s.l.OpOf(c.instance)
		left := v1alpha1.Leftover{
			Operation: s.l.Ops[k].Name, Key: s.l.Key(c.instance), ChildRef: s.childRef(c.instance),
			Message: cutText(s.whyLeft(c.instance), maxMessage),
		}
		if server, ok := s.sights[c.instance].Child.(*v1alpha1.Server); ok {
			left.Provider, left.ID = server.Spec.ProviderRef.Name, server.Status.ID
			left.CostPerHour = perHour(server.Status.Cost)
		}
		out = append(out, left)
	}
	return out
}

// removed lists what operations had made that are no longer there.
func (s *summary) removed() (out []v1alpha1.Removed) {
	for _, of := range s.l.Left {
		for _, key := range of.Keys {
			if len(out) == maxShown {
				return out
			}
			name := v1alpha1.ChildName(s.w.name, of.Operation, key)
			out = append(out, v1alpha1.Removed{Operation: of.Operation, Key: key, ChildRef: &v1alpha1.ChildRef{Kind: of.Child, Name: name}})
		}
	}
	return out
}

// whyLeft says why something could not be undone, in its own words where it has any.
func (s *summary) whyLeft(i int) string {
	if s.l.Reason(i) == string(fault.ReasonDeletionBlocked) && !s.sights[i].Deleting {
		return "something that rests on it could not be undone"
	}
	if s.l.Reason(i) == string(fault.ReasonProtected) {
		return protectedWords
	}
	if s.l.Reason(i) == v1alpha1.ReasonCancelled {
		return "undoing was aborted"
	}
	return s.sights[i].Message
}

// cutText bounds text at a whole character, and makes it text.
func cutText(text string, n int) string {
	if text = strings.ToValidUTF8(text, "�"); len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}
