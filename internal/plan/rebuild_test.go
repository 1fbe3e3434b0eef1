package plan

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// shop is a graph with every way in which an instance can be known, or not.
const shop = `operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: pause, type: Wait, wait: {duration: 1h}}
- {name: more, type: ServerBatch, dependsOn: [{operation: base}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: last, type: ServerBatch, dependsOn: [{operation: more}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: log, type: Command, dependsOn: [{operation: pause, type: Soft}], command: {script: "true", target: {server: s}}}
`

// TestRebuild: a lost ledger is made anew from what the children and the summary tell, and from nothing else.
func TestRebuild(t *testing.T) {
	is := func(change func(*Found)) Found {
		f := Found{Sight: Sight{Exists: true, UID: "u", Asked: 1, Answered: 1, Run: 1}, Planned: 1}
		change(&f)
		return f
	}
	planned := func(generation int64, f Found) Found {
		f.Planned = generation
		return f
	}
	ready, leaves := is(func(f *Found) { f.Ready = true }), is(func(f *Found) { f.Deleting = true })
	fresh, works := is(func(f *Found) { f.Fresh = true }), is(func(*Found) {})
	stalled := is(func(f *Found) { f.Stalled, f.Asked, f.Reason, f.Message = true, 3, "QuotaExceeded", "no more" })
	cases := map[string]struct {
		reason string
		told   v1alpha1.WorkflowPhase
		found  map[string]Found
		want   string // phases of base, pause, more, last, log
		run    saga.RunPhase
		by     int64 // the generation whose operations the run goes by; 0: the first
	}{
		"it goes forward": {"what is there goes on, what needs it never ran, and the rest is not known", v1alpha1.WorkflowRunning,
			map[string]Found{"base/0": ready, "more/0": fresh}, "Succeeded Unknown Running Pending Unknown", saga.RunRunning, 0},
		"a child that was ready once": {"what needs it may have run and vanished", v1alpha1.WorkflowRunning,
			map[string]Found{"base/0": ready, "more/0": works}, "Succeeded Unknown Running Unknown Unknown", saga.RunRunning, 0},
		"a child whose predecessor is gone": {"it was ordered, so what it needs had succeeded: that one is not made again", v1alpha1.WorkflowRunning,
			map[string]Found{"last/0": fresh}, "Succeeded Unknown Succeeded Running Unknown", saga.RunRunning, 0},
		"a child from before an edit": {"what it needed then may have been something else: nothing is known of what it needs now", v1alpha1.WorkflowRunning,
			map[string]Found{"last/0": ready, "base/0": fresh}, "Running Unknown Unknown Succeeded Unknown", saga.RunRunning, 2},
		"a child that was ordered after an edit": {"what it needs had succeeded; what that needs may not have, for it may have been kept from before", v1alpha1.WorkflowRunning,
			map[string]Found{"last/0": planned(2, fresh)}, "Unknown Unknown Succeeded Running Unknown", saga.RunRunning, 2},
		"two that were ordered after an edit": {"", v1alpha1.WorkflowRunning,
			map[string]Found{"last/0": planned(2, fresh), "more/0": planned(2, works)}, "Succeeded Unknown Succeeded Running Unknown", saga.RunRunning, 2},
		"one that was never ready, after an edit": {"what needs it now may have run before it did", v1alpha1.WorkflowRunning,
			map[string]Found{"base/0": planned(2, fresh)}, "Running Unknown Unknown Unknown Unknown", saga.RunRunning, 2},
		"nobody says by which operations": {"a release before did not", v1alpha1.WorkflowRunning,
			map[string]Found{"last/0": planned(0, fresh)}, "Unknown Unknown Unknown Running Unknown", saga.RunRunning, -1},
		"it had failed, after an edit": {"a child from before proves nothing", v1alpha1.WorkflowFailed,
			map[string]Found{"last/0": ready}, "Unknown Unknown Unknown Succeeded Unknown", saga.RunFailed, 2},
		"a summary of the run before": {"that one had succeeded, this one is under way", v1alpha1.WorkflowSucceeded,
			map[string]Found{"last/0": is(func(f *Found) { f.Run, f.Fresh = 2, true })}, "Unknown Unknown Unknown Running Unknown", saga.RunRunning, 0},
		"a Soft edge proves nothing": {"the pause may have failed", v1alpha1.WorkflowRunning,
			map[string]Found{"base/0": fresh, "log/0": ready}, "Running Unknown Pending Pending Succeeded", saga.RunRunning, 0},
		"a child that goes": {"who deleted it, and why, is not known: it is not made again", v1alpha1.WorkflowRunning,
			map[string]Found{"base/0": leaves}, "Unknown Unknown Unknown Unknown Unknown", saga.RunRunning, 0},
		"suspended": {"as it goes forward", v1alpha1.WorkflowSuspended,
			map[string]Found{"base/0": fresh}, "Running Unknown Pending Pending Unknown", saga.RunRunning, 0},
		"it is undone": {"what goes is undone, what stands will be, and what is not there is confirmed to be gone", v1alpha1.WorkflowUndoing,
			map[string]Found{"base/0": ready, "more/0": leaves}, "Succeeded Unknown Undoing Unknown Unknown", saga.RunUndoing, 0},
		"it had succeeded": {"so all of it had, also what vanished since", v1alpha1.WorkflowSucceeded,
			map[string]Found{"base/0": ready, "more/0": stalled}, "Succeeded Succeeded Succeeded Succeeded Succeeded", saga.RunSucceeded, 0},
		"it had failed": {"what stalled had failed; nothing is ordered by itself", v1alpha1.WorkflowFailed,
			map[string]Found{"base/0": ready, "more/0": stalled}, "Succeeded Unknown Failed Unknown Unknown", saga.RunFailed, 0},
		"it was cancelled": {"what is there and not ready was cancelled", v1alpha1.WorkflowCancelled,
			map[string]Found{"base/0": fresh}, "Cancelled Unknown Omitted Omitted Unknown", saga.RunCancelled, 0},
		"it was rolled back": {"what is there was to be kept; a command may have run", v1alpha1.WorkflowRolledBack,
			map[string]Found{"base/0": ready}, "Succeeded Undone Undone Undone Irreversible", saga.RunRolledBack, 0},
		"its undoing had failed": {"what is there is left over", v1alpha1.WorkflowRollbackFailed,
			map[string]Found{"base/0": stalled}, "UndoFailed Undone Undone Undone Irreversible", saga.RunRollbackFailed, 0},
		"its undoing was blocked": {"what is there is protected", v1alpha1.WorkflowRollbackBlocked,
			map[string]Found{"base/0": ready}, "UndoFailed Undone Undone Undone Irreversible", saga.RunRollbackBlocked, 0},
		"its undoing had failed, and an earlier run's child is there": {"that was not this run's to undo", v1alpha1.WorkflowRollbackFailed,
			map[string]Found{"base/0": is(func(f *Found) { f.Ready, f.Run = true, 0 }), "more/0": stalled}, "Succeeded Undone UndoFailed Undone Irreversible", saga.RunRollbackFailed, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, shop)
			found := map[int]Found{}
			for instance, f := range c.found {
				found[s.instance(instance)] = f
			}
			began := metav1.NewTime(s.begun)
			told := v1alpha1.BatchWorkflowStatus{Phase: c.told, ObservedGeneration: 1, Run: &v1alpha1.RunInfo{Number: 1, StartedAt: &began, Generation: cmp.Or(c.by, 1)}}
			l, err := Rebuild(s.w, told, found, Requests{"retry": "all@7"}, s.begun.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			var phases []string
			for _, p := range l.Phases {
				phases = append(phases, p.String())
			}
			if got := strings.Join(phases, " "); got != c.want || l.Phase != c.run {
				t.Errorf("%s:\n got %s, %s\nwant %s, %s", c.reason, got, l.Phase, c.want, c.run)
			}
			if l.Handled["retry"] != "all@7" || l.Run == 1 && l.Started != s.begun.Unix() {
				t.Errorf("handled %v, started %d", l.Handled, l.Started)
			}
			if err := l.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRebuildTellsTheCause: the cause that the summary still tells survives the ledger.
func TestRebuildTellsTheCause(t *testing.T) {
	s := newStage(t, shop)
	told := v1alpha1.BatchWorkflowStatus{Phase: v1alpha1.WorkflowFailed, Run: &v1alpha1.RunInfo{Number: 3}, Operations: []v1alpha1.OperationStatus{
		{Name: "more", Key: "0", Phase: "Failed", Reason: "QuotaExceeded", Message: "no more of them"},
	}}
	l, err := Rebuild(s.w, told, nil, nil, s.begun)
	if err != nil {
		t.Fatal(err)
	}
	if got := Verdict(s.w, l, 0).Error(); !strings.Contains(got, `operation "more": QuotaExceeded: no more of them`) || l.Run != 3 {
		t.Errorf("run %d: %s", l.Run, got)
	}
}

// TestLostRunIsNotUndone: a run whose ledger has gaps ends Failed, whatever onFailure says, until somebody asks.
func TestLostRunIsNotUndone(t *testing.T) {
	s := newStage(t, "onFailure: Rollback\n"+shop)
	began := metav1.NewTime(s.begun)
	told := v1alpha1.BatchWorkflowStatus{Phase: v1alpha1.WorkflowRunning, Run: &v1alpha1.RunInfo{Number: 1, StartedAt: &began}}
	var err error
	if s.l, err = Rebuild(s.w, told, nil, nil, s.now); err != nil {
		t.Fatal(err)
	}
	s.at(time.Second)
	if s.l.Phase != saga.RunFailed || !Lost(s.l) {
		t.Fatalf("the run is %s: %v", s.l.Phase, s.l.Cause)
	}
	s.asked = Requests{v1alpha1.VerbRollback: "yes"}
	if s.at(2 * time.Second); s.l.Phase != saga.RunUndoing {
		t.Errorf("asked to, it is %s: %s", s.l.Phase, s.l.Refusal)
	}
}

// TestRebuildProperty: whatever is found, the ledger can be stored, nothing that may have run is Pending, no child that is there is
// deleted unless the run was being undone, and none that was ready is made again.
func TestRebuildProperty(t *testing.T) {
	phases := []v1alpha1.WorkflowPhase{"", v1alpha1.WorkflowPending, v1alpha1.WorkflowRunning, v1alpha1.WorkflowSuspended, v1alpha1.WorkflowUndoing, v1alpha1.WorkflowSucceeded,
		v1alpha1.WorkflowFailed, v1alpha1.WorkflowCancelled, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed}
	rapid.Check(t, func(t *rapid.T) {
		flow := randomWorkflow(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
		w, err := Compile(flow, nil)
		if err != nil {
			t.Fatal(err)
		}
		told := v1alpha1.BatchWorkflowStatus{Phase: rapid.SampledFrom(phases).Draw(t, "phase"), ObservedGeneration: int64(rapid.IntRange(0, 1).Draw(t, "observed"))}
		if rapid.Bool().Draw(t, "told of the run") {
			told.Run = &v1alpha1.RunInfo{Number: 1, Generation: int64(rapid.IntRange(0, 2).Draw(t, "by"))}
		}
		found, sights := map[int]Found{}, Sights{}
		for i, name := range w.names {
			if name == "" || rapid.Bool().Draw(t, "absent") {
				continue
			}
			f := Found{Sight: Sight{Exists: true, UID: "u", Asked: int32(rapid.IntRange(1, 70_000).Draw(t, "asked")), Run: int32(rapid.IntRange(0, 2).Draw(t, "run"))}}
			f.Deleting, f.Ready, f.Stalled = rapid.Bool().Draw(t, "deleting"), rapid.Bool().Draw(t, "ready"), rapid.Bool().Draw(t, "stalled")
			f.Planned = int64(rapid.IntRange(0, 2).Draw(t, "planned"))
			f.Fresh, f.Answered, f.Reason = !f.Ready && rapid.Bool().Draw(t, "fresh"), f.Asked, "QuotaExceeded"
			found[i], sights[i] = f, f.Sight
		}
		l, err := Rebuild(w, told, found, nil, time.Unix(1_800_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := saga.Encode(l); err != nil {
			t.Fatal(err)
		}
		for i, phase := range l.Phases {
			if phase == saga.Pending && (found[i].Exists || !needsFresh(w, found, i)) {
				t.Fatalf("instance %d is Pending, found %+v", i, found[i])
			}
			if phase == saga.Unknown && w.ops[l.OpOf(i)].Approval != nil {
				t.Fatalf("approval %d cannot be asked for again", i)
			}
			if (phase == saga.Unknown || phase == saga.Pending) && l.Reason(i) == "" != (phase == saga.Pending) {
				t.Fatalf("instance %d is %s because of %q", i, phase, l.Reason(i))
			}
			if found[i].Exists && !Wants(w, l, i) {
				t.Fatalf("instance %d is %s, and its child would be deleted", i, phase)
			}
		}
		for _, action := range Act(w, l, sights) { // the next try of what is being undone, and no other deed
			if action.Do != Raise || l.Phases[action.Instance] != saga.Undoing {
				t.Fatalf("%s %s follows from what nobody has looked at", action.Do, action.Name)
			}
		}
	})
}

// needsFresh reports whether an instance needs, at any distance, one that has never succeeded, or lacks a partner.
func needsFresh(w *Workflow, found map[int]Found, i int) bool {
	for k := range w.ops {
		op := &w.ops[k]
		if i < op.first || i >= op.first+op.count {
			continue
		}
		for _, edge := range op.joins {
			p := int(edge.partner[i-op.first])
			if p < 0 || !edge.soft && (found[p].Fresh || needsFresh(w, found, p)) {
				return true
			}
		}
		for _, arc := range w.graph.Preds(k) {
			before := &w.ops[arc.Op]
			for p := before.first; !arc.Soft && !arc.Same && p < before.first+before.count; p++ {
				if found[p].Fresh || needsFresh(w, found, p) {
					return true
				}
			}
		}
	}
	return false
}

// TestFind reads what a child's past tells.
func TestFind(t *testing.T) {
	mark := metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationRun: "4", v1alpha1.AnnotationAttempt: "2"}}
	for name, c := range map[string]struct {
		child metav1.Object
		fresh bool
	}{
		"a Server without a machine":   {&v1alpha1.Server{ObjectMeta: mark}, true},
		"a Server with one":            {&v1alpha1.Server{ObjectMeta: mark, Status: v1alpha1.ServerStatus{ID: "m"}}, false},
		"a TaskService never resolved": {&v1alpha1.TaskService{ObjectMeta: mark}, true},
		"a TaskService that was":       {&v1alpha1.TaskService{ObjectMeta: mark, Status: v1alpha1.TaskServiceStatus{Resolved: &v1alpha1.ResolvedRecipe{}}}, false},
		"a Run that failed":            {&v1alpha1.Run{ObjectMeta: mark, Status: v1alpha1.RunStatus{Phase: v1alpha1.RunFailed}}, true},
		"a Run that succeeded":         {&v1alpha1.Run{ObjectMeta: mark, Status: v1alpha1.RunStatus{Phase: v1alpha1.RunSucceeded}}, false},
	} {
		if f := Find(c.child); f.Fresh != c.fresh || f.Run != 4 || f.Asked != 2 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestLostOutputs: a child cannot be made again without the values that were lost, and is not made with something else in their place.
func TestLostOutputs(t *testing.T) {
	s := newStage(t, `onFailure: Rollback
operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: use, type: Command, dependsOn: [{operation: base}], command: {script: "true", target: {server: s}, env: [{name: A, value: "${operations.base.outputs.addresses}"}]}}
`)
	use := s.instance("use/0")
	works := Found{Sight: Sight{Exists: true, UID: "u", Asked: 1, Answered: 1, Run: 1}, Fresh: true}
	var err error
	if s.l, err = Rebuild(s.w, v1alpha1.BatchWorkflowStatus{Phase: v1alpha1.WorkflowRunning}, map[int]Found{use: works}, nil, s.now); err != nil {
		t.Fatal(err)
	}
	s.see("use/0", works.Sight).at(time.Second)
	if s.l.Phases[use] != saga.Running {
		t.Fatalf("it is %s", s.l.Phases[use])
	}
	delete(s.sights, use)
	s.at(2 * time.Second)
	if actions := Act(s.w, s.l, s.sights); s.l.Phases[use] != saga.Unknown || s.l.Phase != saga.RunFailed || len(actions) > 0 {
		t.Errorf("it is %s and the run %s: %v", s.l.Phases[use], s.l.Phase, actions)
	}
	if reason := s.l.Reason(use); reason != string(fault.ReasonCheckpointLost) {
		t.Error(fmt.Sprintf("because of %s", reason))
	}
}
