package plan

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// drawSpec draws servers, services over them, what refers to their outputs, and what rests on those.
func drawSpec(t *rapid.T, label string) string {
	draw := func(what string, most int) int { return rapid.IntRange(0, most).Draw(t, label+" "+what) }
	size := func(what string) string {
		return rapid.SampledFrom([]string{"small", "large"}).Draw(t, label+" size of "+what)
	}
	all := []string{srv("a", 1+draw("count of a", 2), size("a"), "")}
	if draw("services", 3) > 0 {
		more := []string{"", `, version: "3.6"`, `, parameters: {peers: "${operations.a.outputs.addresses}"}`}[draw("service", 2)]
		all = append(all, service("db", "a", more))
		if draw("on top", 1) > 0 {
			all = append(all, srv("b", 1+draw("count of b", 1), size("b"), ", dependsOn: [{operation: db}]"))
		}
	}
	if draw("command", 2) == 0 {
		all = append(all, `{name: c, type: Command, dependsOn: [{operation: a}], command: {script: "`+size("script")+`", target: {operation: a, key: "0"}}}`)
	}
	if draw("other", 2) == 0 {
		all = append(all, srv("z", 1, size("z"), ""))
	}
	prune := ""
	if draw("prune", 1) > 0 {
		prune = "prune: true\n"
	}
	return prune + ops(all...)
}

// enact plays a run to its end and returns what was done to each child, by name.
func (s *stage) enact() map[string]Deed {
	made, gone, changed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for n := 0; n < 200; n++ {
		under, err := s.w.Under(s.l)
		if err != nil {
			s.Fatal(err)
		}
		if s.l.Phase.Terminal() && s.w.Fits(s.l) {
			break
		}
		if s.l, s.wake, err = Advance(under, s.l, s.sights, nil, s.now); err != nil {
			s.Fatal(err)
		}
		if under, err = s.w.Under(s.l); err != nil {
			s.Fatal(err)
		}
		s.replace(under)
		for _, action := range Act(under, s.l, s.sights) {
			s.enactOne(action, made, gone, changed)
		}
		s.now = s.now.Add(time.Second)
	}
	deeds := map[string]Deed{}
	for name := range changed {
		deeds[name] = DeedUpdate
	}
	for name := range gone {
		deeds[name] = DeedDelete
	}
	for name := range made {
		if deeds[name] = DeedCreate; gone[name] {
			deeds[name] = DeedReplace
		}
	}
	return deeds
}

// replace puts sights where the ledger of now has its places.
func (s *stage) replace(under *Workflow) {
	places, moved := under.Places(s.l), Sights{}
	for at, sight := range s.sights {
		switch place := -1; {
		case sight.Child != nil:
			if place = places.Of(sight.Child.GetName()); place >= 0 {
				moved[place] = sight
			}
		case sight.Gone:
			moved[at] = sight
		}
	}
	s.sights = moved
}

func (s *stage) enactOne(action ChildAction, made, gone, changed map[string]bool) {
	switch action.Do {
	case Ensure:
		made[action.Name] = true
		action.Child.SetUID(types.UID(fmt.Sprintf("uid-%s-%d", action.Name, len(made)+len(gone))))
		action.Child.SetGeneration(1)
		s.sights[action.Instance] = answering(action.Child, action.Attempt)
	case Update, Retreat:
		changed[action.Name] = true
		live := s.sights[action.Instance].Child.DeepCopyObject().(Child)
		if err := action.Rewrite(live); err != nil {
			s.Fatal(err)
		}
		live.SetGeneration(live.GetGeneration() + 1)
		s.sights[action.Instance] = answering(live, action.Attempt)
	case Raise:
		changed[action.Name] = true
		s.sights[action.Instance] = answering(s.sights[action.Instance].Child, action.Attempt)
	case Delete, Supplant:
		gone[action.Name] = true
		s.sights[action.Instance] = Sight{Gone: true}
	default:
		s.Fatalf("%s of %s", action.Do, action.Name)
	}
}

func answering(child Child, attempt int32) Sight {
	return Sight{Exists: true, Ready: true, Asked: attempt, Answered: attempt, UID: child.GetUID(), Child: child, Outputs: map[string]string{"addresses": "10.0.0.1", "endpoints": "http://e"}}
}

// TestPlanIsWhatHappens: a run does to every child what the plan said, after any edit. Where a value was known only after apply, it may
// turn out that nothing was left to do.
func TestPlanIsWhatHappens(test *testing.T) {
	rapid.Check(test, func(t *rapid.T) {
		before, after := drawSpec(t, "before"), drawSpec(t, "after")
		s := newStage(test, before)
		s.enact()
		if s.l.Phase != saga.RunSucceeded {
			t.Fatalf("the first run: %s", s.phases())
		}
		s.w = s.rewrite(after)
		p, err := s.w.Foresee(s.l, World{Sights: s.sights})
		if err != nil {
			t.Skip(err) // the edit can never work
		}
		did := s.enact()
		if s.l.Phase != saga.RunSucceeded {
			t.Fatalf("the second run: %s", s.phases())
		}
		for _, op := range p.Operations {
			for _, part := range op.Parts {
				for _, key := range part.Keys.all() {
					name := v1alpha1.ChildName("wf", op.Name, key)
					want := part.Do
					if want == DeedNone || want == DeedLeave {
						want = ""
					}
					if got := did[name]; got != want && !(part.Unknown != nil && got == "") {
						t.Errorf("%s[%s]: %q was done, and the plan said %q\n%s\n→\n%s\nthe plan:\n%s", op.Name, key, got, part.Do, before, after, written(p))
					}
					delete(did, name)
				}
			}
		}
		if len(did) > 0 {
			t.Errorf("done and not in the plan: %v\n%s\n→\n%s", did, before, after)
		}
	})
}

// all lists the keys.
func (k Keys) all() (all []string) {
	for _, r := range k.Ranges {
		for n := r[0]; n <= r[1]; n++ {
			all = append(all, fmt.Sprint(n))
		}
	}
	return append(all, k.Names...)
}
