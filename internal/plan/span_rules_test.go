package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// TestSpanAndTheOtherRules: what an output lists obeys the rules that instances obey which are written out.
func TestSpanAndTheOtherRules(t *testing.T) {
	ping := func(more string) string { return replace(reached, "type: Check", "type: Check"+more) }
	batch := func(more string) string { return replace(surveyed, "type: ServerBatch", "type: ServerBatch"+more) }
	later := func(more string) string {
		return pauseOp("later", "0s", ", dependsOn: [{operation: servers"+more+"}]")
	}
	cases := map[string]struct {
		why   string
		spec  string
		lists string
		fails []string
		did   []string
		want  string
	}{
		"when, false": {
			"it is decided before anything is read, and what is for its servers has none", ops(survey, batch(`, when: 'operations.survey.phase == "Failed"'`), reached, later("")), "a,b", nil,
			[]string{"Ensure survey/0"}, "run 1 Succeeded: survey/0 Succeeded, servers/? Skipped, ping/? Skipped, later/0 Succeeded"},
		"when, true": {
			"by the very output that lists", ops(survey, batch(`, when: 'operations.survey.outputs.list.contains("a")'`)), "a,b", nil,
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b"}, "run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded"},
		"when, of what follows": {
			"how many there were is known then", ops(survey, surveyed, replace(ping(`, when: 'operations.servers.total > 2'`), ", match: SameIndex", "")), "a,b", nil,
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b"}, "run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, ping/a Skipped, ping/b Skipped"},
		"retry": {
			"one of them has its attempts, on the same child", ops(survey, batch(", retry: {limit: 1, backoff: {duration: 0s}}")), "a,b", []string{"servers/b"},
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b", "Raise servers/b"}, "run 1 Failed: survey/0 Succeeded, servers/a Succeeded, servers/b Failed"},
		"Continue": {
			"the others' branches go on", ops(survey, batch(", onFailure: Continue"), reached), "a,b", []string{"servers/b"},
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b", "Ensure ping/a"}, "run 1 Failed: survey/0 Succeeded, servers/a Succeeded, servers/b Failed, ping/a Succeeded, ping/b Omitted"},
		"Rollback": {
			"each is undone when its own check is", ops(survey, surveyed, ping(", onFailure: Rollback")), "a,b", []string{"ping/b"},
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b", "Ensure ping/a", "Ensure ping/b", "Delete ping/a", "Delete ping/b", "Delete servers/a", "Delete servers/b"},
			"run 1 RolledBack: survey/0 Irreversible, servers/a Undone, servers/b Undone, ping/a Undone, ping/b Undone"},
		"keepOnUndo": {
			"they stay, and what listed them", ops(survey, batch(", keepOnUndo: true"), ping(", onFailure: Rollback")), "a", []string{"ping/a"},
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure ping/a", "Delete ping/a"}, "run 1 RolledBack: survey/0 Succeeded, servers/a Succeeded, ping/a Undone"},
		"Optional, and nothing listed": {
			"it is finished", ops(survey, surveyed, later(", type: Optional")), "[]", nil,
			[]string{"Ensure survey/0"}, "run 1 Succeeded: survey/0 Succeeded, servers/? Skipped, later/0 Succeeded"},
		"Optional, and no list": {
			"it is finished, too: it has failed", ops(survey, batch(", onFailure: Continue"), later(", type: Optional")), "a,a", nil,
			[]string{"Ensure survey/0"}, "run 1 Failed: survey/0 Succeeded, servers/? Failed, later/0 Succeeded"},
		"Optional, and one has failed": {
			"all of them are waited for", ops(survey, batch(", onFailure: Ignore"), later(", type: Optional")), "a,b", []string{"servers/a"},
			[]string{"Ensure survey/0", "Ensure servers/a", "Ensure servers/b"}, "run 1 Succeeded: survey/0 Succeeded, servers/a Failed, servers/b Succeeded, later/0 Succeeded"},
		"Optional, and absent": {
			"nobody lists anything", ops(later(", type: Optional")), "", nil, nil, "run 1 Succeeded: later/0 Succeeded"},
		"Hard, and no list": {
			"it is Omitted", ops(survey, batch(", onFailure: Continue"), later("")), "a,a", nil,
			[]string{"Ensure survey/0"}, "run 1 Failed: survey/0 Succeeded, servers/? Failed, later/0 Omitted"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			y := newYard(t, c.spec)
			y.lists = c.lists
			for _, name := range c.fails {
				y.fails[name] = true
			}
			y.run().want(c.want).doing(c.did...)
		})
	}
}

// TestSpanKeepsTheLimit: of what an output lists no more are under way than parallelLimit allows.
func TestSpanKeepsTheLimit(t *testing.T) {
	y := newYard(t, "parallelLimit: 2\n"+ops(survey, surveyed))
	y.lists = "a,b,c,d,e"
	for _, key := range strings.Split(y.lists, ",") {
		y.holds["servers/"+key] = true
	}
	y.run().doing("Ensure survey/0", "Ensure servers/a", "Ensure servers/b")
	y.holds["servers/a"] = false
	y.answer(y.kid("servers/a"))
	y.run().doing("Ensure servers/c").want("run 1 Running: survey/0 Succeeded, servers/a Succeeded, servers/b Running, servers/c Running, servers/d Pending, servers/e Pending")
	y.apply("parallelLimit: 3\n" + ops(survey, surveyed)).run().doing("Ensure servers/d") // at once
}

// TestSpanRetryAsked: what somebody asks for again is done with the list that is on record, and another list needs another run.
func TestSpanRetryAsked(t *testing.T) {
	y := newYard(t, ops(survey, surveyed))
	y.lists, y.fails["servers/b"] = "a,b", true
	y.run().want("run 1 Failed: survey/0 Succeeded, servers/a Succeeded, servers/b Failed")
	y.list("a,b,c")
	y.fails["servers/b"], y.asked = false, Requests{v1alpha1.VerbRetry: "servers@1"}
	y.run().doing("Raise servers/b").want("run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded")
}

// TestSpanOfNoListIsMended: a list that was none fails again when it is only asked for again; the script that makes it is mended, and the next run
// goes on with what that lists.
func TestSpanOfNoListIsMended(t *testing.T) {
	y := newYard(t, ops(survey, surveyed))
	y.lists = "a,a"
	y.run().want("run 1 Failed: survey/0 Succeeded, servers/? Failed")
	y.asked = Requests{v1alpha1.VerbRetry: "all@1"}
	y.run().doing().want("run 1 Failed: survey/0 Succeeded, servers/? Failed")
	y.lists = "a,b"
	y.apply(ops(replace(survey, `"true"`, `"mended"`), surveyed)).run()
	y.doing("Delete survey/0", "Ensure survey/0", "Ensure servers/a", "Ensure servers/b").want("run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded")
}

// TestSpanUndoIsOfItsRun: of what a second run's list added, that alone is undone.
func TestSpanUndoIsOfItsRun(t *testing.T) {
	all := ops(survey, surveyed, replace(reached, "type: Check", "type: Check, onFailure: Rollback"))
	y := newYard(t, all)
	y.lists = "a"
	y.run().want("run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, ping/a Succeeded")
	uid := y.kid("servers/a").GetUID()
	y.lists, y.fails["ping/b"] = "a,b", true
	y.apply(replace(all, `"true"`, `"other"`)).run()
	if y.l.Phase != saga.RunRolledBack || y.kid("servers/a").GetUID() != uid {
		t.Fatal(y.phases())
	}
	if slices.ContainsFunc(y.did, func(did string) bool { return did == "Delete servers/a" }) || !slices.Contains(y.did, "Delete servers/b") {
		t.Errorf("it did %v", y.did)
	}
}

// TestSpanBecomesWritten: entries that an output listed may be written out in the next run, and the other way round. What has the same key and
// the same fields stays untouched either way, and a command on it is not done again.
func TestSpanBecomesWritten(t *testing.T) {
	written := func(keys ...string) string {
		entries := make([]string, len(keys))
		for n, key := range keys {
			entries[n] = "{key: " + key + "}"
		}
		return replace(surveyed, `forEachFrom: "${operations.survey.outputs.list}"`, "forEach: ["+strings.Join(entries, ", ")+"]")
	}
	const command = `{name: init, type: Command, dependsOn: [{operation: servers, match: SameIndex}], command: {script: "true", target: {operation: servers}}}`
	cases := map[string]struct {
		from, to, lists string
		did             []string
		want            string
		removed         []string
	}{
		"written out, the same": {ops(survey, surveyed), ops(survey, written("a", "b")), "a,b", nil,
			"run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded", nil},
		"written out, others": {ops(survey, surveyed), ops(survey, written("b", "c")), "a,b", []string{"Ensure servers/c"},
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/c Succeeded", []string{"servers/a"}},
		"written out, others, prune": {ops(survey, surveyed), "prune: true\n" + ops(survey, written("b", "c")), "a,b", []string{"Ensure servers/c", "Delete servers/a"},
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/c Succeeded", nil},
		"listed, the same": {ops(survey, written("a", "b")), ops(survey, surveyed), "a,b", nil,
			"run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded", nil},
		"listed, others": {ops(survey, written("a", "b")), ops(survey, surveyed), "b,c", []string{"Ensure servers/c"},
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/c Succeeded", []string{"servers/a"}},
		"listed, others, prune": {ops(survey, written("a", "b")), "prune: true\n" + ops(survey, surveyed), "b,c", []string{"Ensure servers/c", "Delete servers/a"},
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/c Succeeded", nil},
		"listed, none": {ops(survey, written("a")), ops(survey, surveyed), "[]", nil,
			"run 2 Succeeded: survey/0 Succeeded, servers/? Skipped", []string{"servers/a"}},
		"listed, with what is on them": {ops(survey, written("a", "b"), command, reached, etcdOp), ops(survey, surveyed, command, reached, etcdOp), "a,b", []string{"Delete ping/a", "Delete ping/b", "Ensure ping/a", "Ensure ping/b"}, // what is before a check is not known at first
			"run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, init/a Succeeded, init/b Succeeded, ping/a Succeeded, ping/b Succeeded, etcd/etcd Succeeded", nil},
		"listed, in another order, with fields": {ops(survey, replace(written("a", "b"), "{key: b}", "{key: b, size: l}"), command), ops(survey, surveyed, command), `[{"key": "b", "size": "l"}, {"key": "a"}]`, nil,
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/a Succeeded, init/b Succeeded, init/a Succeeded", nil},
		"listed, one with another field": {ops(survey, written("a", "b"), command), ops(survey, surveyed, command), `[{"key": "a"}, {"key": "b", "size": "l"}]`, []string{"Update servers/b"},
			"run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, init/a Succeeded, init/b Succeeded", nil},
		"listed by a script that runs again": {ops(survey, written("a", "b"), command), ops(replace(survey, `"true"`, `"other"`), surveyed, command), "b,a", []string{"Delete survey/0", "Ensure survey/0"},
			"run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/a Succeeded, init/b Succeeded, init/a Succeeded", nil},
		"listed, of a count": {ops(survey, replace(written("a"), "forEach: [{key: a}]", "count: 3"), command), ops(survey, surveyed, command), "0,1", nil,
			"run 2 Succeeded: survey/0 Succeeded, servers/0 Succeeded, servers/1 Succeeded, init/0 Succeeded, init/1 Succeeded", []string{"init/2", "servers/2"}},
		"by another output": {ops(survey, surveyed), ops(survey, replace(survey, "name: survey", "name: census"), replace(replace(surveyed, "operation: survey", "operation: census"), "operations.survey", "operations.census")), "a,b",
			[]string{"Ensure census/0"}, "run 2 Succeeded: survey/0 Succeeded, census/0 Succeeded, servers/a Succeeded, servers/b Succeeded", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, c.from)
			y.lists = c.lists
			if y.run(); y.l.Phase != saga.RunSucceeded {
				t.Fatal(y.phases())
			}
			specs := map[string]any{}
			for _, kid := range y.kids {
				specs[nameOf(kid)] = specOf(kid.DeepCopyObject().(Child))
			}
			y.apply(c.to).run().want(c.want).doing(c.did...)
			for _, kid := range y.kids {
				name := nameOf(kid)
				if before, stood := specs[name]; stood && !slices.Contains(c.did, "Update "+name) && !slices.Contains(c.did, "Ensure "+name) && !reflect.DeepEqual(before, specOf(kid)) {
					t.Errorf("%s was changed from %+v to %+v", name, before, specOf(kid))
				}
			}
			var removed []string
			for _, left := range y.l.Left {
				for _, key := range left.Keys {
					removed = append(removed, left.Operation+"/"+key)
				}
			}
			if fmt.Sprint(removed) != fmt.Sprint(c.removed) {
				t.Errorf("what is removed and stands: %v, want %v", removed, c.removed)
			}
			y.now = y.now.Add(time.Hour)
			y.run().doing() // and that is all
		})
	}
}
