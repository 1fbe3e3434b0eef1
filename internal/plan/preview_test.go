package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// rewrite gives the stage another spec, as an edit of the workflow does.
func (s *stage) rewrite(spec string) *Workflow {
	s.Helper()
	w, err := Compile(flow(s, spec), nil)
	if err != nil {
		s.Fatal(err)
	}
	return w
}

// stand makes all children of the ledger stand as they are wanted, and lets the run come to its end.
func (s *stage) stand() *stage {
	s.Helper()
	for n := 0; s.l.Phase == saga.RunRunning && n < 50; n++ {
		for _, action := range Act(s.w, s.l, s.sights) {
			child := action.Child
			child.SetUID(types.UID("uid-" + action.Name))
			child.SetGeneration(1)
			s.sights[action.Instance] = Sight{
				Exists: true, Ready: true, Asked: action.Attempt, Answered: action.Attempt, UID: child.GetUID(), Child: child,
				Outputs: map[string]string{"addresses": "10.0.0.1", "endpoints": "http://e"},
			}
		}
		s.at(s.now.Sub(s.begun) + time.Second)
	}
	return s
}

// foresee makes the plan and writes it as text: "a Create 0–2 size=x; b …".
func (s *stage) foresee(w *Workflow, world World) (*Preview, string) {
	s.Helper()
	world.Sights = s.sights
	p, err := w.Foresee(s.l, world)
	if err != nil {
		s.Fatal(err)
	}
	return p, written(p)
}

func written(p *Preview) string {
	var out []string
	for _, op := range p.Operations {
		for _, part := range op.Parts {
			line := fmt.Sprintf("%d %s %s [%s]", op.Wave, op.Name, part.Do, part.Keys)
			for _, f := range part.Fields {
				line += fmt.Sprintf(" %s: %s → %s", f.Field, f.Old, f.New)
				if f.Replaces {
					line += " (replaces)"
				}
			}
			if part.Why != "" {
				line += " (" + part.Why + ")"
			}
			if part.Unknown != nil {
				line += " unknown " + strings.Join(part.Unknown, ",")
			}
			if part.Irreversible != "" {
				line += " irreversible"
			}
			if part.Problem != "" {
				line += " problem"
			}
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

const sized = `{name: %s, type: ServerBatch, serverBatch: {count: %d, template: {spec: {providerRef: {name: p}, size: %s}}}%s}`

func srv(name string, count int, size, more string) string {
	return fmt.Sprintf(sized, name, count, size, more)
}

// service is an operation with one etcd over the servers of another one.
func service(name, on, more string) string {
	return `{name: ` + name + `, type: TaskServiceBatch, dependsOn: [{operation: ` + on + `}], taskServiceBatch: {recipes: [{name: etcd` + more + `}], targets: {operation: ` + on + `}}}`
}

// checked is servers and a check that comes after them: one of all, or, joined by key, one of each.
func checked(servers int, match string) string {
	check := `{name: c, type: Check, dependsOn: [{operation: a}], check: {target: {operation: a, key: "0"}, command: {script: "true"}}}`
	if match != "" {
		check = `{name: c, type: Check, dependsOn: [{operation: a, match: ` + match + `}], check: {target: {operation: a}, command: {script: "true"}}}`
	}
	return ops(srv("a", servers, "small", ""), check)
}

// TestPlanSaysWhatHappens: per child what is done, with the fields that change and what forces a replacement, in waves.
func TestPlanSaysWhatHappens(t *testing.T) {
	first := ops(srv("a", 3, "small", ""), service("db", "a", ""), srv("b", 1, "small", ", dependsOn: [{operation: db}]"))
	cases := map[string]struct {
		why, before, after string
		world              func(s *stage, w *Workflow) World
		want               string
		summary            string
	}{
		"nothing stands": {"all is made, wave by wave", "", first, nil, "1 a Create [0–2]\n2 db Create [etcd]\n3 b Create [0]", "+5 ~0 -0"},
		"no change":      {"", first, first, nil, "1 a NoOp [0–2]\n2 db NoOp [etcd]\n3 b NoOp [0]", "+0 ~0 -0"},
		"one more": {"those that stand are left alone, a service over all of them takes it in", first,
			strings.Replace(first, "count: 3", "count: 4", 1), nil,
			"1 a NoOp [0–2]\n1 a Create [3]\n2 db Update [etcd] servers.names[3]:  → " + v1alpha1.ChildName("wf", "a", "3") + "\n3 b NoOp [0]", "+1 ~1 -0"},
		"another version": {"it is changed in place", first, strings.Replace(first, "name: etcd", `name: etcd, version: "3.6"`, 1), nil,
			"1 a NoOp [0–2]\n2 db Update [etcd] version:  → 3.6\n3 b NoOp [0]", "+0 ~1 -0"},
		"another size": {"the Server sees to it", first, strings.Replace(first, "size: small", "size: large", 1), nil,
			"1 a Update [0–2] size: small → large\n2 db NoOp [etcd]\n3 b NoOp [0]", "+0 ~3 -0"},
		"another zone": {"it cannot be changed in place, and what is done on the machine is done again", strings.Replace(first, "size: small", "updatePolicy: ReplaceAllowed, zone: x", 1),
			strings.Replace(first, "size: small", "updatePolicy: ReplaceAllowed, zone: other", 1), nil,
			"1 a Replace [0–2] zone: x → other (replaces) irreversible\n2 db Replace [etcd] (done again because its server is made anew by \"a\")\n3 b NoOp [0]", "+0 ~0 -0 ∓4"},
		"another zone, and no other machine may come": {"it will be refused", strings.Replace(first, "size: small", "zone: x", 1), strings.Replace(first, "size: small", "zone: other", 1), nil,
			"1 a Update [0–2] zone: x → other (replaces) problem\n2 db NoOp [etcd]\n3 b NoOp [0]", "+0 ~3 -0"},
		"one removed": {"it stays", first, ops(srv("a", 3, "small", ""), service("db", "a", "")), nil,
			"1 a NoOp [0–2]\n2 db NoOp [etcd]\n3 b Leave [0]", "+0 ~0 -0"},
		"one removed, prune": {"it goes, and does not come back", first, "prune: true\n" + ops(srv("a", 3, "small", ""), service("db", "a", "")), nil,
			"1 a NoOp [0–2]\n2 db NoOp [etcd]\n3 b Delete [0] irreversible", "+0 ~0 -1"},
		"an output of what changes": {"it is known after apply, and never a deletion",
			ops(srv("a", 1, "small", ""), service("db", "a", `, parameters: {peers: "${operations.a.outputs.addresses}"}`)),
			ops(srv("a", 2, "small", ""), service("db", "a", `, parameters: {peers: "${operations.a.outputs.addresses}"}`)), nil,
			"1 a NoOp [0]\n1 a Create [1]\n2 db Update [etcd] parameters.peers: 10.0.0.1 → (known after apply) servers.names[1]:  → " +
				v1alpha1.ChildName("wf", "a", "1") + " unknown ${operations.a.outputs.addresses}", "+1 ~1 -0"},
		"a command": {"what it does stays done", "", ops(srv("a", 1, "small", ""), `{name: c, type: Command, dependsOn: [{operation: a}], command: {script: "true", target: {operation: a}}}`), nil,
			"1 a Create [0]\n2 c Create [0] irreversible", "+2 ~0 -0"},
		"a command with an undo": {"", "", ops(srv("a", 1, "small", ""), `{name: c, type: Command, dependsOn: [{operation: a}], command: {script: "true", undo: "false", target: {operation: a}}}`), nil,
			"1 a Create [0]\n2 c Create [0]", "+2 ~0 -0"},
		"an orphan of that name": {"it is adopted", "", ops(srv("a", 2, "small", "")), func(s *stage, w *Workflow) World {
			orphan := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: w.names[1], UID: "o", Labels: map[string]string{
				v1alpha1.LabelWorkflow: "wf", v1alpha1.LabelOperation: "a", v1alpha1.LabelKey: "1"}}}
			orphan.Spec.ProviderRef.Name, orphan.Spec.Size = "p", "small"
			return WorldOf(nil, slices.Values([]Child{orphan}), nil)
		}, "1 a Create [0]\n1 a Adopt [1]", "+1 ~0 -0 ←1"},
		"somebody else's object of that name": {"it is in the way", "", ops(srv("a", 1, "small", "")), func(s *stage, w *Workflow) World {
			yes := true
			other := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: w.names[0], UID: "o", OwnerReferences: []metav1.OwnerReference{{Name: "x", Controller: &yes}}}}
			return WorldOf(nil, slices.Values([]Child{other}), nil)
		}, "1 a Create [0] problem", "+1 ~0 -0"},
		"one more, and a check of all": {"an edge of match All puts every server before the check, also one that is added", checked(3, ""), checked(4, ""), nil,
			"1 a NoOp [0–2]\n1 a Create [3]\n2 c Replace [0] (asked again because \"a\" changes, which it comes after)", "+1 ~0 -0 ∓1"},
		"one more, and a check of each": {"an edge of match SameIndex puts its own partner alone before each", checked(3, "SameIndex"), checked(4, "SameIndex"), nil,
			"1 a NoOp [0–2]\n1 a Create [3]\n2 c NoOp [0–2]\n2 c Create [3]", "+2 ~0 -0"},
		"something after an approval": {"nobody has seen that when they approved", ops(approval("gate", ""), srv("a", 1, "small", ", dependsOn: [{operation: gate}]")),
			ops(approval("gate", ""), srv("a", 2, "small", ", dependsOn: [{operation: gate}]")), func(s *stage, _ *Workflow) World {
				s.by("jane", "approve: gate")
				s.at(time.Minute).stand()
				return World{}
			},
			"1 gate Update [0] (asked again because \"a\" changes, which comes after it)\n2 a NoOp [0]\n2 a Create [1]", "+1 ~0 -0"},
		"what is decided without a child": {"it is no change of anything", "", ops(`{name: w, type: Wait, wait: {duration: 5s}}`, approval("gate", ", dependsOn: [{operation: w}]")), nil,
			"1 w Create [0]\n2 gate Create [0]", "+0 ~0 -0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			before := c.before
			if before == "" {
				before = c.after
			}
			s := newStage(t, before)
			w := s.rewrite(c.after)
			if c.before == "" {
				s.l = nil
			} else {
				s.stand().want(s.phases())
			}
			world := World{}
			if c.world != nil {
				world = c.world(s, w)
			}
			p, got := s.foresee(w, world)
			if got != c.want {
				t.Errorf("the plan says\n%s\nwant\n%s", got, c.want)
			}
			if p.Summary() != c.summary {
				t.Errorf("in short %q, want %q", p.Summary(), c.summary)
			}
		})
	}
}

// TestPlanHash: the hash is the same as long as the same would happen, and another one when the world or the workflow has changed.
func TestPlanHash(t *testing.T) {
	spec := ops(srv("a", 2, "small", ""), srv("b", 1, "small", ", dependsOn: [{operation: a}]"))
	s := newStage(t, spec).stand()
	edited := s.rewrite(strings.Replace(spec, "count: 2", "count: 3", 1))
	hash := func(w *Workflow, world World) string { p, _ := s.foresee(w, world); return p.Hash }
	first := hash(edited, World{})
	if len(first) != 32 || first != hash(edited, World{}) {
		t.Fatalf("the hash is %q, and then %q", first, hash(edited, World{}))
	}
	if priced := hash(edited, World{Prices: Prices{priceKey(v1alpha1.ServerShape{Size: "small", ProviderRef: v1alpha1.LocalRef{Name: "p"}}): {Currency: "EUR", Hourly: "1"}}}); priced != first {
		t.Error("a price is part of it")
	}
	if loose := hash(s.rewrite("parallelLimit: 3\nonFailure: Continue\n"+strings.Replace(spec, "count: 2", "count: 3", 1)), World{}); loose != first {
		t.Error("limits and policies, which act at once, are part of it")
	}
	for why, change := range map[string]func(){
		"another hand changed a child": func() { s.sights[0].Child.SetGeneration(2) },
		"a child was made anew":        func() { s.sights[0].Child.SetUID("another") },
		"a child is being deleted":     func() { at := metav1.Now(); s.sights[0].Child.SetDeletionTimestamp(&at) },
	} {
		kept := s.sights[0]
		kept.Child = kept.Child.DeepCopyObject().(Child)
		old := s.sights[0]
		s.sights[0] = kept
		if change(); hash(edited, World{}) == first {
			t.Errorf("%s: it is the same", why)
		}
		s.sights[0] = old
	}
	if hash(s.rewrite(spec), World{}) == first || hash(s.rewrite(strings.Replace(spec, "count: 2", "count: 4", 1)), World{}) == first {
		t.Error("other operations have the same")
	}
}

// TestPlanCost: what is known is added up, what is not is said to be unknown, and never 0.
func TestPlanCost(t *testing.T) {
	shape := func(size string) v1alpha1.ServerShape {
		return v1alpha1.ServerShape{Size: size, ProviderRef: v1alpha1.LocalRef{Name: "p"}}
	}
	prices := Prices{priceKey(shape("local")): nil, priceKey(shape("small")): {Currency: "EUR", Hourly: "0.0119"}, priceKey(shape("large")): {Currency: "EUR", Hourly: "0.05"}, priceKey(shape("us")): {Currency: "USD", Hourly: "0.1"}}
	cases := map[string]struct {
		reason, spec, want string
	}{
		"all known":      {"an hour and a month of 730 hours", ops(srv("a", 3, "small", "")), "+0.0357 EUR/h, +26.06 EUR/month"},
		"none known":     {"", ops(srv("a", 3, "huge", "")), "3 Servers of unknown cost"},
		"some known":     {"", ops(srv("a", 1, "small", ""), srv("b", 1, "huge", "")), "+0.0119 EUR/h, +8.69 EUR/month; 1 Server of unknown cost"},
		"two currencies": {"they are not mixed", ops(srv("a", 1, "small", ""), srv("b", 1, "us", "")), "+0.0119 EUR/h, +8.69 EUR/month; +0.1 USD/h, +73.00 USD/month"},
		"local machines": {"they are free of a provider's bill", ops(srv("a", 2, "local", "")), ""},
		"no Server":      {"", ops(`{name: w, type: Wait, wait: {duration: 5s}}`), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w, err := Compile(flow(t, c.spec), nil)
			if err != nil {
				t.Fatal(err)
			}
			p, err := w.Foresee(nil, World{Prices: prices})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Cost.String(); got != c.want {
				t.Errorf("%s: %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

// TestPlanIsBounded: a plan of 100,000 instances fits beside the ledger, and reads as it was written.
func TestPlanIsBounded(t *testing.T) {
	keys := make([]string, 1000)
	for n := range keys {
		keys[n] = fmt.Sprintf("{key: m-%d}", n)
	}
	named := make([]string, 100)
	for k := range named {
		named[k] = batch(fmt.Sprintf("op-%d", k), strings.Join(keys, ", "), "")
	}
	for name, spec := range map[string]string{"numbered": ops(srv("a", MaxInstances, "small", "")), "by key": ops(named...)} {
		t.Run(name, func(t *testing.T) {
			w, err := Compile(flow(t, spec), nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			p, err := w.Foresee(nil, World{})
			if err != nil {
				t.Fatal(err)
			}
			data, err := EncodePreview(p)
			if err != nil || len(data) > maxPlanData {
				t.Fatalf("%d bytes: %v", len(data), err)
			}
			t.Logf("%d bytes, made and written in %s", len(data), time.Since(began))
			read, err := DecodePreview(data)
			if err != nil || read.Counts()[DeedCreate] != MaxInstances || read.Hash != p.Hash {
				t.Fatalf("it reads %+v: %v", read.Counts(), err)
			}
		})
	}
}

// TestPlanReadsAsWritten: a plan survives being kept, and what is no plan is refused.
func TestPlanReadsAsWritten(t *testing.T) {
	s := newStage(t, ops(srv("a", 2, "small", ""))).stand()
	p, _ := s.foresee(s.rewrite(ops(srv("a", 2, "large", ""), srv("b", 1, "small", ""))), World{})
	data, err := EncodePreview(p)
	if err != nil {
		t.Fatal(err)
	}
	read, err := DecodePreview(data)
	if diff := cmp.Diff(p, read); err != nil || diff != "" {
		t.Errorf("it reads differently: %v\n%s", err, diff)
	}
	for _, bad := range [][]byte{nil, {1, 2, 3}, data[:len(data)/2]} {
		if _, err := DecodePreview(bad); err == nil {
			t.Errorf("%d bytes are taken for a plan", len(bad))
		}
	}
}
