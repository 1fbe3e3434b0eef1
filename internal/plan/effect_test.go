package plan

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// failing is an operation that fails at the end, so that what came before is undone.
const failing = `{name: last, type: Check, dependsOn: [{operation: etcd}], onFailure: Rollback, check: {tcp: {address: "127.0.0.1:1"}}}`

// TestTwoRuns: a second run that fails undoes what it did itself; what the first one made lives, and is as it was.
func TestTwoRuns(t *testing.T) {
	first := ops(machines, etcdOp)
	y := newYard(t, first).run().want("run 1 Succeeded: servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded")
	service := y.kid("etcd/etcd").(*v1alpha1.TaskService)
	servers, version := len(service.Spec.Servers.Names), service.Spec.Version
	y.fails["last/0"] = true
	y.apply(ops(replace(machines, "[{key: a}", "[{key: new}, {key: a}"), replace(etcdOp, `"3"`, `"4"`), failing)).run()
	y.doing("Ensure servers/new", "Update etcd/etcd", "Ensure last/0", "Delete last/0", "Revert etcd/etcd", "Delete servers/new")
	y.want("run 2 RolledBack: servers/new Undone, servers/a Succeeded, servers/b Succeeded, etcd/etcd Undone, last/0 Undone")
	service = y.kid("etcd/etcd").(*v1alpha1.TaskService)
	if len(service.Spec.Servers.Names) != servers || service.Spec.Version != version || service.Annotations[v1alpha1.AnnotationPrevious] != "" {
		t.Errorf("put back: %+v", service.Spec)
	}
	y.apply("runID: x\n" + first).run().want("run 3 Succeeded: servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded")
	if len(y.did) > 1 || len(y.did) == 1 && y.did[0] != "Update etcd/etcd" {
		t.Errorf("what was put back is not what was: %v", y.did)
	}
}

// TestEffects: what a run does to a child is written with the deed, and only the first thing that it replaced is kept.
func TestEffects(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp)).run()
	notes := func() map[string]string { return y.kid("etcd/etcd").GetAnnotations() }
	if notes()[v1alpha1.AnnotationEffect] != EffectCreated || notes()[v1alpha1.AnnotationRun] != "1" {
		t.Errorf("made: %v", notes())
	}
	y.apply(ops(machines, replace(etcdOp, `"3"`, `"4"`))).run()
	if notes()[v1alpha1.AnnotationEffect] != EffectUpdated || notes()[v1alpha1.AnnotationRun] != "2" || !strings.Contains(notes()[v1alpha1.AnnotationPrevious], `"version":"3"`) {
		t.Errorf("changed: %v", notes())
	}
	y.apply(ops(replace(machines, "providerRef: {name: p}", "providerRef: {name: p}, updatePolicy: ReplaceAllowed"), etcdOp)).run()
	y.apply(ops(replace(replace(machines, "size: s", "zone: z"), "providerRef: {name: p}", "providerRef: {name: p}, updatePolicy: ReplaceAllowed"), etcdOp)).run()
	if got := y.kid("servers/b").GetAnnotations()[v1alpha1.AnnotationEffect]; got != EffectReplaced {
		t.Errorf("replaced: %s", got)
	}
}

// TestReplacedIsIrreversible: what stood is gone, and what stands in its place is better than nothing.
func TestReplacedIsIrreversible(t *testing.T) {
	replaceable := replace(machines, "providerRef: {name: p}", "providerRef: {name: p}, updatePolicy: ReplaceAllowed")
	y := newYard(t, ops(replaceable, etcdOp)).run()
	y.fails["last/0"] = true
	y.apply(ops(replace(replaceable, "size: s", "zone: z"), etcdOp, failing)).run()
	y.want("run 2 RolledBack: servers/a Succeeded, servers/b Irreversible, etcd/etcd Undone, last/0 Undone")
	if names := y.kid("etcd/etcd").(*v1alpha1.TaskService).Spec.Servers.Names; len(names) != 2 {
		t.Errorf("the service is on %v", names)
	}
	y.kid("servers/b")
}

// TestReplaceNeedsLeave: without updatePolicy ReplaceAllowed nothing is deleted for a change; the API server refuses it by name.
func TestReplaceNeedsLeave(t *testing.T) {
	w, _ := compile(t, flow(t, ops(machines)))
	there := Look(w.server(&w.ops[0], 0))
	moved := there.Child.DeepCopyObject().(*v1alpha1.Server)
	moved.Spec.Zone = "elsewhere"
	there.Child = moved
	if w.replaces(0, 0, there) {
		t.Error("it is replaced and nobody allowed that")
	}
	w.ops[0].ServerBatch.Template.Spec.UpdatePolicy = v1alpha1.UpdateReplaceAllowed
	if !w.replaces(0, 0, there) {
		t.Error("it is not replaced although that is allowed")
	}
	there.Protected = true
	if w.replaces(0, 0, there) {
		t.Error("it is replaced although it is protected")
	}
}

// TestUndoScript: a command is undone by its script, also when it failed; without one it is irreversible.
func TestUndoScript(t *testing.T) {
	scripted := `{name: init, type: Command, dependsOn: [{operation: servers}], command: {script: "true", undo: "false", env: [{name: X, value: why}], target: {operation: servers}}}`
	plain := `{name: mark, type: Command, dependsOn: [{operation: servers}], command: {script: "true", target: {operation: servers, key: a}}}`
	y := newYard(t, "onFailure: Rollback\n"+ops(machines, scripted, plain))
	y.fails["init/b"] = true
	y.run().want("run 1 RolledBack: servers/a Undone, servers/b Undone, init/a Undone, init/b Undone, mark/0 Irreversible")
	run := y.kid("init/a!").(*v1alpha1.Run)
	if run.Spec.Command.Script != "false" || run.Spec.Command.Env[0].Value != "why" || run.Spec.Target.ServerRef.Name != v1alpha1.ChildName(y.flow.Name, "servers", "a") {
		t.Errorf("the script runs as %+v", run.Spec)
	}
}

// TestUndoScriptFails: a script that fails leaves its command, and the server under it, as they are; it can be tried again.
func TestUndoScriptFails(t *testing.T) {
	scripted := `{name: init, type: Command, dependsOn: [{operation: servers}], command: {script: "true", undo: "false", target: {operation: servers, key: a}}}`
	bad := `{name: bad, type: Check, dependsOn: [{operation: init}], check: {tcp: {address: "127.0.0.1:1"}}}`
	y := newYard(t, "onFailure: Rollback\n"+ops(machines, scripted, bad))
	y.fails["bad/0"], y.fails["init/0!"] = true, true
	y.run().want("run 1 RollbackFailed: servers/a UndoFailed, servers/b UndoFailed, init/0 UndoFailed, bad/0 Undone")
	y.fails["init/0!"] = false
	y.asked = Requests{v1alpha1.VerbRetry: "all@1"}
	y.run().doing("Raise init/0!", "Delete servers/a", "Delete servers/b", "Stray init/0").want("run 1 RolledBack: servers/a Undone, servers/b Undone, init/0 Undone, bad/0 Undone")
}

// TestUndoScriptOutlivesItsOperation: the script is kept on the Run, so that an edit during the undo does not lose it.
func TestUndoScriptOutlivesItsOperation(t *testing.T) {
	scripted := `{name: init, type: Command, dependsOn: [{operation: servers}], command: {script: "true", undo: "false", target: {operation: servers, key: a}}}`
	bad := `{name: bad, type: Check, dependsOn: [{operation: init}], check: {tcp: {address: "127.0.0.1:1"}}}`
	y := newYard(t, "onFailure: Rollback\n"+ops(machines, scripted, bad))
	y.fails["bad/0"], y.holds["bad/0"] = true, true
	y.run()
	y.holds["bad/0"] = false
	y.answer(y.kid("bad/0"))
	y.look() // it has failed: the undo has begun
	if y.l.Phase != saga.RunUndoing {
		t.Fatal(y.phases())
	}
	y.apply(ops(machines)).run()
	y.want("run 2 Succeeded: servers/a Succeeded, servers/b Succeeded")
	if !strings.Contains(strings.Join(y.did, ", "), "Ensure init/0!") {
		t.Errorf("done: %v", y.did)
	}
}

// TestRollbackBlocked: what is protected from deletion stays, and the run says that a person has to decide.
func TestRollbackBlocked(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp, failing))
	y.fails["last/0"], y.holds["last/0"] = true, true
	y.run()
	y.kid("servers/a").(*v1alpha1.Server).Spec.DeletionProtection = v1alpha1.SwitchEnabled
	y.kid("servers/a").(*v1alpha1.Server).Status.ID = "i-1"
	y.holds["last/0"] = false
	y.answer(y.kid("last/0"))
	y.run().want("run 1 RollbackBlocked: servers/a UndoFailed, servers/b Undone, etcd/etcd Undone, last/0 Undone")
	w, _ := Compile(y.flow, nil)
	status := Summarise(w, y.l, y.sights(w))
	if len(status.Leftovers) != 1 || status.Leftovers[0].Provider != "p" || status.Leftovers[0].ID != "i-1" || !strings.Contains(status.Leftovers[0].Message, "protected") {
		t.Errorf("left over: %+v", status.Leftovers)
	}
	if err := Verdict(w, y.l, 0); err == nil || !strings.Contains(err.Error(), "take the protection away") {
		t.Error(err)
	}
	y.kid("servers/a").(*v1alpha1.Server).Spec.DeletionProtection = v1alpha1.SwitchDisabled
	y.asked = Requests{v1alpha1.VerbRetry: "all@1"}
	y.run().want("run 1 RolledBack: servers/a Undone, servers/b Undone, etcd/etcd Undone, last/0 Undone")
}

// TestAdopted: what stands without an owner is taken over as it is wanted, and let go as it was.
func TestAdopted(t *testing.T) {
	w, l := compile(t, flow(t, ops(machines)))
	wanted := w.child(l, 0, 0, 1)
	loose := wanted.DeepCopyObject().(*v1alpha1.Server)
	loose.Annotations, loose.Labels, loose.Spec.Size = nil, map[string]string{"kept": "yes"}, "old"
	yes := true
	action := ChildAction{Do: Ensure, Kind: KindServer, Name: loose.Name, Child: wanted, Attempt: 1}
	if err := action.Rewrite(loose); err != nil {
		t.Fatal(err)
	}
	if loose.Annotations[v1alpha1.AnnotationEffect] != EffectAdopted || loose.Spec.Size == "old" || loose.Labels["kept"] != "yes" {
		t.Errorf("adopted: %+v", loose)
	}
	loose.OwnerReferences = []metav1.OwnerReference{{Kind: "BatchWorkflow", Controller: &yes}}
	if got := w.withdraw(l, 0, Sight{Exists: true, UID: "u", Effect: EffectAdopted}); got != Release {
		t.Errorf("undone by %s", got)
	}
	if err := (ChildAction{Do: Release, Run: 1}).Rewrite(loose); err != nil {
		t.Fatal(err)
	}
	if loose.Spec.Size != "old" || len(loose.OwnerReferences) != 0 {
		t.Errorf("let go: %+v", loose)
	}
	elsewhere := loose.DeepCopy()
	elsewhere.Spec.Zone = "elsewhere"
	if err := action.Rewrite(elsewhere); err == nil || !strings.Contains(err.Error(), "spec.zone") {
		t.Errorf("what cannot be changed: %v", err)
	}
}

// TestPutBack: whatever an update changes, and however often the run changes it, undoing gives back what stood before the run.
func TestPutBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "a", "b", `{"x":1}`})
		draw := func(run string) *v1alpha1.TaskService {
			s := &v1alpha1.TaskService{}
			s.Spec.Version, s.Spec.Servers.Names = word.Draw(t, "version"), rapid.SliceOfN(rapid.StringMatching("[a-z]{1,4}"), 1, 3).Draw(t, "names")
			s.Labels = map[string]string{"l": word.Draw(t, "label")}
			s.Annotations = map[string]string{v1alpha1.AnnotationRun: run, v1alpha1.AnnotationAttempt: "3"}
			return s
		}
		live := draw("1")
		before := live.DeepCopy()
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			if err := (ChildAction{Do: Update, Child: draw("2")}).Rewrite(live); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 2).Draw(t, "times") { // doing it twice changes nothing more
			if err := (ChildAction{Do: Revert, Run: 2, Attempt: 3}).Rewrite(live); err != nil {
				t.Fatal(err)
			}
		}
		if changes := Changes(KindTaskService, live, before); len(changes) > 0 || live.Annotations[v1alpha1.AnnotationEffect] != EffectReverted {
			t.Fatalf("differs from before: %+v, %v", changes, live.Annotations)
		}
	})
}
