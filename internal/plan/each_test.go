package plan

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

func each(name, recipes, more string) string {
	return `{name: ` + name + `, type: TaskServiceBatch, dependsOn: [{operation: servers` + more + `}], taskServiceBatch: {recipes: [` + recipes + `], forEach: {operation: servers}}}`
}

// TestServiceForEach: one service a recipe and server; with one recipe it is joined with its server, and with what comes after it.
func TestServiceForEach(t *testing.T) {
	y := newYard(t, ops(machines, each("one", "{name: chrony}", ", match: SameIndex"), each("two", "{name: etcd}, {name: nginx}", "")))
	y.holds["servers/a"] = true
	y.run().want("run 1 Running: servers/a Running, servers/b Succeeded, one/a Pending, one/b Succeeded, two/etcd-a Pending, two/etcd-b Pending, two/nginx-a Pending, two/nginx-b Pending")
	y.holds["servers/a"] = false
	y.answer(y.kid("servers/a"))
	y.run().want("run 1 Succeeded: servers/a Succeeded, servers/b Succeeded, one/a Succeeded, one/b Succeeded, two/etcd-a Succeeded, two/etcd-b Succeeded, two/nginx-a Succeeded, two/nginx-b Succeeded")
	service := y.kid("two/nginx-a").(*v1alpha1.TaskService)
	if names := service.Spec.Servers.Names; service.Spec.Recipe != "nginx" || len(names) != 1 || names[0] != y.kid("servers/a").GetName() {
		t.Errorf("nginx-a is %+v", service.Spec)
	}
	if service.Name == y.kid("two/etcd-a").GetName() {
		t.Error("two services have one name")
	}
	y.apply(ops(replace(machines, "[{key: a}", "[{key: new}, {key: a}"), each("one", "{name: chrony}", ", match: SameIndex"), each("two", "{name: etcd}, {name: nginx}", ""))).run()
	y.doing("Ensure servers/new", "Ensure one/new", "Ensure two/etcd-new", "Ensure two/nginx-new")
}

// TestSameIndexNeedsOneAServer: services over several servers are nobody's partner.
func TestSameIndexNeedsOneAServer(t *testing.T) {
	cases := map[string]struct {
		spec, words string
		reason      fault.Reason
	}{
		"over all servers": {ops(machines, etcdOp, `{name: after, type: Check, dependsOn: [{operation: etcd, match: SameIndex}], check: {tcp: {address: "h:1"}}}`), "forEach: {operation: NAME}", fault.ReasonInvalid},
		"several recipes":  {ops(machines, each("two", "{name: etcd}, {name: nginx}", ", match: SameIndex")), "one recipe", fault.ReasonInvalid},
		"a cycle through forEach": {ops(replace(machines, "type: ServerBatch", "type: ServerBatch, dependsOn: [{operation: one}]"), each("one", "{name: chrony}", "")),
			"servers → one → servers", fault.ReasonCycle},
		"an unknown operation": {ops(machines, `{name: one, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: chrony}], forEach: {operation: nobody}}}`), `"nobody" does not exist`, fault.ReasonUnknownDependency},
		"without an edge":      {ops(machines, `{name: one, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: chrony}], forEach: {operation: servers}}}`), "to dependsOn with type Hard", fault.ReasonInvalid},
		"both":                 {ops(machines, `{name: one, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: chrony}], forEach: {operation: servers}, targets: {operation: servers}}}`), "exactly one of targets and forEach", fault.ReasonInvalid},
	}
	for name, c := range cases {
		_, err := Compile(flow(t, c.spec), nil)
		if err == nil || fault.ReasonOf(err) != c.reason || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForecastIsWhatHappens: what a forecast says of each instance is what the next run does.
func TestForecastIsWhatHappens(t *testing.T) {
	all := ops(machines, etcdOp, initOp, gate)
	for name, edit := range map[string]string{
		"nothing": all, "a version": replace(all, `"3"`, `"4"`), "one more": replace(all, "[{key: a}", "[{key: a}, {key: c}"), "one fewer": replace(all, ", {key: b, size: s}", ""),
		"a script": replace(all, `script: "true"`, `script: "false"`), "pruned": "prune: true\n" + replace(all, ", {key: b, size: s}", ""),
	} {
		y := newYard(t, all).run()
		y.apply(edit)
		w, err := Compile(y.flow, nil)
		if err != nil {
			t.Fatal(err)
		}
		under, err := w.Under(y.l)
		if err != nil {
			t.Fatal(err)
		}
		forecast, err := w.Forecast(y.l, y.sights(under))
		if err != nil {
			t.Fatal(err)
		}
		said, did := map[string]bool{}, map[string]bool{}
		for i, fate := range forecast.Fates {
			if k := opAt(w, i); fate.Do != DeedNone {
				said[w.ops[k].Name+"/"+w.ops[k].key(i-w.ops[k].first)] = true
			}
		}
		for _, of := range forecast.Left {
			for _, key := range of.Keys {
				said[of.Operation+"/"+key] = y.flow.Spec.Prune
			}
		}
		for _, deed := range y.run().did {
			_, what, _ := strings.Cut(deed, " ")
			did[what] = true
		}
		for what := range said {
			if said[what] != did[what] {
				t.Errorf("%s: %s: said to change %t, and changed %t", name, what, said[what], did[what])
			}
		}
		for what := range did {
			if !said[what] {
				t.Errorf("%s: %s changed, and nobody said so", name, what)
			}
		}
	}
}

func opAt(w *Workflow, i int) int {
	for k := range w.ops {
		if i < w.ops[k].first+w.ops[k].count {
			return k
		}
	}
	return -1
}
