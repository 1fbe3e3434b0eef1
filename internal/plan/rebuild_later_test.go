package plan

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// lose loses the ledger, and makes it anew from what the children and the last summary tell.
func (y *yard) lose() *yard {
	y.Helper()
	w, err := Compile(y.flow, nil)
	if err != nil {
		y.Fatal(err)
	}
	under, err := w.Under(y.l)
	if err != nil {
		y.Fatal(err)
	}
	told, found := Summarise(under, y.l, y.sights(under)), map[int]Found{}
	told.ObservedGeneration = y.l.Generation
	for name, kid := range y.kids {
		if i, _ := w.Instance(name); i >= 0 {
			found[i] = Find(kid)
		}
	}
	if y.l, err = Rebuild(w, told, found, y.asked, y.now); err != nil {
		y.Fatal(err)
	}
	return y
}

// free lets a child answer at last.
func (y *yard) free(name string) *yard {
	delete(y.holds, name)
	y.answer(y.kid(name))
	return y
}

const laterRun = `onFailure: Rollback
operations:
- {name: base, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}
- {name: etcd, type: TaskServiceBatch, dependsOn: [{operation: base}], taskServiceBatch: {recipes: [{name: etcd, version: "3"}], targets: {operation: base, key: "0"}}}
- {name: last, type: ServerBatch, dependsOn: [{operation: etcd}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`

// TestRebuildLaterRun: in a later run the children tell which run made or changed them, and in which form they stand. What this run had not
// come to is done in its turn, what an earlier run made is not undone with it.
func TestRebuildLaterRun(t *testing.T) {
	edited := strings.NewReplacer("count: 2", "count: 3", `version: "3"`, `version: "4"`).Replace(laterRun)
	midway := func(t *testing.T) *yard {
		y := newYard(t, laterRun).run()
		y.holds["base/2"] = true
		return y.apply(edited).run().lose().want("run 2 Running: base/0 Succeeded, base/1 Succeeded, base/2 Running, etcd/etcd Pending, last/0 Succeeded")
	}
	t.Run("it goes on", func(t *testing.T) {
		y := midway(t).free("base/2").run().doing("Update etcd/etcd")
		y.want("run 2 Succeeded: base/0 Succeeded, base/1 Succeeded, base/2 Succeeded, etcd/etcd Succeeded, last/0 Succeeded")
	})
	t.Run("it fails", func(t *testing.T) {
		y := midway(t).free("base/2")
		for y.fails["etcd/etcd"] = true; y.l.Phase == saga.RunRunning; {
			y.look()
		}
		delete(y.fails, "etcd/etcd")
		y.answer(y.kid("etcd/etcd"))
		if y.run(); y.l.Phase != saga.RunRolledBack || len(y.kids) != 4 {
			t.Errorf("%d children: %s", len(y.kids), y.phases())
		}
		y.want("run 2 RolledBack: base/0 Succeeded, base/1 Succeeded, base/2 Undone, etcd/etcd Undone, last/0 Succeeded")
	})
	t.Run("it is lost between an edit and the run of it", func(t *testing.T) {
		y := newYard(t, laterRun).run().apply(edited).lose()
		y.run().doing("Ensure base/2", "Update etcd/etcd").want("run 2 Succeeded: base/0 Succeeded, base/1 Succeeded, base/2 Succeeded, etcd/etcd Succeeded, last/0 Succeeded")
	})
}

// TestRebuildRepeatsNoCommand: a command that has succeeded, and whose Run is gone, is not done again because another operation is edited after
// the ledger was lost.
func TestRebuildRepeatsNoCommand(t *testing.T) {
	spec := `operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: seed, type: Command, dependsOn: [{operation: base}], command: {script: "true", target: {operation: base}}}
`
	y := newYard(t, spec).run()
	for name, kid := range y.kids {
		if nameOf(kid) == "seed/0" {
			delete(y.kids, name)
		}
	}
	y.lose().apply(spec + "- {name: more, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}\n").run()
	y.doing("Ensure more/0").want("run 2 Succeeded: base/0 Succeeded, seed/0 Succeeded, more/0 Succeeded")
}

// TestRebuildDoubtsAnEditedCommand: where a command was edited and its Run is gone, nobody knows after a loss in which form it ran: it is
// Unknown, or, where its onUnknown says so, done again. It is never held to have succeeded as it is written now.
func TestRebuildDoubtsAnEditedCommand(t *testing.T) {
	const spec = `operations:
- {name: seed, type: Command, command: {script: "true", target: {server: s}}}
- {name: base, type: ServerBatch, dependsOn: [{operation: seed}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`
	edited := replace(spec, `"true"`, `"false"`)
	gone := func(y *yard) *yard {
		delete(y.kids, y.kid("seed/0").GetName())
		return y
	}
	t.Run("edited, then lost", func(t *testing.T) {
		y := gone(newYard(t, spec).run()).apply(edited).lose().run().doing()
		y.want("run 2 Failed: seed/0 Unknown, base/0 Succeeded")
		if err := Verdict(y.compiled(), y.l, 0); !Lost(y.l) || !strings.Contains(err.Error(), "look, then annotate keelway.dev/retry") {
			t.Error(err)
		}
		y.asked = Requests{v1alpha1.VerbRetry: "all@1"}
		y.run().doing("Ensure seed/0").want("run 2 Succeeded: seed/0 Succeeded, base/0 Succeeded")
	})
	t.Run("lost, then edited", func(t *testing.T) {
		gone(newYard(t, spec).run()).lose().apply(edited).run().doing("Ensure seed/0").want("run 2 Succeeded: seed/0 Succeeded, base/0 Succeeded")
	})
	t.Run("edited, then lost, and its Run tells", func(t *testing.T) {
		newYard(t, spec).run().apply(edited).lose().run().doing("Delete seed/0", "Ensure seed/0").want("run 2 Succeeded: seed/0 Succeeded, base/0 Succeeded")
	})
	t.Run("it may be done again", func(t *testing.T) {
		y := gone(newYard(t, spec).run()).apply(replace(edited, `script: "false"`, `script: "false", onUnknown: Retry`)).lose()
		y.run().doing("Ensure seed/0").want("run 2 Succeeded: seed/0 Succeeded, base/0 Succeeded")
	})
	t.Run("in mid-run", func(t *testing.T) {
		y := newYard(t, spec)
		y.holds["base/0"] = true
		gone(y.run()).apply(edited)
		told := Summarise(y.compiled(), y.l, nil) // as an operator has seen the edit, and waits for what is in flight
		told.ObservedGeneration = y.flow.Generation
		var err error
		if y.l, err = Rebuild(y.compiled(), told, map[int]Found{1: Find(y.kid("base/0"))}, nil, y.now); err != nil {
			t.Fatal(err)
		}
		y.want("run 1 Running: seed/0 Unknown, base/0 Running")
	})
}

// TestRebuildOfARunThatIsOver: that a run is over is known, also where the workflow speaks of the plan of its next one. Nothing of what it made
// is the present run's to undo.
func TestRebuildOfARunThatIsOver(t *testing.T) {
	y := newYard(t, laterRun).run()
	y.apply("mode: ApplyAfterApproval\n" + strings.Replace(laterRun, "count: 2", "count: 3", 1))
	compiled := y.compiled()
	under, err := compiled.Under(y.l)
	if err != nil {
		t.Fatal(err)
	}
	told := Summarise(under.Behind(Gate{Phase: v1alpha1.WorkflowAwaitingApproval}), y.l, nil)
	told.ObservedGeneration = y.flow.Generation
	found := map[int]Found{}
	for name, kid := range y.kids {
		i, _ := compiled.Instance(name)
		found[i] = Find(kid)
	}
	l, err := Rebuild(compiled, told, found, nil, y.now)
	if err != nil || l.Phase != saga.RunSucceeded || compiled.Fits(l) {
		t.Errorf("the run is %s, and the edit counts as begun: %t (%v)", l.Phase, compiled.Fits(l), err)
	}
}

// TestRebuildAfterAnEditInMidRun: what was done before an edit of the run, and is kept, proves nothing of what it needs since: neither an
// approval that nobody gave, nor a pause that nobody made, nor a server that nobody ordered.
func TestRebuildAfterAnEditInMidRun(t *testing.T) {
	const spec = `operations:
- {name: use, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: slow, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: last, type: ServerBatch, dependsOn: [{operation: slow}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`
	first := func(op string) string {
		return replace(spec, "{name: use,", "{name: use, dependsOn: [{operation: first}],") + "- {name: first, dependsOn: [{operation: slow}], " + op + "}\n"
	}
	for name, c := range map[string]struct{ op, is, lost string }{
		"an approval": {"type: Approval, approval: {}", "Pending", "Cancelled"},
		"a pause":     {"type: Wait, wait: {duration: 1h}", "Running", "Unknown"},
		"a server":    {"type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}", "Running", "Unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, spec)
			y.holds["slow/0"] = true
			y.holds["first/0"] = true
			y.run().want("run 1 Running: use/0 Succeeded, slow/0 Running, last/0 Pending")
			y.apply(first(c.op)).free("slow/0")
			for n := 0; n < 20 && (y.l.N() < 4 || y.l.Phases[3].String() != c.is || y.l.Phases[2] != saga.Succeeded); n++ {
				y.look()
			}
			y.want("run 1 Running: use/0 Succeeded, slow/0 Succeeded, last/0 Succeeded, first/0 " + c.is)
			for name, kid := range y.kids {
				if nameOf(kid) == "first/0" {
					delete(y.kids, name)
				}
			}
			y.lose().want("run 1 Running: use/0 Succeeded, slow/0 Succeeded, last/0 Succeeded, first/0 " + c.lost)
		})
	}
}

// TestRebuildRepeatsNoUnknownCommand: a command of which nobody knows whether it ran is not run because its operation is edited.
func TestRebuildRepeatsNoUnknownCommand(t *testing.T) {
	const spec = `operations:
- {name: seed, type: Command, command: {script: "true", target: {server: s}}}
- {name: base, type: ServerBatch, onFailure: Continue, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`
	y := newYard(t, spec)
	y.fails["base/0"] = true
	y.run().want("run 1 Failed: seed/0 Succeeded, base/0 Failed")
	delete(y.kids, y.kid("seed/0").GetName())
	delete(y.fails, "base/0")
	y.answer(y.kid("base/0"))
	y.lose().want("run 1 Failed: seed/0 Unknown, base/0 Succeeded")
	y.apply(replace(spec, `"true"`, `"false"`)).run().doing().want("run 2 Failed: seed/0 Unknown, base/0 Succeeded")
	y.asked = Requests{v1alpha1.VerbRetry: "seed@1"}
	y.run().doing("Ensure seed/0").want("run 2 Succeeded: seed/0 Succeeded, base/0 Succeeded")
}

// TestRebuildOfWhatARunHadNotComeTo: what stands as it was before is not what a run that is over wanted.
func TestRebuildOfWhatARunHadNotComeTo(t *testing.T) {
	edited := strings.NewReplacer("onFailure: Rollback", "onFailure: Fail", "count: 2", "count: 3", `version: "3"`, `version: "4"`).Replace(laterRun)
	y := newYard(t, laterRun).run()
	y.fails["base/2"] = true
	y.apply(edited).run().want("run 2 Failed: base/0 Succeeded, base/1 Succeeded, base/2 Failed, etcd/etcd Omitted, last/0 Succeeded")
	y.lose().want("run 2 Failed: base/0 Succeeded, base/1 Succeeded, base/2 Failed, etcd/etcd Unknown, last/0 Succeeded")
	delete(y.fails, "base/2")
	y.asked = Requests{v1alpha1.VerbRetry: "all@1"}
	y.run().want("run 2 Succeeded: base/0 Succeeded, base/1 Succeeded, base/2 Succeeded, etcd/etcd Succeeded, last/0 Succeeded")
}

// TestRecoverOfAListOfAList: what an output lists that itself consists of what another one lists is read from the children one after the
// other: the name of what stands for servers that nobody knows yet lists nothing.
func TestRecoverOfAListOfAList(t *testing.T) {
	y := newYard(t, `operations:
- {name: third, type: ServerBatch, dependsOn: [{operation: second}], serverBatch: {forEachFrom: "${operations.second.outputs.names}", template: {spec: {providerRef: {name: p}}}}}
- {name: second, type: ServerBatch, dependsOn: [{operation: first}], serverBatch: {forEachFrom: "${operations.first.outputs.names}", template: {spec: {providerRef: {name: p}}}}}
- {name: first, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}
`).run()
	want := map[string]bool{}
	for name := range y.kids {
		want[name] = true
	}
	var kids []Child
	for _, kid := range y.kids {
		kids = append(kids, kid)
	}
	w := y.compiled().Recover(kids)
	if len(w.names) != len(want) || len(want) != 6 {
		t.Fatalf("%d instances of %d children", len(w.names), len(want))
	}
	for _, name := range w.names {
		if !want[name] {
			t.Errorf("%s is no child", name)
		}
	}
}

// TestRebuildOfWhatMayHaveBeenSkipped: what needs an operation with a condition runs after its success, and after it was skipped as well.
func TestRebuildOfWhatMayHaveBeenSkipped(t *testing.T) {
	y := newYard(t, `operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: maybe, type: Command, dependsOn: [{operation: base}], when: "operations.base.failed > 0", command: {script: "true", target: {server: s}}}
- {name: last, type: ServerBatch, dependsOn: [{operation: maybe}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`)
	y.holds["last/0"] = true
	y.run().want("run 1 Running: base/0 Succeeded, maybe/0 Skipped, last/0 Running")
	y.lose().want("run 1 Running: base/0 Succeeded, maybe/0 Unknown, last/0 Running")
}
