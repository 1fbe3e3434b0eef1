package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

// storm plays a yard whose operator dies between any two steps, or acts on a ledger that is no longer the newest, while what the survey says
// changes, its child vanishes and the Checkpoint is torn away.
type storm struct {
	*yard
	rng  *rand.Rand
	old  *saga.Ledger // what another operator still remembers
	made map[string]int
	lost bool
	seen map[string]int // what happened at all
}

// TestSpanStorm: whatever happens, there is never a Server that the ledger does not know, none is made twice, and an expansion that is on record
// stays what it is, unless the record itself was lost.
func TestSpanStorm(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(400) {
		s := &storm{yard: newYard(t, ops(survey, surveyed, each("clock", "{name: chrony}", ""), etcdOp, reached)), rng: rand.New(rand.NewPCG(seed, 7)), made: map[string]int{}, seen: seen}
		s.lists = s.anyList()
		span := ""
		for range 60 {
			s.step()
			if s.l == nil || s.l.Find("servers") < 0 {
				continue
			}
			now := s.l.Ops[s.l.Find("servers")].Span
			if span != "" && now != span && !s.lost {
				t.Fatalf("seed %d: it was expanded from %q, and then from %q", seed, span, now)
			}
			span, s.lost = now, false
			for _, kid := range s.kids {
				if name := nameOf(kid); strings.HasPrefix(name, "servers/") && !slices.Contains(s.l.Ops[s.l.Find("servers")].Keys, strings.TrimPrefix(name, "servers/")) {
					t.Fatalf("seed %d: %s is there, and the ledger says %s", seed, name, s.phases())
				}
			}
		}
		for name, n := range s.made {
			if n > 1 {
				t.Fatalf("seed %d: %s was made %d times", seed, name, n)
			}
		}
	}
	for _, what := range []string{"died before the record", "died before the deed", "stale ledger refused", "another list", "rebuilt", "not rebuilt", "expanded"} {
		if seen[what] == 0 {
			t.Errorf("it never happened: %s (%v)", what, seen)
		}
	}
}

func (s *storm) anyList() string {
	keys := []string{"a", "b", "c", "d"}
	s.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return strings.Join(keys[:1+s.rng.IntN(len(keys))], ",")
}

func (s *storm) step() {
	switch s.rng.IntN(12) {
	case 0:
		if s.has("survey/0") {
			s.seen["another list"]++
			s.list(s.anyList())
		}
	case 1:
		if s.rng.IntN(6) == 0 && s.l != nil && s.has("survey/0") {
			delete(s.kids, s.kid("survey/0").GetName())
		}
	case 2:
		if s.rng.IntN(6) == 0 && s.l != nil {
			s.tear()
		}
	case 3:
		s.old = s.l
	default:
		s.lookOnce()
	}
}

func (s *storm) has(name string) bool {
	for _, kid := range s.kids {
		if nameOf(kid) == name {
			return true
		}
	}
	return false
}

// tear takes the Checkpoint away, as far as it can be made anew.
func (s *storm) tear() {
	var kids []Child
	for _, kid := range s.kids {
		kids = append(kids, kid)
	}
	w, found := s.compiled().Recover(kids), map[int]Found{}
	for name, kid := range s.kids {
		i, ours := w.Instance(name)
		if !ours {
			s.seen["not rebuilt"]++
			return
		}
		found[i] = Find(kid)
	}
	if len(found) == 0 {
		return
	}
	l, err := Rebuild(w, v1alpha1.BatchWorkflowStatus{Phase: v1alpha1.WorkflowRunning}, found, nil, s.now)
	if err != nil {
		s.Fatal(err)
	}
	s.seen["rebuilt"]++
	s.l, s.old, s.lost = l, nil, true
}

// lookOnce is a look that may be cut short, or made by one who remembers an older ledger.
func (s *storm) lookOnce() {
	compiled := s.compiled()
	if s.l == nil {
		s.l, _ = compiled.Start(s.now.Unix())
	}
	ledger, stale := s.l, s.old != nil && s.old != s.l && s.rng.IntN(3) == 0
	if stale {
		ledger = s.old
	}
	w, err := compiled.Under(ledger)
	if err != nil {
		s.Fatal(err)
	}
	sights, places := Sights{}, w.Places(ledger)
	for name, kid := range s.kids {
		if place := places.Of(name); place >= 0 && Wants(w, ledger, place) {
			sights[place] = Look(kid)
		} else if !stale {
			s.Fatalf("%s is taken for a stray by %s", nameOf(kid), s.phases())
		}
	}
	next, _, err := Advance(w, ledger, sights, nil, s.now)
	if err != nil {
		s.Fatal(err)
	}
	s.now = s.now.Add(1e9)
	switch {
	case stale: // neither its record nor, after asking whether its ledger is the newest, its deeds
		s.seen["stale ledger refused"]++
		return
	case s.rng.IntN(8) == 0:
		s.seen["died before the record"]++
		return
	}
	if s.l = next; w.Replanned(next) {
		s.seen["expanded"]++
		return
	}
	for _, action := range Act(w, s.l, sights) {
		if s.rng.IntN(8) == 0 {
			s.seen["died before the deed"]++
			return
		}
		if action.Do == Ensure && action.Kind == KindServer && s.kids[action.Name] == nil {
			s.made[action.Name]++
		}
		s.do(action)
	}
}
