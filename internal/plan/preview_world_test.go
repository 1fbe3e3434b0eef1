package plan

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// doneTo is what a plan says of each operation, where the same happens to all its instances.
func doneTo(p *Preview) map[string]Deed {
	done := map[string]Deed{}
	for _, op := range p.Operations {
		if done[op.Name] = op.Parts[0].Do; len(op.Parts) > 1 {
			done[op.Name] = "several"
		}
	}
	return done
}

// TestPlanOfWhatIsOnItsWayOut: what another hand has deleted and is not gone yet is not changed: another one of its name is made, and what
// is on no other server goes with it.
func TestPlanOfWhatIsOnItsWayOut(t *testing.T) {
	spec := `operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {labels: {a: "1"}, spec: {providerRef: {name: p}}}}}
- {name: etcd, type: TaskServiceBatch, dependsOn: [{operation: base}], taskServiceBatch: {recipes: [{name: etcd, version: "3"}], targets: {operation: base}}}
`
	y := newYard(t, spec).run().apply(strings.NewReplacer(`a: "1"`, `a: "2"`, `version: "3"`, `version: "4"`).Replace(spec))
	foresee := func(leaves bool) map[string]Deed {
		under, err := y.compiled().Under(y.l)
		if err != nil {
			t.Fatal(err)
		}
		sights := y.sights(under)
		base := sights[0]
		base.Deleting = leaves
		sights[0] = base
		p, err := y.compiled().Foresee(y.l, World{Sights: sights})
		if err != nil {
			t.Fatal(err)
		}
		return doneTo(p)
	}
	if got := foresee(false); got["base"] != DeedUpdate || got["etcd"] != DeedUpdate {
		t.Errorf("it stands: %v", got)
	}
	if got := foresee(true); got["base"] != DeedReplace || got["etcd"] != DeedReplace {
		t.Errorf("it is on its way out: %v", got)
	}
}

// TestPlanHashHoldsUnknowns: that a value is known, which was not when a plan was approved, makes it another plan.
func TestPlanHashHoldsUnknowns(t *testing.T) {
	spec := `operations:
- {name: base, type: ServerBatch, serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
- {name: first, type: Command, dependsOn: [{operation: base}], command: {script: "true", target: {server: s}, env: [{name: A, value: "${operations.base.outputs.names}"}]}}
`
	y := newYard(t, spec).run().apply(spec + `- {name: more, type: Command, dependsOn: [{operation: base}], command: {script: "true", target: {server: s}, env: [{name: A, value: "${operations.base.outputs.addresses}"}]}}
`)
	foresee := func() *Preview {
		under, err := y.compiled().Under(y.l)
		if err != nil {
			t.Fatal(err)
		}
		p, err := y.compiled().Foresee(y.l, World{Sights: y.sights(under)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	unknown := foresee()
	outputs := maps.Clone(y.l.Ops[0].Outputs)
	outputs["addresses"] = "10.0.0.1"
	y.l.Ops[0].Outputs = outputs
	known := foresee()
	at := slices.IndexFunc(known.Operations, func(op PreviewOperation) bool { return op.Name == "more" })
	if !maps.Equal(doneTo(unknown), doneTo(known)) || len(unknown.Operations[at].Parts[0].Unknown) == 0 || len(known.Operations[at].Parts[0].Unknown) > 0 {
		t.Fatalf("they differ in more than what is known: %+v and %+v", unknown.Operations, known.Operations)
	}
	if unknown.Hash == known.Hash {
		t.Error("the hash is the same")
	}
}
