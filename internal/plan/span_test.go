package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

const (
	survey   = `{name: survey, type: Command, command: {script: "true", target: {server: s}}}`
	surveyed = `{name: servers, type: ServerBatch, dependsOn: [{operation: survey}], serverBatch: {forEachFrom: "${operations.survey.outputs.list}", template: {spec: {providerRef: {name: p}, size: s}}}}`
	reached  = `{name: ping, type: Check, dependsOn: [{operation: servers, match: SameIndex}], check: {tcp: {address: "h:1"}, target: {operation: servers}}}`
)

// TestForEachFrom: what an output lists is known once the operation that has it has succeeded, and then makes an instance an entry.
func TestForEachFrom(t *testing.T) {
	y := newYard(t, ops(survey, surveyed, each("clock", "{name: chrony}, {name: nginx}", ""), etcdOp, reached))
	y.lists, y.holds["survey/0"] = "b, a", true
	y.run().want("run 1 Running: survey/0 Running, servers/? Pending, clock/chrony-? Pending, clock/nginx-? Pending, etcd/etcd Pending, ping/? Pending").doing("Ensure survey/0")
	w := y.compiled()
	for _, op := range Summarise(w, y.l, nil).Operations[1:] {
		if op.Phase != "Pending" || len(op.WaitingFor) == 0 || op.Name == "servers" && !strings.Contains(op.Message, "${operations.survey.outputs.list}") {
			t.Errorf("status of what is not known yet: %+v", op)
		}
	}
	y.holds["survey/0"] = false
	y.answer(y.kid("survey/0"))
	y.run().want("run 1 Succeeded: survey/0 Succeeded, servers/b Succeeded, servers/a Succeeded, " +
		"clock/chrony-b Succeeded, clock/chrony-a Succeeded, clock/nginx-b Succeeded, clock/nginx-a Succeeded, etcd/etcd Succeeded, ping/b Succeeded, ping/a Succeeded")
	if names := y.kid("etcd/etcd").(*v1alpha1.TaskService).Spec.Servers.Names; len(names) != 2 || names[0] != y.kid("servers/b").GetName() {
		t.Errorf("the service over all servers is on %v", names)
	}
	if on := y.kid("ping/a").(*v1alpha1.Run).Spec.Target.ServerRef.Name; on != y.kid("servers/a").GetName() {
		t.Errorf("ping/a goes out from %s", on)
	}
}

// TestSpanIsRecordedFirst: nothing is made of what an output lists before that is durable, and what is on record is gone by, whatever
// the child says since.
func TestSpanIsRecordedFirst(t *testing.T) {
	y := newYard(t, ops(survey, surveyed))
	y.lists, y.holds["servers/a"] = "a", true
	for y.l == nil || y.l.Find("servers") < 0 || y.l.Ops[1].Span == "" {
		if !y.look() {
			t.Fatal(y.phases())
		}
	}
	if len(y.kids) != 1 || y.l.Phases[1] != saga.Pending {
		t.Fatalf("recorded together with its first order: %s, %d children", y.phases(), len(y.kids))
	}
	y.kid("survey/0").(*v1alpha1.Run).Status.Outputs["list"] = "b,c"
	y.run().want("run 1 Running: survey/0 Succeeded, servers/a Running").doing("Ensure servers/a")
	delete(y.kids, y.kid("survey/0").GetName())
	y.holds["servers/a"] = false
	y.answer(y.kid("servers/a"))
	y.run().want("run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded")
}

// TestSpanInTheNextRun: what is listed again stays, what is new is made, what is no longer listed stays in place or goes with prune. As long as
// the list is not known, nothing is touched.
func TestSpanInTheNextRun(t *testing.T) {
	all := ops(survey, surveyed, reached)
	other := replace(all, `script: "true"`, `script: "other"`)
	cases := map[string]struct {
		lists, edit string
		did         []string
		want        string
	}{
		"nothing edited":   {"a,b", all, nil, "run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, ping/a Succeeded, ping/b Succeeded"},
		"the same list":    {"a,b", other, []string{"Delete survey/0", "Ensure survey/0", "Delete ping/a", "Delete ping/b", "Ensure ping/a", "Ensure ping/b"}, "run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, ping/a Succeeded, ping/b Succeeded"},
		"one at the head":  {"n,a,b", other, []string{"Delete survey/0", "Ensure survey/0", "Ensure servers/n", "Delete ping/a", "Delete ping/b", "Ensure ping/n", "Ensure ping/a", "Ensure ping/b"}, "run 2 Succeeded: survey/0 Succeeded, servers/n Succeeded, servers/a Succeeded, servers/b Succeeded, ping/n Succeeded, ping/a Succeeded, ping/b Succeeded"},
		"one fewer":        {"b", other, []string{"Delete survey/0", "Ensure survey/0", "Delete ping/b", "Ensure ping/b"}, "run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, ping/b Succeeded"},
		"one fewer, prune": {"b", "prune: true\n" + other, []string{"Delete survey/0", "Ensure survey/0", "Delete ping/b", "Ensure ping/b", "Delete ping/a", "Delete servers/a"}, "run 2 Succeeded: survey/0 Succeeded, servers/b Succeeded, ping/b Succeeded"},
		"none":             {" ", other, []string{"Delete survey/0", "Ensure survey/0"}, "run 2 Succeeded: survey/0 Succeeded, servers/? Skipped, ping/? Skipped"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, all)
			y.lists = "a,b"
			y.run().want("run 1 Succeeded: survey/0 Succeeded, servers/a Succeeded, servers/b Succeeded, ping/a Succeeded, ping/b Succeeded")
			y.lists = c.lists
			y.apply(c.edit).run().want(c.want).doing(c.did...)
		})
	}
}

// TestBadLists: what cannot be expanded fails the operation with words that name the place, and makes nothing.
func TestBadLists(t *testing.T) {
	long := strings.Repeat("k", 41)
	var many []string
	for n := range 900 {
		many = append(many, fmt.Sprint("k", n))
	}
	recipes := make([]string, 32)
	for n := range recipes {
		recipes[n] = fmt.Sprintf("{name: r%d}", n)
	}
	cases := map[string]struct{ lists, words string }{
		"no list":                     {`{"a": 1}`, "it is one object"},
		"half a list":                 {`["a", `, "it begins as a JSON array and is none"},
		"a number":                    {`["a", 7]`, "entry 2, 7"},
		"an unknown field":            {`[{"key": "a", "color": "red"}]`, `unknown field "color"`},
		"no key":                      {`[{"size": "a"}]`, `entry 1: "" is no key`},
		"null":                        {`[null]`, `entry 1: "" is no key`},
		"a key twice":                 {"a,b,a", `entries 1 and 3 have the key "a"`},
		"a bad key":                   {"a,B_1", `entry 2: "B_1" is no key`},
		"an empty key":                {"a,,b", `entry 2: "" is no key`},
		"a long key":                  {long, "is no key: up to 40"},
		"the open key":                {"?", `"?" is no key`},
		"a long size":                 {`[{"key": "a", "size": "` + strings.Repeat("s", 64) + `"}]`, "its size has 64 letters"},
		"a key too long for a recipe": {strings.Repeat("k", 40), "and 63 are possible"},
		"too many to keep":            {strings.Join(many, ","), "is not known"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, ops(survey, surveyed, each("clock", "{name: a-recipe-with-a-long-name-indeed}, {name: nginx}", "")))
			y.lists = c.lists
			y.run().want("run 1 Failed: survey/0 Succeeded, servers/? Failed, clock/a-recipe-with-a-long-name-indeed-? Omitted, clock/nginx-? Omitted").doing("Ensure survey/0")
			w := y.compiled()
			if err := Verdict(w, y.l, 0); !strings.Contains(err.Error(), `operation "servers": Invalid: `) || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), "${operations.survey.outputs.list}") {
				t.Error(err)
			}
		})
	}
	t.Run("too many instances", func(t *testing.T) {
		y := newYard(t, ops(survey, surveyed, pauseOp("w", "0s", ", dependsOn: [{operation: servers}]"), replace(pauseOp("x", "0s", ", dependsOn: [{operation: servers}]"), "duration: 0s", "duration: 0s, count: 99995")))
		y.lists = "a,b,c,d,e"
		y.run()
		w := y.compiled()
		if err := Verdict(w, y.l, 0); !strings.Contains(err.Error(), "lists 5 servers: spec.operations: 100002 instances in all, and a workflow may have 100000") {
			t.Error(err)
		}
	})
}

// TestEmptyList: an operation without entries is skipped, and so is what would be done on its servers; what comes after goes on.
func TestEmptyList(t *testing.T) {
	for _, empty := range []string{"", " ", "[]", "[ ]"} {
		y := newYard(t, ops(survey, surveyed, etcdOp, reached, pauseOp("after", "0s", ", dependsOn: [{operation: servers}]")))
		y.lists = empty
		y.run().want("run 1 Succeeded: survey/0 Succeeded, servers/? Skipped, etcd/etcd Skipped, ping/? Skipped, after/0 Succeeded").doing("Ensure survey/0")
		if y.l.Reason(1) != v1alpha1.ReasonEmptyList {
			t.Errorf("skipped for %q", y.l.Reason(1))
		}
	}
}

// TestForEachFromRefuses: what can never be expanded is refused before anything runs.
func TestForEachFromRefuses(t *testing.T) {
	cases := map[string]struct {
		spec, words string
		reason      fault.Reason
	}{
		"no reference":         {replace(surveyed, "${operations.survey.outputs.list}", "a,b"), "and nothing else is wanted", fault.ReasonInvalid},
		"text around it":       {replace(surveyed, "outputs.list}", "outputs.list},c"), "and nothing else is wanted", fault.ReasonInvalid},
		"an unknown operation": {replace(surveyed, "${operations.survey", "${operations.nobody"), "does not exist", fault.ReasonUnknownDependency},
		"itself":               {replace(surveyed, "${operations.survey", "${operations.servers"), "refers to the operation itself", fault.ReasonInvalid},
		"no edge":              {replace(surveyed, "dependsOn: [{operation: survey}], ", ""), "add it to dependsOn with type Hard and match All", fault.ReasonInvalid},
		"a soft edge":          {replace(surveyed, "{operation: survey}", "{operation: survey, type: Soft}"), "with type Hard and match All", fault.ReasonInvalid},
		"count besides":        {replace(surveyed, "forEachFrom", "count: 2, forEachFrom"), "exactly one of count, forEach and forEachFrom", fault.ReasonInvalid},
		"forEach besides":      {replace(surveyed, "forEachFrom", "forEach: [{key: a}], forEachFrom"), "exactly one of count, forEach and forEachFrom", fault.ReasonInvalid},
	}
	for name, c := range cases {
		_, err := Compile(flow(t, ops(survey, c.spec)), nil)
		if err == nil || fault.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Compile(flow(t, ops(replace(survey, `type: Command`, `type: Command, dependsOn: [{operation: servers}]`), surveyed)), nil)
	if err == nil || !strings.Contains(err.Error(), "survey → servers → survey") && !strings.Contains(err.Error(), "servers → survey → servers") {
		t.Errorf("a cycle through forEachFrom: %v", err)
	}
}

// TestPlanOfWhatIsNotListedYet: a plan says that it is not known how many there are, and after what it is; it makes no number up.
func TestPlanOfWhatIsNotListedYet(t *testing.T) {
	w, l := compile(t, flow(t, ops(survey, surveyed, each("clock", "{name: chrony}", ""), etcdOp)))
	p, err := w.Foresee(l, World{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Summary() != "+2 ~0 -0 +?" {
		t.Errorf("the summary is %q", p.Summary())
	}
	for _, op := range p.Operations[1:] {
		unknown := op.Parts[0].Unknown
		if want := map[bool]string{true: "", false: "survey"}[op.Name == "etcd"]; op.Each != want || len(unknown) != 1 || unknown[0] != "${operations.survey.outputs.list}" {
			t.Errorf("%s: %+v", op.Name, op)
		}
	}
	if p.Cost.String() != "" {
		t.Errorf("nobody knows how many there are, and the cost is %q", p.Cost)
	}
	single := replace(replace(reached, "match: SameIndex", "type: Hard"), "target: {operation: servers}", "target: {operation: servers, key: a}")
	w, l = compile(t, flow(t, ops(survey, surveyed, single)))
	if p, err = w.Foresee(l, World{}); err != nil || p.Summary() != "+2 ~0 -0 +?" || p.Operations[2].Each != "" {
		t.Errorf("what is on one of those is one: %v %+v", err, p)
	}
	next := newYard(t, ops(survey, surveyed))
	next.lists = "a,b"
	next.run()
	w = next.compiled()
	under, _ := w.Under(next.l)
	if p, err = w.Foresee(next.l, World{Sights: next.sights(under)}); err != nil || !p.Nothing() || p.Summary() != "+0 ~0 -0" {
		t.Errorf("nothing has changed: %v %+v", err, p)
	}
	next.apply(ops(replace(survey, `"true"`, `"other"`), surveyed))
	w = next.compiled()
	if p, err = w.Foresee(next.l, World{Sights: next.sights(under)}); err != nil || p.Summary() != "+0 ~2 -0 ∓1" {
		t.Errorf("those of the run before are known, and what becomes of them is not: %v %q", err, p.Summary())
	}
}

// compiled is the workflow as it is written now.
func (y *yard) compiled() *Workflow {
	y.Helper()
	w, err := Compile(y.flow, nil)
	if err != nil {
		y.Fatal(err)
	}
	return w
}

// TestSpanSurvivesALostCheckpoint: the list is read again where it was put out, and where that does not tell of all that is there, nothing is
// made anew.
func TestSpanSurvivesALostCheckpoint(t *testing.T) {
	cases := map[string]struct {
		why     string
		change  func(y *yard)
		foreign int
		want    string
	}{
		"as it was":         {"the child that put it out still says so", func(*yard) {}, 0, "run 1 Running: survey/0 Succeeded, servers/a Running, servers/b Succeeded"},
		"longer":            {"what is there goes on, and what is new is not known", func(y *yard) { y.list("a,b,c") }, 0, "run 1 Running: survey/0 Succeeded, servers/a Running, servers/b Succeeded, servers/c Unknown"},
		"shorter":           {"a Server would be of no operation", func(y *yard) { y.list("b") }, 1, ""},
		"no list any more":  {"nor would any", func(y *yard) { y.list("{}") }, 2, ""},
		"the child is gone": {"as if its operation were", func(y *yard) { delete(y.kids, y.kid("survey/0").GetName()) }, 2, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			y := newYard(t, ops(survey, surveyed))
			y.lists, y.holds["servers/a"] = "a,b", true
			y.run().want("run 1 Running: survey/0 Succeeded, servers/a Running, servers/b Succeeded")
			c.change(y)
			w := y.compiled().Recover(slices.Collect(maps.Values(y.kids)))
			found, foreign := map[int]Found{}, 0
			for name, kid := range y.kids {
				if i, ours := w.Instance(name); ours {
					found[i] = Find(kid)
				} else {
					foreign++
				}
			}
			if foreign != c.foreign {
				t.Fatalf("%d of no operation, want %d", foreign, c.foreign)
			}
			if foreign > 0 {
				return
			}
			l, err := Rebuild(w, v1alpha1.BatchWorkflowStatus{Phase: v1alpha1.WorkflowRunning}, found, nil, y.now)
			if err != nil {
				t.Fatal(err)
			}
			y.l, y.did = l, nil
			y.want(c.want)
			if y.run(); len(y.did) > 0 {
				t.Errorf("it did %v", y.did)
			}
		})
	}
}

// list changes what the survey says that it had put out.
func (y *yard) list(text string) { y.kid("survey/0").(*v1alpha1.Run).Status.Outputs["list"] = text }

// TestAnotherRunOfASpan: another run that was asked for while one went on begins when that is over, also where a memory holds the workflow
// with what an output listed.
func TestAnotherRunOfASpan(t *testing.T) {
	y := newYard(t, ops(survey, surveyed))
	y.lists, y.holds["servers/a"] = "a", true
	y.run().want("run 1 Running: survey/0 Succeeded, servers/a Running")
	y.apply("runID: again\n" + ops(survey, surveyed))
	compiled := y.compiled()
	under, err := compiled.Under(y.l)
	if err != nil || !under.Follows(compiled, y.l) {
		t.Fatalf("while the run goes on: %v", err)
	}
	y.free("servers/a")
	over := y.l.Clone()
	if err := errors.Join(over.Settle(1, saga.Succeeded, y.now.Unix(), "", ""), over.SetRun(saga.RunSucceeded, y.now.Unix())); err != nil {
		t.Fatal(err)
	}
	if under.Follows(compiled, over) {
		t.Error("it is over, and the next run would never begin")
	}
	y.run().want("run 2 Succeeded: survey/0 Succeeded, servers/a Succeeded")
}
