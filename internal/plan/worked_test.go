package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
)

// TestWorkedExamples: what docs/workflows.md says that will happen to its example does. A row's first cell is a name here, its last one the end.
func TestWorkedExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "workflows.md"))
	if err != nil {
		t.Fatal(err)
	}
	const first = "servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded, init/a Succeeded, "
	all := ops(machines, etcdOp, initOp, gate)
	undoable := "onFailure: Rollback\n" + ops(machines, etcdOp, replace(initOp, `script: "true"`, `script: "true", undo: "false"`), gate)
	newer := replace(all, `"3"`, `"4"`)
	fails := func(spec, name string) *yard {
		y := newYard(t, spec)
		y.fails[name] = true
		return y
	}
	well := func(spec string) *yard { return newYard(t, spec).run() }
	edited := func(spec string) *yard { return well(all).apply(spec) }
	withC := func(spec string) string { return replace(spec, "[{key: a}", "[{key: c}, {key: a}") }
	onlyB := func(spec string) string { return replace(spec, "{key: a}, ", "") }
	rows := map[string]struct {
		y     func() *yard
		did   []string
		phase string
		want  string
	}{
		"`init` fails on b": {func() *yard { return fails(all, "init/b") }, []string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b"},
			"Failed", first + "init/b Failed, gate/0 Omitted"},
		"the same, `retry.limit: 1` of `init`": {func() *yard {
			return fails(ops(machines, etcdOp, replace(initOp, "type: Command", "type: Command, retry: {limit: 1, backoff: {duration: 0s}}"), gate), "init/b")
		}, []string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b", "Raise init/b"}, "Failed", first + "init/b Failed, gate/0 Omitted"},
		"the same, `onFailure: Ignore`": {func() *yard { return fails("onFailure: Ignore\n"+all, "init/b") }, []string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b"},
			"Succeeded", first + "init/b Failed, gate/0 Omitted"},
		"after that, b is mended and `keelway.dev/retry: init@1` set": {func() *yard {
			y := fails(all, "init/b").run()
			y.fails["init/b"], y.asked = false, Requests{v1alpha1.VerbRetry: "init@1"}
			return y
		}, []string{"Raise init/b", "Ensure gate/0"}, "Succeeded", first + "init/b Succeeded, gate/0 Succeeded"},
		"`gate` fails, `onFailure: Rollback`": {func() *yard { return fails("onFailure: Rollback\n"+all, "gate/0") },
			[]string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b", "Ensure gate/0", "Delete gate/0", "Delete etcd/etcd", "Delete servers/a", "Delete servers/b"},
			"RolledBack", "servers/a Undone, servers/b Undone, etcd/etcd Undone, init/a Irreversible, init/b Irreversible, gate/0 Undone"},
		"the same, and `init` has an `undo` script": {func() *yard { return fails(undoable, "gate/0") },
			[]string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b", "Ensure gate/0", "Delete gate/0", "Ensure init/a!", "Ensure init/b!", "Delete etcd/etcd", "Stray init/a", "Stray init/b", "Delete servers/a", "Delete servers/b"},
			"RolledBack", "servers/a Undone, servers/b Undone, etcd/etcd Undone, init/a Undone, init/b Undone, gate/0 Undone"},
		"the same, `keepOnUndo` of `etcd`": {func() *yard {
			return fails(replace(undoable, "type: TaskServiceBatch", "type: TaskServiceBatch, keepOnUndo: true"), "gate/0")
		}, []string{"Ensure servers/a", "Ensure servers/b", "Ensure etcd/etcd", "Ensure init/a", "Ensure init/b", "Ensure gate/0", "Delete gate/0", "Ensure init/a!", "Ensure init/b!", "Stray init/a", "Stray init/b"},
			"RolledBack", "servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded, init/a Undone, init/b Undone, gate/0 Undone"},
		"etcd's version is edited": {func() *yard { return edited(newer) }, []string{"Update etcd/etcd", "Delete gate/0", "Ensure gate/0"}, "Succeeded", first + "init/b Succeeded, gate/0 Succeeded"},
		"a server c is added at the head": {func() *yard { return edited(withC(all)) }, []string{"Ensure servers/c", "Update etcd/etcd", "Ensure init/c", "Delete gate/0", "Ensure gate/0"},
			"Succeeded", "servers/c Succeeded, servers/a Succeeded, servers/b Succeeded, etcd/etcd Succeeded, init/c Succeeded, init/a Succeeded, init/b Succeeded, gate/0 Succeeded"},
		"server a is taken out": {func() *yard { return edited(onlyB(all)) }, []string{"Update etcd/etcd", "Delete gate/0", "Ensure gate/0"},
			"Succeeded", "servers/b Succeeded, etcd/etcd Succeeded, init/b Succeeded, gate/0 Succeeded"},
		"then `prune: true` is set": {func() *yard { return edited(onlyB(all)).run().apply("prune: true\n" + onlyB(all)) }, nil,
			"Succeeded", "servers/b Succeeded, etcd/etcd Succeeded, init/b Succeeded, gate/0 Succeeded"},
		"then another `runID`": {func() *yard { return edited(onlyB(all)).run().apply("prune: true\nrunID: again\n" + onlyB(all)) }, []string{"Delete init/a", "Delete servers/a"},
			"Succeeded", "servers/b Succeeded, etcd/etcd Succeeded, init/b Succeeded, gate/0 Succeeded"},
		"another `runID`, nothing edited": {func() *yard { return edited("runID: again\n" + all) }, nil, "Succeeded", first + "init/b Succeeded, gate/0 Succeeded"},
		"c and a new version, `Rollback`, and `gate` fails": {func() *yard {
			y := well("onFailure: Rollback\n" + all)
			y.fails["gate/0"] = true
			return y.apply("onFailure: Rollback\n" + withC(newer))
		}, []string{"Ensure servers/c", "Update etcd/etcd", "Ensure init/c", "Delete gate/0", "Ensure gate/0", "Delete gate/0", "Revert etcd/etcd", "Delete servers/c"},
			"RolledBack", "servers/c Undone, servers/a Succeeded, servers/b Succeeded, etcd/etcd Undone, init/c Irreversible, init/a Succeeded, init/b Succeeded, gate/0 Undone"},
	}
	page := string(text)
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			y := row.y()
			y.TB = t
			y.run().doing(row.did...)
			if got := y.phases(); !strings.HasSuffix(got, " "+row.phase+": "+row.want) {
				t.Errorf("it ends %s", got)
			}
			if _, line, ok := strings.Cut(page, "\n| "+name+" | "); !ok || !strings.Contains(strings.SplitN(line, "\n", 2)[0], "| `"+row.phase+"` |") {
				t.Errorf("docs/workflows.md has no row of it that ends with %s", row.phase)
			}
		})
	}
}
