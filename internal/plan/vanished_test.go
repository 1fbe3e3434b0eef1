package plan

import (
	"strings"
	"testing"
	"time"
)

// TestVanished: what goes while its instance is not over is made again; what goes later is told of.
func TestVanished(t *testing.T) {
	s := newStage(t, ops(server("a", ""), server("b", ""), server("c", ", dependsOn: [{operation: a}, {operation: b}]")))
	told := func() string { return Vanished(s.w, s.l, s.sights) }
	if told() != "" {
		t.Errorf("nothing was made yet: %s", told())
	}
	ready := Sight{Ready: true, Asked: 1, Answered: 1}
	if s.see("a/0", ready).see("b/0", ready).at(time.Second); told() != "" {
		t.Errorf("c is not over: it is made, or made again: %s", told())
	}
	delete(s.sights, s.instance("a/0"))
	if s.at(2 * time.Second); !strings.Contains(told(), "ChildVanished: Server "+s.w.names[0]+", which was made, is gone") {
		t.Errorf("a is gone: %s", told())
	}
	delete(s.sights, s.instance("b/0"))
	if s.at(3 * time.Second); !strings.Contains(told(), "and 1 more") || len(told()) > 256 {
		t.Errorf("a and b are gone: %s", told())
	}
	for _, action := range Act(s.w, s.l, s.sights) {
		if action.Instance != s.instance("c/0") {
			t.Errorf("%s %s", action.Do, action.Name)
		}
	}
}
