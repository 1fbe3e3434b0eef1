package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// flow reads the spec of the workflow "wf".
func flow(t testing.TB, spec string) *v1alpha1.BatchWorkflow {
	t.Helper()
	w := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "wf", UID: "wf", Generation: 1}}
	if err := yaml.UnmarshalStrict([]byte(spec), &w.Spec); err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	return w
}

// recipes is a catalog of demo, other (which excludes demo) and containerd.
func recipes(t testing.TB) *Recipes {
	t.Helper()
	const recipe = `{apiVersion: keelway.dev/v1alpha1, kind: Recipe, metadata: {name: %s}, spec: {category: system, description: A recipe for tests.,
  homepage: "https://example.org", license: Apache-2.0, platforms: [{family: any}], conflicts: [%s],
  versions: {default: 1.2.3, supported: ">=1 <2", known: [1.1.0], source: {github: example/demo}},
  parameters: {type: object, required: [port], properties: {port: {type: integer, description: A port., minimum: 1}, text: {type: string, description: Text.}}},
  scripts: {check: check.sh, apply: apply.sh, health: health.sh, remove: remove.sh}}}`
	files := fstest.MapFS{}
	for name, excludes := range map[string]string{"demo": "", "other": "demo", "containerd": ""} {
		files[name+"/recipe.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, recipe, name, excludes)}
		for _, script := range []string{"check", "apply", "health", "remove"} {
			files[name+"/"+script+".sh"] = &fstest.MapFile{Data: []byte("true\n")}
		}
	}
	c, err := catalog.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	servers2 = `{name: servers, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}`
	after    = `dependsOn: [{operation: servers, type: Hard}]`
)

func ops(lines ...string) string { return "operations:\n- " + strings.Join(lines, "\n- ") }

func TestCompileRefuses(t *testing.T) {
	wait := func(name, more string) string {
		return fmt.Sprintf(`{name: %s, type: Wait, wait: {duration: 1s}%s}`, name, more)
	}
	service := func(recipe string) string {
		return fmt.Sprintf(`{name: services, type: TaskServiceBatch, %s, taskServiceBatch: {targets: {operation: servers}, recipes: [%s]}}`, after, recipe)
	}
	command := func(target, more string) string {
		return fmt.Sprintf(`{name: script, type: Command, command: {script: "true", target: %s}%s}`, target, more)
	}
	probe := func(url, more string) string {
		return fmt.Sprintf(`{name: probe, type: Check, check: {http: {url: "%s"}}%s}`, url, more)
	}
	cases := map[string]struct {
		why  string
		spec string
		want fault.Reason
		says []string // the operation, the field, what was found, what to do
	}{
		"nothing":       {"there is nothing to run", `operations: []`, fault.ReasonInvalid, []string{"spec.operations", "at least one operation"}},
		"duplicate":     {"a name means one operation", ops(wait("a", ""), wait("b", ""), wait("a", "")), fault.ReasonDuplicateName, []string{`two operations are named "a"`, "rename"}},
		"unknown":       {"nobody can wait for it", ops(wait("a", ", dependsOn: [{operation: b}]")), fault.ReasonUnknownDependency, []string{`"a" depends on "b"`, "dependsOn", "did you mean a?"}},
		"self":          {"it would wait for ever", ops(wait("a", ", dependsOn: [{operation: a}]")), fault.ReasonCycle, []string{`"a" depends on itself`, "take it out of its own dependsOn"}},
		"cycle":         {"all of it is printed", ops(wait("a", ", dependsOn: [{operation: b}]"), wait("b", ", dependsOn: [{operation: c, type: Soft}]"), wait("c", ", dependsOn: [{operation: a}]")), fault.ReasonCycle, []string{"a → b → c → a", "dependsOn"}},
		"type":          {"no schema has seen it", ops(`{name: a, type: Dance}`), fault.ReasonInvalid, []string{`"a"`, `"Dance"`, "ServerBatch"}},
		"no section":    {"a ServerBatch of what?", ops(`{name: a, type: ServerBatch}`), fault.ReasonInvalid, []string{`"a"`, "serverBatch"}},
		"no services":   {"as above", ops(`{name: a, type: TaskServiceBatch}`), fault.ReasonInvalid, []string{`"a"`, "taskServiceBatch"}},
		"no check":      {"as above", ops(`{name: a, type: Check}`), fault.ReasonInvalid, []string{`"a"`, "section check"}},
		"no command":    {"as above", ops(`{name: a, type: Command}`), fault.ReasonInvalid, []string{`"a"`, "section command"}},
		"no wait":       {"as above", ops(`{name: a, type: Wait}`), fault.ReasonInvalid, []string{`"a"`, "section wait"}},
		"empty check":   {"it asks nothing", ops(`{name: a, type: Check, check: {}}`), fault.ReasonInvalid, []string{`"a"`, "http, tcp, command and condition"}},
		"no recipes":    {"it installs nothing", ops(`{name: a, type: TaskServiceBatch, taskServiceBatch: {recipes: [], targets: {server: s}}}`), fault.ReasonInvalid, []string{`"a"`, "taskServiceBatch.recipes"}},
		"count below 1": {"there is no such number of machines", ops(`{name: a, type: ServerBatch, serverBatch: {count: -3, template: {spec: {providerRef: {name: p}}}}}`), fault.ReasonInvalid, []string{`"a"`, "serverBatch.count", "-3"}},
		"no number":     {"how many?", ops(`{name: a, type: ServerBatch, serverBatch: {template: {spec: {providerRef: {name: p}}}}}`), fault.ReasonInvalid, []string{`"a"`, "count, forEach and forEachFrom"}},
		"keys twice":    {"which of them would be meant?", ops(`{name: a, type: ServerBatch, serverBatch: {forEach: [{key: x}, {key: y}, {key: x}], template: {spec: {providerRef: {name: p}}}}}`), fault.ReasonDuplicateName, []string{`"a"`, "serverBatch.forEach", `"x" twice`}},
		"recipe twice":  {"as above", ops(servers2, service("{name: demo, parameters: {port: 1}}, {name: demo, parameters: {port: 1}}")), fault.ReasonDuplicateName, []string{`"services"`, "taskServiceBatch.recipes", `"demo" twice`}},
		"too many":      {"a ledger holds no more", ops(`{name: a, type: Wait, wait: {duration: 1s, count: 60000}}`, `{name: b, type: Wait, wait: {duration: 1s, count: 60000}}`), fault.ReasonInvalid, []string{"120000", "100000", "split"}},
		"far too many":  {"nothing is made of it on the way", ops(`{name: servers, type: ServerBatch, serverBatch: {count: 2000000000, template: {spec: {providerRef: {name: p}}}}}`, command("{operation: servers}", ", "+after)), fault.ReasonInvalid, []string{"split"}},

		"target unknown":    {"no such operation", ops(command("{operation: x}", "")), fault.ReasonUnknownDependency, []string{`"script"`, "target", `"x" does not exist`, "ServerBatch"}},
		"target no servers": {"a Wait has no machine", ops(wait("x", ""), command("{operation: x}", ", dependsOn: [{operation: x}]")), fault.ReasonInvalid, []string{`"script"`, "target", `"x" is a Wait`, "ServerBatch"}},
		"target not before": {"the servers may not be there yet", ops(servers2, command("{operation: servers}", "")), fault.ReasonInvalid, []string{`"script"`, "target", "dependsOn with type Hard"}},
		"target soft":       {"a soft edge waits and does not ask for success", ops(servers2, command("{operation: servers}", ", dependsOn: [{operation: servers, type: Soft}]")), fault.ReasonInvalid, []string{`"script"`, "dependsOn with type Hard"}},
		"target key":        {"the keys of count: 2 are 0 and 1", ops(servers2, command("{operation: servers, key: '2'}", ", "+after)), fault.ReasonInvalid, []string{`"script"`, "target", `key "2"`, "did you mean 0, 1?"}},
		"too many targets":  {"one TaskService carries 256", ops(`{name: servers, type: ServerBatch, serverBatch: {count: 257, template: {spec: {providerRef: {name: p}}}}}`, service("{name: demo, parameters: {port: 1}}")), fault.ReasonInvalid, []string{`"services"`, "taskServiceBatch.targets", "256", "257", "split"}},

		"reference to nobody":    {"", ops(probe("http://${operations.x.outputs.y}", "")), fault.ReasonUnknownDependency, []string{`"probe"`, "http.url", "${operations.x.outputs.y}", "does not exist", "there are probe"}},
		"reference to itself":    {"", ops(probe("http://${operations.probe.outputs.y}", "")), fault.ReasonInvalid, []string{`"probe"`, "http.url", "itself", "comes before it"}},
		"reference not before":   {"it is not known yet", ops(servers2, probe("http://${operations.servers.outputs.addresses}", "")), fault.ReasonInvalid, []string{`"probe"`, "http.url", "dependsOn with type Hard"}},
		"reference soft":         {"it may never be known", ops(servers2, probe("http://${operations.servers.outputs.addresses}", ", dependsOn: [{operation: servers, type: Soft}]")), fault.ReasonInvalid, []string{"dependsOn with type Hard"}},
		"reference to no output": {"servers have two", ops(servers2, probe("http://${operations.servers.outputs.ip}", ", "+after)), fault.ReasonInvalid, []string{`"probe"`, `no output "ip"`, "names and addresses"}},
		"reference to a Wait":    {"it gives nothing", ops(wait("w", ""), probe("http://${operations.w.outputs.y}", ", dependsOn: [{operation: w}]")), fault.ReasonInvalid, []string{`"probe"`, "a Wait has no outputs"}},
		"reference misspelt":     {"", ops(probe("http://${operation.x}", "")), fault.ReasonInvalid, []string{`"probe"`, "http.url", "position 8"}},
		"in an environment":      {"", ops(`{name: script, type: Command, command: {script: "true", env: [{name: A, value: "${x}"}], target: {server: s}}}`), fault.ReasonInvalid, []string{`"script"`, "env A", "position 1"}},
		"in parameters":          {"", ops(servers2, service(`{name: demo, parameters: {port: 1, text: "${operations.x.outputs.y}"}}`)), fault.ReasonUnknownDependency, []string{`"services"`, `recipe "demo": parameters`}},

		"recipe unknown":    {"with the nearest", ops(servers2, service("{name: contianerd}")), fault.ReasonRecipeNotFound, []string{`"services"`, `"contianerd"`, "did you mean containerd?"}},
		"version unknown":   {"", ops(servers2, service("{name: demo, version: '7', parameters: {port: 1}}")), fault.ReasonRecipeNotFound, []string{`"services"`, `recipe demo`, "7"}},
		"parameter unknown": {"with the nearest", ops(servers2, service("{name: demo, parameters: {port: 1, tetx: a}}")), fault.ReasonInvalid, []string{`"services"`, `recipe demo`, "tetx", "text"}},
		"parameter missing": {"", ops(servers2, service("{name: demo}")), fault.ReasonInvalid, []string{`"services"`, "missing port"}},
		"parameter wrong":   {"", ops(servers2, service("{name: demo, parameters: {port: 0}}")), fault.ReasonInvalid, []string{`"services"`, "port", "0"}},
		"recipes conflict":  {"on the same servers", ops(servers2, service("{name: demo, parameters: {port: 1}}, {name: other, parameters: {port: 1}}")), fault.ReasonRecipeConflict, []string{`"services", on the same servers: other excludes demo`, "leave one out"}},
		"parameters a list": {"", ops(servers2, service("{name: demo, parameters: [1]}")), fault.ReasonInvalid, []string{`"services"`, "parameters of recipe demo are no object"}},
		"from a Secret too": {"", ops(servers2, service("{name: demo, parameters: {port: 1}, parametersFrom: [{parameter: txt, secretKeyRef: {name: s, key: k}}]}")), fault.ReasonInvalid, []string{"txt", "text"}},
		"several": {"all are told, and the first gives the reason", ops(wait("a", ""), wait("a", ""), `{name: b, type: Dance}`),
			fault.ReasonInvalid, []string{`"Dance"`, `two operations are named "a"`}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, err := Compile(flow(t, c.spec), recipes(t))
			if err == nil || w != nil {
				t.Fatalf("accepted: %s", c.why)
			}
			if got := fault.ReasonOf(err); got != c.want || !fault.IsTerminal(err) {
				t.Errorf("%s: reason %s, want %s, and it must be Terminal", c.why, got, c.want)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q does not say %q", c.why, err, part)
				}
			}
		})
	}
}

func TestCompileBoundsItsVerdict(t *testing.T) {
	var lines []string
	for k := range 30 {
		lines = append(lines, fmt.Sprintf("{name: op-%d, type: Dance}", k))
	}
	_, err := Compile(flow(t, ops(lines...)), nil)
	if err == nil || !strings.Contains(err.Error(), "and 22 more") || strings.Count(err.Error(), "Dance") != 8 {
		t.Errorf("30 faults read: %v", err)
	}
}

func TestCompileAccepts(t *testing.T) {
	cases := map[string]string{
		"chain of hard edges":   ops(servers2, `{name: w, type: Wait, `+after+`, wait: {duration: 0s}}`, `{name: c, type: Command, dependsOn: [{operation: w}], command: {script: "echo $A", env: [{name: A, value: "${operations.servers.outputs.names}"}], target: {operation: servers}}}`),
		"declared later":        ops(`{name: c, type: Command, `+after+`, command: {script: "true", target: {operation: servers, key: "1"}}}`, servers2),
		"recipes apart":         ops(servers2, `{name: a, type: TaskServiceBatch, taskServiceBatch: {targets: {server: x}, recipes: [{name: demo, parameters: {port: 1}}]}}`, `{name: b, type: TaskServiceBatch, taskServiceBatch: {targets: {server: y}, recipes: [{name: other, parameters: {port: 1}}]}}`),
		"values not known yet":  ops(servers2, `{name: a, type: TaskServiceBatch, `+after+`, taskServiceBatch: {targets: {operation: servers}, recipes: [{name: demo, parameters: {port: 1, text: "${operations.servers.outputs.addresses}"}}]}}`),
		"the dollar is escaped": ops(`{name: c, type: Command, command: {script: "true", env: [{name: A, value: "$${x}"}], target: {server: s}}}`),
	}
	for name, spec := range cases {
		if _, err := Compile(flow(t, spec), recipes(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHashes: what a run is tied to changes the hash, what may change under it does not.
func TestHashes(t *testing.T) {
	base := `{name: w, type: Wait, ` + after + `, wait: {duration: 1s}}`
	start := func(spec string) *Workflow {
		w, err := Compile(flow(t, spec), nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := start(ops(servers2, base))
	cases := map[string]struct {
		spec string
		fits bool
	}{
		"nothing":    {ops(servers2, base), true},
		"limits":     {"parallelLimit: 3\nttlAfterFinished: 1h\nundo: {timeout: 1m}\nsuspend: true\nonFailure: Rollback\ntimeout: 5m\n" + ops(servers2, base), true},
		"retry":      {ops(servers2, `{name: w, type: Wait, `+after+`, retry: {limit: 3}, timeout: 5s, totalTimeout: 1h, undo: {timeout: 1m}, keepOnUndo: true, onFailure: Rollback, wait: {duration: 1s}}`), true},
		"a payload":  {ops(servers2, `{name: w, type: Wait, `+after+`, wait: {duration: 2s}}`), false},
		"an edge":    {ops(servers2, `{name: w, type: Wait, dependsOn: [{operation: servers, type: Soft}], wait: {duration: 1s}}`), false},
		"a name":     {ops(servers2, `{name: v, type: Wait, `+after+`, wait: {duration: 1s}}`), false},
		"an order":   {ops(base, servers2), false},
		"one fewer":  {ops(servers2), false},
		"one server": {ops(strings.Replace(servers2, "count: 2", "count: 3", 1), base), false},
	}
	l, err := first.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		if got := start(c.spec).Fits(l); got != c.fits {
			t.Errorf("%s: fits %v, want %v", name, got, c.fits)
		}
	}
}

// TestCompileStandsAnything: whatever a file holds that no schema has seen, it is refused with a reason or it can be run.
func TestCompileStandsAnything(t *testing.T) {
	const files = 3000
	accepted := 0
	for seed := range uint64(files) {
		w := flow(t, "operations: []")
		d := &dice{rand.New(rand.NewPCG(seed, 2))}
		for k := range 1 + d.IntN(3) {
			w.Spec.Operations = append(w.Spec.Operations, d.operation(k))
		}
		compiled, err := Compile(w, nil)
		if err != nil {
			if !fault.IsTerminal(err) || fault.ReasonOf(err) == fault.ReasonInternal {
				t.Fatalf("seed %d: refused without a reason: %v", seed, err)
			}
			continue
		}
		accepted++
		if phase, err := play(compiled); err != nil || !phase.Terminal() {
			t.Fatalf("seed %d: it was accepted and does not run: %s, %v", seed, phase, err)
		}
	}
	if accepted < files/30 {
		t.Errorf("%d of %d were accepted", accepted, files)
	}
}

// play runs a workflow whose children all succeed.
func play(w *Workflow) (saga.RunPhase, error) {
	now := time.Unix(1_800_000_000, 0)
	l, err := w.Start(now.Unix())
	for n := 0; err == nil && n < 20 && !l.Phase.Terminal(); n++ {
		sights := Sights{}
		if l, _, err = Advance(w, l, sights, nil, now); err != nil {
			break
		}
		for _, action := range Act(w, l, sights) {
			sights[action.Instance] = Sight{Exists: true, Ready: true, UID: "u", Outputs: map[string]string{"k": "v"}}
		}
		l, _, err = Advance(w, l, sights, nil, now)
		now = now.Add(time.Second)
	}
	if err != nil {
		return 0, err
	}
	return l.Phase, nil
}

// dice draw what people write, and what nobody should.
type dice struct{ *rand.Rand }

func (d *dice) rarely() bool { return d.IntN(10) == 0 }

func (d *dice) name(k int) string {
	if d.rarely() {
		return []string{"a", "b", ""}[d.IntN(3)]
	}
	return string(rune('a' + k))
}

func (d *dice) text() string {
	if d.rarely() {
		return "${"
	}
	return []string{"x", "", "${operations.a.outputs.names}", "${operations.b.outputs.k}"}[d.IntN(4)]
}

func (d *dice) target() v1alpha1.OperationTarget {
	if d.IntN(2) == 0 {
		return v1alpha1.OperationTarget{Server: []string{"s", "s", "s", ""}[d.IntN(4)]}
	}
	return v1alpha1.OperationTarget{Operation: d.name(0), Key: []string{"", "", "0", "x"}[d.IntN(4)]}
}

func (d *dice) operation(k int) v1alpha1.Operation {
	op := v1alpha1.Operation{Name: d.name(k), Type: []v1alpha1.OperationType{"ServerBatch", "TaskServiceBatch", "Check", "Command", "Wait"}[d.IntN(5)]}
	switch {
	case d.rarely():
		op.Type = "Dance"
	case k == 0 && !d.rarely():
		op.Type = v1alpha1.OperationServerBatch
	}
	for n := range k {
		op.DependsOn = append(op.DependsOn, v1alpha1.Dependency{Operation: d.name(n), Type: []v1alpha1.EdgeType{"Hard", "", "", "Soft"}[d.IntN(4)]})
	}
	if !d.rarely() {
		op.ServerBatch = &v1alpha1.ServerBatch{ForEach: []v1alpha1.ServerItem{{Key: "x"}, {Key: d.name(4)}}}
		if n := int32(d.IntN(6) - 1); n < 4 {
			op.ServerBatch.Count, op.ServerBatch.ForEach = &n, nil
		}
	}
	if !d.rarely() {
		op.TaskServiceBatch = &v1alpha1.TaskServiceBatch{Targets: d.target()}
		for n := range []int{1, 2, 1, 2, 0}[d.IntN(5)] {
			choice := v1alpha1.RecipeChoice{Name: d.name(n)}
			if d.IntN(2) == 0 {
				choice.Parameters = &v1alpha1.Parameters{RawExtension: runtime.RawExtension{Raw: []byte(`{"text": "` + d.text() + `"}`)}}
			}
			op.TaskServiceBatch.Recipes = append(op.TaskServiceBatch.Recipes, choice)
		}
	}
	if !d.rarely() {
		op.Check = &v1alpha1.Check{}
		if to := d.target(); d.IntN(2) == 0 {
			op.Check.Target = &to
		}
		if d.IntN(2) == 0 {
			op.Check.HTTP = &v1alpha1.HTTPProbe{URL: d.text()}
		} else {
			op.Check.Command = &v1alpha1.CommandScript{Env: []v1alpha1.EnvVar{{Name: "E", Value: d.text()}}}
		}
	}
	if !d.rarely() {
		op.Command = &v1alpha1.Command{Target: d.target()}
	}
	if !d.rarely() {
		op.Wait = &v1alpha1.Wait{Count: int32(d.IntN(5) - 2)}
	}
	return op
}
