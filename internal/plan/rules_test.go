package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// scene is one story: a workflow, and what happens to it.
type scene struct {
	why  string
	spec string
	play func(s *stage)
}

func playAll(t *testing.T, scenes map[string]scene) {
	for name, p := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Log(p.why)
			p.play(newStage(t, p.spec))
		})
	}
}

func batch(name, keys, more string) string {
	return `{name: ` + name + `, type: ServerBatch, serverBatch: {forEach: [` + keys + `], template: {spec: {providerRef: {name: p}}}}` + more + `}`
}

var doubtful = Sight{Stalled: true, Unknown: true, Asked: 1, Answered: 1, Reason: "OutcomeUnknown", Message: "who knows"}

// TestOptionalEdge: as Soft, and the operation may be absent from the workflow.
func TestOptionalEdge(t *testing.T) {
	playAll(t, map[string]scene{
		"absent": {"nothing is waited for", ops(server("a", ", dependsOn: [{operation: nobody, type: Optional}]")), func(s *stage) {
			s.want("Running: a/0 Running")
		}},
		"there": {"it is finished first, however it ends", ops(server("a", ", onFailure: Continue"), server("b", ", dependsOn: [{operation: a, type: Optional}]")), func(s *stage) {
			s.want("Running: a/0 Running, b/0 Pending").see("a/0", stalled(1)).at(1).want("Running: a/0 Failed, b/0 Running")
			if got := Summarise(s.w, s.l, s.sights).Phase; got != v1alpha1.WorkflowRunning {
				s.Errorf("phase %s", got)
			}
		}},
	})
	if _, err := Compile(flow(t, ops(server("a", ", dependsOn: [{operation: nobody, type: Soft}]"))), nil); fault.ReasonOf(err) != fault.ReasonUnknownDependency {
		t.Errorf("an absent operation that is not optional: %v", err)
	}
}

// TestSameIndex: instances are joined by key; there is no barrier, and who has no partner is Omitted.
func TestSameIndex(t *testing.T) {
	pipeline := ops(batch("a", "{key: x}, {key: v}", ""), batch("b", "{key: v}, {key: x}, {key: z}", ", dependsOn: [{operation: a, match: SameIndex}]"))
	playAll(t, map[string]scene{
		"no barrier": {"b/x starts while a/v still runs", pipeline, func(s *stage) {
			s.want("Running: a/x Running, a/v Running, b/v Pending, b/x Pending, b/z Omitted")
			if s.l.Reason(4) != v1alpha1.ReasonNoPartner {
				s.Errorf("without a partner: %q", s.l.Reason(4))
			}
			s.see("a/x", ready).at(1).want("Running: a/x Succeeded, a/v Running, b/v Pending, b/x Running, b/z Omitted")
			s.see("b/x", ready).see("a/v", ready).at(2).see("b/v", ready).at(3).want("Succeeded: a/x Succeeded, a/v Succeeded, b/v Succeeded, b/x Succeeded, b/z Omitted")
		}},
		"a failed partner": {"only its own dependent is left out", ops(batch("a", "{key: x}, {key: v}", ", onFailure: Continue"), batch("b", "{key: x}, {key: v}", ", dependsOn: [{operation: a, match: SameIndex}]")), func(s *stage) {
			s.see("a/x", stalled(1)).see("a/v", ready).at(1).want("Running: a/x Failed, a/v Succeeded, b/x Omitted, b/v Running")
		}},
		"soft": {"however the partner ended", ops(batch("a", "{key: x}", ", onFailure: Continue"), batch("b", "{key: x}", ", dependsOn: [{operation: a, match: SameIndex, type: Soft}]")), func(s *stage) {
			s.see("a/x", stalled(1)).at(1).want("Running: a/x Failed, b/x Running")
		}},
		"undone one by one": {"a server goes when what rests on it is gone, and not before", "onFailure: Rollback\n" + ops(batch("a", "{key: x}, {key: v}", ""), batch("b", "{key: x}, {key: v}", ", dependsOn: [{operation: a, match: SameIndex}]")), func(s *stage) {
			s.see("a/x", ready).see("a/v", ready).at(1).see("b/x", ready).see("b/v", stalled(1)).at(2).want("Undoing: a/x Succeeded, a/v Succeeded, b/x Undoing, b/v Undoing")
			s.see("b/x", gone).see("b/v", denied).at(3).want("Undoing: a/x Undoing, a/v Succeeded, b/x Undone, b/v UndoFailed")
			s.see("a/x", gone).at(4).want("RollbackFailed: a/x Undone, a/v UndoFailed, b/x Undone, b/v UndoFailed")
		}},
	})
	refused := ops(server("a", ""), `{name: t, type: TaskServiceBatch, dependsOn: [{operation: a, match: SameIndex}], taskServiceBatch: {recipes: [{name: etcd}], targets: {operation: a}}}`)
	if _, err := Compile(flow(t, refused), nil); err == nil || !strings.Contains(err.Error(), "with type Hard and match All") {
		t.Errorf("a service over all servers that waits for one of them: %v", err)
	}
	each := ops(server("a", ""), `{name: c, type: Check, dependsOn: [{operation: a, match: SameIndex}], check: {tcp: {address: "127.0.0.1:1"}, target: {operation: a}}}`)
	if _, err := Compile(flow(t, each), nil); err != nil {
		t.Errorf("a check of each server: %v", err)
	}
	early := ops(batch("a", "{key: x}", ""), `{name: c, type: Check, dependsOn: [{operation: a, match: SameIndex}], check: {tcp: {address: "${operations.a.outputs.addresses}"}}}`)
	if _, err := Compile(flow(t, early), nil); err == nil || !strings.Contains(err.Error(), "match All") {
		t.Errorf("outputs of all that are read when one has ended: %v", err)
	}
}

// TestWhen: a condition is decided once, when its operation could start.
func TestWhen(t *testing.T) {
	two := func(when, more string) string {
		return ops(server("a", ", onFailure: Continue"), server("b", `, dependsOn: [{operation: a, type: Soft}], when: '`+when+`'`), server("c", ", dependsOn: [{operation: b}]")) + more
	}
	playAll(t, map[string]scene{
		"true": {"", two(`operations.a.phase == "Succeeded" && operations.a.total == 1`, ""), func(s *stage) {
			s.want("Running: a/0 Running, b/0 Pending, c/0 Pending").see("a/0", ready).at(1).want("Running: a/0 Succeeded, b/0 Running, c/0 Pending")
		}},
		"false": {"Skipped is as good as Succeeded for a Hard dependent", two(`operations.a.failed > 0`, ""), func(s *stage) {
			s.see("a/0", ready).at(1).want("Running: a/0 Succeeded, b/0 Skipped, c/0 Running").see("c/0", ready).at(2)
			s.want("Succeeded: a/0 Succeeded, b/0 Skipped, c/0 Succeeded")
			if counts := Summarise(s.w, s.l, s.sights).Counts; counts.Skipped != 1 {
				s.Errorf("counts %+v", counts)
			}
		}},
		"an output": {"outputs that a condition reads are frozen for it", ops(server("a", ""), server("b", `, dependsOn: [{operation: a}], when: 'operations.a.outputs.addresses == "10.0.0.1"'`)), func(s *stage) {
			made := ready
			made.Outputs = map[string]string{outputAddresses: "10.0.0.1"}
			s.see("a/0", made).at(1).want("Running: a/0 Succeeded, b/0 Running")
		}},
		"cannot be decided": {"it failed, and says why", two(`operations.a.outputs.nothing == "x"`, ""), func(s *stage) {
			s.see("a/0", ready).at(1).want("Failed: a/0 Succeeded, b/0 Failed, c/0 Omitted")
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), `operation "b": Invalid: when: deciding the condition: no such key: nothing`) {
				s.Error(err)
			}
		}},
		"costs too much": {"the limit is that of the API server", two(`[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, [1,2,3,4,5,6,7,8,9,10].map(e, [1,2,3,4,5,6,7,8,9,10].map(f, operations.a.phase)))))).size() > 0`, ""), func(s *stage) {
			s.see("a/0", ready).at(1).want("Failed: a/0 Succeeded, b/0 Failed, c/0 Omitted")
			if !strings.Contains(s.l.Cause.Message, "costs too much") {
				s.Errorf("it reads %q", s.l.Cause.Message)
			}
		}},
	})
	for when, want := range map[string]string{
		`operations.a.phase ==`:                 "when: line 1",
		`operations.zzz.failed > 0`:             `operation "zzz" does not exist`,
		`operations.c.failed > 0`:               `how "c" ended is known only once it has`,
		`operations.size() > 0`:                 "write out the name",
		`children.all(c, children[c].ready)`:    "children are not known to it",
		`operations.a.phase`:                    "must be true or false",
		`has(operations.b.x) && operations.b.x`: `how "b" ended`,
	} {
		if _, err := Compile(flow(t, two(when, "")), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", when, err, want)
		}
	}
}

// TestCheckByCondition: it makes no child; each attempt decides it once, over operations and the children before it.
func TestCheckByCondition(t *testing.T) {
	gate := func(condition, more string) string {
		return `{name: g, type: Check, dependsOn: [{operation: a}], check: {condition: '` + condition + `'}` + more + `}`
	}
	serving := `children.a.all(key, children.a[key].ready) && children.a["0"].outputs.addresses.startsWith("10.") && operations.a.total == 1`
	made := ready
	made.Outputs = map[string]string{outputAddresses: "10.0.0.1"}
	playAll(t, map[string]scene{
		"true": {"its order is durable before its end", ops(server("a", ""), gate(serving, "")), func(s *stage) {
			s.see("a/0", made).at(time.Second).want("Running: a/0 Succeeded, g/0 Running").wakes(time.Second)
			if actions := Act(s.w, s.l, s.sights); len(actions) > 0 {
				s.Errorf("it makes a child: %+v", actions)
			}
			s.at(time.Second).want("Succeeded: a/0 Succeeded, g/0 Succeeded")
		}},
		"false, and later true": {"each attempt asks once", ops(server("a", ""), gate(serving, ", retry: {limit: 1, backoff: {duration: 10s}}")), func(s *stage) {
			s.see("a/0", made).at(time.Second).see("a/0", going).at(2 * time.Second).want("Running: a/0 Succeeded, g/0 Retrying").wakes(12 * time.Second)
			s.see("a/0", made).at(12 * time.Second).at(12 * time.Second).want("Succeeded: a/0 Succeeded, g/0 Succeeded")
		}},
		"false": {"", ops(server("a", ""), gate(`operations.a.failed > 0`, "")), func(s *stage) {
			s.see("a/0", ready).at(1).at(2).want("Failed: a/0 Succeeded, g/0 Failed")
			if !strings.Contains(s.l.Cause.Message, "check.condition is false: operations.a.failed > 0") {
				s.Errorf("it reads %q", s.l.Cause.Message)
			}
		}},
		"undecidable": {"", ops(server("a", ""), gate(`children.a["7"].ready == true`, "")), func(s *stage) {
			s.see("a/0", ready).at(1).at(2).want("Failed: a/0 Succeeded, g/0 Failed")
			if s.l.Cause.Reason != "Invalid" || !strings.Contains(s.l.Cause.Message, "no such key: 7") {
				s.Errorf("it reads %+v", s.l.Cause)
			}
		}},
		"undone": {"there is nothing to take back", "onFailure: Rollback\n" + ops(server("a", ""), gate(`false`, "")), func(s *stage) {
			s.see("a/0", ready).at(1).at(2).want("Undoing: a/0 Undoing, g/0 Undone")
		}},
	})
	for text, want := range map[string]string{`children.`: "check.condition: line 1", `operations.g.failed == 0`: `how "g" ended is known only once it has`} {
		if _, err := Compile(flow(t, ops(server("a", ""), gate(text, ""))), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestOnFailure: one switch. Fail starts nothing new, Continue and Ignore let other branches go on, Rollback undoes.
func TestOnFailure(t *testing.T) {
	spec := func(policy string) string {
		return "parallelLimit: 2\nonFailure: " + policy + "\n" + ops(server("a", ""), server("b", ""), server("c", ", dependsOn: [{operation: b}]"), server("d", ", dependsOn: [{operation: a}]"))
	}
	fails := func(s *stage) { s.see("a/0", stalled(1)).at(1) }
	playAll(t, map[string]scene{
		"Fail": {"nothing new, and what runs ends", spec("Fail"), func(s *stage) {
			fails(s)
			s.want("Running: a/0 Failed, b/0 Running, c/0 Omitted, d/0 Omitted").see("b/0", ready).at(2).want("Failed: a/0 Failed, b/0 Succeeded, c/0 Omitted, d/0 Omitted")
		}},
		"Continue": {"other branches go on; the run ends Failed", spec("Continue"), func(s *stage) {
			fails(s)
			s.want("Running: a/0 Failed, b/0 Running, c/0 Pending, d/0 Omitted").see("b/0", ready).at(2).see("c/0", ready).at(3)
			s.want("Failed: a/0 Failed, b/0 Succeeded, c/0 Succeeded, d/0 Omitted")
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), `operation "a": QuotaExceeded`) {
				s.Error(err)
			}
		}},
		"Ignore": {"it is counted as allowed; the run can still succeed", spec("Ignore"), func(s *stage) {
			fails(s)
			s.want("Running: a/0 Failed, b/0 Running, c/0 Pending, d/0 Omitted").see("b/0", ready).at(2).see("c/0", ready).at(3)
			s.want("Succeeded: a/0 Failed, b/0 Succeeded, c/0 Succeeded, d/0 Omitted")
			if counts := Summarise(s.w, s.l, s.sights).Counts; counts.FailedAllowed != 1 || counts.Failed != 0 || Verdict(s.w, s.l, 0) != nil {
				s.Errorf("counts %+v, verdict %v", counts, Verdict(s.w, s.l, 0))
			}
		}},
		"Rollback": {"as Fail, then undo; the failure stays counted", spec("Rollback"), func(s *stage) {
			fails(s)
			s.see("b/0", ready).at(2).want("Undoing: a/0 Undoing, b/0 Undoing, c/0 Omitted, d/0 Omitted").see("a/0", gone).see("b/0", gone).at(3)
			if counts := Summarise(s.w, s.l, s.sights).Counts; s.l.Phase != saga.RunRolledBack || counts.Failed != 1 || counts.Undone != 2 {
				s.Errorf("%s, counts %+v", s.l.Phase, counts)
			}
		}},
		"of an operation": {"it goes before the workflow's", "onFailure: Rollback\n" + ops(server("a", ", onFailure: Ignore"), server("b", "")), func(s *stage) {
			fails(s)
			s.see("b/0", ready).at(2).want("Succeeded: a/0 Failed, b/0 Succeeded")
		}},
		"an unknown outcome": {"it counts as a failure", spec("Continue"), func(s *stage) {
			s.see("a/0", doubtful).at(1).want("Running: a/0 Unknown, b/0 Running, c/0 Pending, d/0 Omitted")
		}},
		"what is tried again": {"Continue does not call off other attempts", "onFailure: Continue\n" + ops(server("a", ""), server("b", ", retry: {limit: 1, backoff: {duration: 1s}}")), func(s *stage) {
			s.see("a/0", stalled(1)).see("b/0", stalled(1)).at(1).want("Running: a/0 Failed, b/0 Retrying")
		}},
	})
}

// TestClocksStop: neither suspended nor queued time counts.
func TestClocksStop(t *testing.T) {
	suspend := func(s *stage, on bool) { s.edit(func(spec *v1alpha1.BatchWorkflowSpec) { spec.Suspend = on }) }
	playAll(t, map[string]scene{
		"an attempt, suspended": {"", ops(server("a", ", timeout: 10s")), func(s *stage) {
			s.see("a/0", going).at(time.Second)
			suspend(s, true)
			s.at(5 * time.Second).wakes(-1).at(time.Hour).want("Running: a/0 Running").wakes(-1)
			suspend(s, false)
			s.at(2 * time.Hour).want("Running: a/0 Running").at(2*time.Hour + 6*time.Second).want("Running: a/0 Running").at(2*time.Hour + 9*time.Second).want("Failed: a/0 Failed")
		}},
		"the workflow, suspended": {"", "timeout: 60s\n" + ops(server("a", "")), func(s *stage) {
			s.see("a/0", going).at(0)
			suspend(s, true)
			s.at(30 * time.Second).at(time.Hour).want("Running: a/0 Running")
			suspend(s, false)
			s.at(time.Hour).at(time.Hour + 29*time.Second).want("Running: a/0 Running").at(time.Hour + 35*time.Second).want("Failed: a/0 Failed")
		}},
		"an attempt, queued again": {"a leaf may have to wait for its turn more than once", ops(server("a", ", timeout: 10s")), func(s *stage) {
			s.see("a/0", going).at(0).see("a/0", Sight{Queued: true, Asked: 1, Answered: 1}).at(6 * time.Second).wakes(-1).at(time.Hour).want("Running: a/0 Running")
			s.see("a/0", going).at(time.Hour).at(time.Hour + 4*time.Second).want("Running: a/0 Running").at(time.Hour + 5*time.Second).want("Failed: a/0 Failed")
		}},
		"the operation": {"all its instances and attempts together", "parallelLimit: 1\n" + ops(`{name: a, type: ServerBatch, totalTimeout: 30s, retry: {limit: 9, backoff: {duration: 20s}}, serverBatch: {count: 3, template: {spec: {providerRef: {name: p}}}}}`, server("b", "")), func(s *stage) {
			s.see("a/0", Sight{Queued: true, Asked: 1}).at(time.Hour).wakes(-1)
			s.begun = s.begun.Add(time.Hour)
			s.see("a/0", going).at(0).wakes(31*time.Second).see("a/0", stalled(1)).at(20 * time.Second).want("Running: a/0 Retrying, a/1 Pending, a/2 Pending, b/0 Pending")
			s.at(31 * time.Second).want("Failed: a/0 Failed, a/1 Failed, a/2 Failed, b/0 Omitted")
			if !strings.Contains(s.l.Cause.Message, "the operation did not end within 30s") {
				s.Errorf("the cause is %q", s.l.Cause.Message)
			}
		}},
	})
}

// TestKeepOnUndo: undo stops there; it and its ancestors stay, everything else goes.
func TestKeepOnUndo(t *testing.T) {
	playAll(t, map[string]scene{
		"stays": {"", "onFailure: Rollback\n" + ops(server("a", ""), server("b", ", keepOnUndo: true, dependsOn: [{operation: a}]"), server("c", ", dependsOn: [{operation: b}]"), server("d", ", dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", ready).at(1).see("b/0", ready).see("d/0", ready).at(2).see("c/0", stalled(1)).at(3).want("Undoing: a/0 Succeeded, b/0 Succeeded, c/0 Undoing, d/0 Undoing")
			s.see("c/0", gone).see("d/0", gone).at(4).want("RolledBack: a/0 Succeeded, b/0 Succeeded, c/0 Undone, d/0 Undone")
			if err := Verdict(s.w, s.l, 0); !strings.Contains(err.Error(), "kept as keepOnUndo asks: 2") {
				s.Error(err)
			}
			if actions := Act(s.w, s.l, s.sights); len(actions) > 0 || !Wants(s.w, s.l, 0) || !Wants(s.w, s.l, 1) {
				s.Errorf("what is kept is touched: %+v", actions)
			}
		}},
		"never ran": {"then there is nothing to keep", "onFailure: Rollback\n" + ops(server("a", ""), server("b", ", keepOnUndo: true, dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", stalled(1)).at(1).see("a/0", gone).at(2).want("RolledBack: a/0 Undone, b/0 Omitted")
		}},
	})
}

// TestUndoHasItsOwnRetriesAndTimeout: a deletion that stalls is asked for again, by the next attempt on the same child.
func TestUndoHasItsOwnRetriesAndTimeout(t *testing.T) {
	retried := "onFailure: Rollback\nundo: {retry: {limit: 1, backoff: {duration: 10s}}}\n" + ops(server("a", ""))
	playAll(t, map[string]scene{
		"tried again": {"", retried, func(s *stage) {
			s.see("a/0", stalled(1)).at(1).see("a/0", denied).at(time.Second).want("Undoing: a/0 Undoing").wakes(11 * time.Second)
			s.at(11 * time.Second)
			if actions := Act(s.w, s.l, s.sights); len(actions) != 1 || actions[0].Do != Raise || actions[0].Attempt != 2 {
				s.Fatalf("its child is not asked again: %+v", actions)
			}
			s.at(12 * time.Second).want("Undoing: a/0 Undoing") // what it says is of the try before
			again := denied
			again.Asked, again.Answered = 2, 2
			s.see("a/0", again).at(13 * time.Second).want("RollbackFailed: a/0 UndoFailed")
		}},
		"goes between two tries": {"", retried, func(s *stage) {
			s.see("a/0", stalled(1)).at(1).see("a/0", denied).at(time.Second).see("a/0", gone).at(2 * time.Second).want("RolledBack: a/0 Undone")
		}},
		"goes after it had failed": {"while others are undone it is not given up", "onFailure: Rollback\n" + ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]"), server("c", "")), func(s *stage) {
			s.see("a/0", ready).see("c/0", ready).at(1).see("b/0", stalled(1)).at(2).see("b/0", denied).see("c/0", leaving).at(3)
			s.want("Undoing: a/0 Succeeded, b/0 UndoFailed, c/0 Undoing")
			s.sights[s.instance("b/0")] = Sight{}
			if ask := Confirm(s.w, s.l, s.sights); len(ask) != 1 || ask[0] != s.instance("b/0") {
				s.Fatalf("its absence is not looked for: %v", ask)
			}
			s.see("b/0", gone).at(4).want("Undoing: a/0 Undoing, b/0 Undone, c/0 Undoing")
		}},
		"takes too long": {"", "onFailure: Rollback\n" + ops(server("a", ", undo: {timeout: 30s}")), func(s *stage) {
			s.see("a/0", stalled(1)).at(0).see("a/0", leaving).at(time.Second).wakes(31 * time.Second).at(31 * time.Second).want("RollbackFailed: a/0 UndoFailed")
		}},
	})
}

func TestWorkflowTimeout(t *testing.T) {
	cases := map[string]struct {
		why  string
		spec string
		play func(s *stage)
	}{
		"ends what runs and what waits": {"", "timeout: 60s\n" + ops(server("a", ""), server("b", ", dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", Sight{Queued: true, Asked: 1}).at(time.Hour).wakes(-1) // it counts from the end of the first queue
			s.begun = s.begun.Add(time.Hour)
			s.see("a/0", going).at(0).wakes(61 * time.Second).at(61*time.Second - 1).want("Running: a/0 Running, b/0 Pending")
			s.at(61 * time.Second).want("Failed: a/0 Failed, b/0 Omitted").wakes(-1)
			if !strings.Contains(s.l.Ops[0].Message, "the time of the workflow was over") || !strings.Contains(s.l.Cause.Message, "did not end within 1m0s; running: a") {
				s.Errorf("it reads %q, %q", s.l.Ops[0].Message, s.l.Cause.Message)
			}
		}},
		"rolls back where the operation says so": {"", "timeout: 60s\n" + ops(server("a", ", onFailure: Rollback")), func(s *stage) {
			s.see("a/0", going).at(0).at(61 * time.Second).want("Undoing: a/0 Undoing")
		}},
		"rolls back where nothing failed and the workflow says so": {"", "parallelLimit: 1\nonFailure: Rollback\ntimeout: 60s\n" +
			ops(server("a", ""), server("b", ", onFailure: Ignore, dependsOn: [{operation: a}]")), func(s *stage) {
			s.see("a/0", going).at(0).see("a/0", ready).see("b/0", going).at(time.Second).at(61 * time.Second).want("Undoing: a/0 Succeeded, b/0 Undoing")
		}},
		"an end in the same look wins": {"", "timeout: 60s\n" + ops(server("a", "")), func(s *stage) {
			s.see("a/0", ready).at(time.Hour).want("Succeeded: a/0 Succeeded")
		}},
		"can be set and taken away at any time": {"it acts at once when changed", ops(server("a", "")), func(s *stage) {
			s.see("a/0", going).at(0).at(time.Hour).want("Running: a/0 Running").wakes(-1)
			s.edit(func(spec *v1alpha1.BatchWorkflowSpec) {
				spec.Timeout = &metav1.Duration{Duration: 2 * time.Hour}
			})
			s.at(time.Hour).wakes(2*time.Hour + time.Second)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			c.play(newStage(t, c.spec))
		})
	}
}
