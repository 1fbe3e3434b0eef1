package plan

import (
	"maps"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

const (
	machines = `{name: servers, type: ServerBatch, serverBatch: {forEach: [{key: a}, {key: b, size: s}], template: {spec: {providerRef: {name: p}}}}}`
	etcdOp   = `{name: etcd, type: TaskServiceBatch, dependsOn: [{operation: servers}], taskServiceBatch: {recipes: [{name: etcd, version: "3"}], targets: {operation: servers}}}`
	initOp   = `{name: init, type: Command, dependsOn: [{operation: etcd}], command: {script: "true", target: {operation: servers}}}`
	gate     = `{name: gate, type: Check, dependsOn: [{operation: init}], check: {tcp: {address: "127.0.0.1:1"}}}`
)

func replace(s, from, to string) string { return strings.Replace(s, from, to, 1) }

// TestHeadOfForEach: a value inserted at the head of a forEach makes exactly one child and touches no other of its operation.
func TestHeadOfForEach(t *testing.T) {
	y := newYard(t, ops(machines)).run().doing("Ensure servers/a", "Ensure servers/b")
	before := y.kid("servers/a").GetResourceVersion()
	y.apply(ops(replace(machines, "[{key: a}", "[{key: new}, {key: a}"))).run()
	y.doing("Ensure servers/new").want("run 2 Succeeded: servers/new Succeeded, servers/a Succeeded, servers/b Succeeded")
	if y.kid("servers/a").GetResourceVersion() != before || y.kid("servers/new").GetAnnotations()[v1alpha1.AnnotationRun] != "2" {
		t.Error("another child was touched, or the new one is not of run 2")
	}
}

// TestRunAgain: a finished workflow that is edited, or given a new runID, runs the difference as its next run.
func TestRunAgain(t *testing.T) {
	all := ops(machines, etcdOp, initOp, gate)
	replaceable := replace(all, "providerRef: {name: p}", "providerRef: {name: p}, updatePolicy: ReplaceAllowed")
	cases := map[string]struct {
		why  string
		spec string
		did  []string
	}{
		"nothing":             {"the same", all, nil},
		"limits":              {"they touch no hash", "parallelLimit: 3\nonFailure: Rollback\n" + all, nil},
		"a new runID":         {"nothing is missing and all succeeded", "runID: again\n" + all, nil},
		"a version":           {"the service is changed in place; what it does is checked again", replace(all, `"3"`, `"4"`), []string{"Update etcd/etcd", "Delete gate/0", "Ensure gate/0"}},
		"a server's size":     {"the same Server is told", replace(all, "size: s", "size: m"), []string{"Update servers/b", "Delete gate/0", "Ensure gate/0"}},
		"a server's zone":     {"it cannot be changed: another one is made, and what is done on it is done again", replace(replaceable, "size: s", "zone: z"), []string{"Delete servers/b", "Retreat etcd/etcd", "Ensure servers/b", "Update etcd/etcd", "Delete init/b", "Ensure init/b", "Delete gate/0", "Ensure gate/0"}},
		"a script":            {"a command that changed is another command", replace(all, `script: "true"`, `script: "false"`), []string{"Delete init/a", "Delete init/b", "Ensure init/a", "Ensure init/b", "Delete gate/0", "Ensure gate/0"}},
		"an edge":             {"edges are no part of an outcome", replace(all, "dependsOn: [{operation: etcd}]", "dependsOn: [{operation: etcd}, {operation: servers}]"), nil},
		"one more server":     {"the service is told of it", replace(all, "[{key: a}", "[{key: a}, {key: c}"), []string{"Ensure servers/c", "Update etcd/etcd", "Ensure init/c", "Delete gate/0", "Ensure gate/0"}},
		"an order of entries": {"keys name instances, not places", replace(all, "{key: a}, {key: b, size: s}", "{key: b, size: s}, {key: a}"), []string{"Update etcd/etcd", "Delete gate/0", "Ensure gate/0"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			first := all
			if strings.Contains(c.spec, "ReplaceAllowed") {
				first = replaceable
			}
			y := newYard(t, first).run()
			if y.l.Phase != saga.RunSucceeded {
				t.Fatal(y.phases())
			}
			run := int32(2) // what is the same, or touches no operation, is no reason for another run
			if name == "nothing" || name == "limits" {
				run = 1
			}
			y.apply(c.spec).run()
			if y.l.Run != run || y.l.Phase != saga.RunSucceeded || strings.Join(y.did, ", ") != strings.Join(c.did, ", ") {
				t.Fatalf("%s: done: %s\nwant: %s\n%s", c.why, strings.Join(y.did, ", "), strings.Join(c.did, ", "), y.phases())
			}
		})
	}
}

// TestFailedRunsAgain: what did not succeed is tried again by the next run; what succeeded stays as it is.
func TestFailedRunsAgain(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp))
	y.fails["etcd/etcd"] = true
	y.run().want("run 1 Failed: servers/a Succeeded, servers/b Succeeded, etcd/etcd Failed")
	y.fails["etcd/etcd"] = false
	y.apply("runID: second\n" + ops(machines, etcdOp)).run()
	y.doing("Update etcd/etcd").want("run 2 Succeeded: servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded")
}

// TestOutputsDecideLate: what refers to an output that is not known yet waits for it, and has nothing to do when it is the same again.
func TestOutputsDecideLate(t *testing.T) {
	probe := `{name: probe, type: Command, dependsOn: [{operation: etcd}], command: {script: "true", env: [{name: T, value: "${operations.etcd.outputs.token}"}], target: {operation: servers, key: a}}}`
	late := replace(probe, "[{operation: etcd}]", "[{operation: etcd}, {operation: servers}]")
	all := ops(machines, etcdOp, late)
	y := newYard(t, all).run()
	y.apply(replace(all, "taskServiceBatch: {recipes: [{name: etcd", "taskServiceBatch: {recipes: [{name: etcd, parameters: {x: 1}")).run()
	y.doing("Update etcd/etcd").want("run 2 Succeeded: servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded, probe/0 Succeeded")
	y.apply(replace(all, `"3"`, `"4"`)).run() // the token is another one
	y.doing("Update etcd/etcd", "Delete probe/0", "Ensure probe/0")
}

// TestEditUnderRun: what is in flight ends first, then the plan is made anew, in the same run.
func TestEditUnderRun(t *testing.T) {
	all := ops(machines, etcdOp)
	y := newYard(t, all)
	y.holds["servers/a"] = true
	y.run().want("run 1 Running: servers/a Running, servers/b Succeeded, etcd/etcd Pending")
	y.apply(ops(replace(machines, "{key: b, size: s}", "{key: c}"), etcdOp)).run().doing().want("run 1 Running: servers/a Running, servers/b Succeeded, etcd/etcd Pending")
	y.holds["servers/a"] = false
	y.answer(y.kid("servers/a"))
	y.run().doing("Ensure servers/c", "Ensure etcd/etcd").want("run 1 Succeeded: servers/a Succeeded, servers/c Succeeded, etcd/etcd Succeeded")
	if len(y.l.Left) != 1 || y.l.Left[0].Keys[0] != "b" {
		t.Errorf("left: %+v", y.l.Left)
	}
	y.kid("servers/b")
}

// TestPrune: what is no longer in the workflow stays and is listed, or goes at the end of a run that succeeded.
func TestPrune(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp)).run()
	y.apply(ops(replace(machines, ", {key: b, size: s}", ""))).run().doing().want("run 2 Succeeded: servers/a Succeeded")
	w, _ := Compile(y.flow, nil)
	if removed := Summarise(w, y.l, y.sights(w)).Removed; len(removed) != 2 || removed[0].Operation != "etcd" || removed[1].ChildRef.Kind != KindServer {
		t.Errorf("listed: %+v", removed)
	}
	y.apply("prune: true\nrunID: x\n" + ops(replace(machines, ", {key: b, size: s}", ""))).run()
	y.doing("Delete etcd/etcd", "Delete servers/b").want("run 3 Succeeded: servers/a Succeeded")
	if y.l.Left != nil {
		t.Errorf("left: %+v", y.l.Left)
	}
}

// TestPruneOfWhatIsGone: what is left and went by another hand before its turn came is looked for at once: nobody would tell of it any more.
func TestPruneOfWhatIsGone(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp)).run()
	y.apply("prune: true\n" + ops(machines, approval("gate", ""))).run()
	maps.DeleteFunc(y.kids, func(_ string, kid Child) bool { return nameOf(kid) == "etcd/etcd" })
	compiled, err := Compile(y.flow, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := compiled.Under(y.l)
	if err != nil {
		t.Fatal(err)
	}
	y.asked = Requests{v1alpha1.VerbApprove: "gate@2", ApprovedBy: "jane"}
	if _, wake, err := Advance(w, y.l, y.sights(w), y.asked, y.now); err != nil || wake.IsZero() || wake.After(y.now) {
		t.Errorf("it looks again at %v: %v", wake, err)
	}
	y.run().doing().want("run 2 Succeeded: servers/a Succeeded, servers/b Succeeded, gate/0 Succeeded")
}

// TestComesBack: what was removed and left is taken up again, and not made twice.
func TestComesBack(t *testing.T) {
	y := newYard(t, ops(machines, etcdOp)).run()
	y.apply(ops(machines)).run().doing()
	y.apply(ops(machines, etcdOp)).run().doing("Update etcd/etcd").want("run 3 Succeeded: servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded")
	if y.l.Left != nil {
		t.Errorf("left: %+v", y.l.Left)
	}
}

// TestTypeStays: an operation of another type under the same name is refused while what it made stands.
func TestTypeStays(t *testing.T) {
	y := newYard(t, ops(machines)).run()
	y.apply(ops(`{name: servers, type: Wait, wait: {duration: 0s}}`)).look()
	if y.err == nil || !strings.Contains(y.err.Error(), `operation "servers" is a Wait, and what it made as a ServerBatch stands`) {
		t.Error(y.err)
	}
}
