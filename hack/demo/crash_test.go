package main

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/api/v1alpha1"
)

func TestSaboteurStrikesEachMomentOnce(t *testing.T) {
	fresh := scene(t, "1", 0)
	serving := func(version string, phase v1alpha1.ServicePhase) *snapshot {
		service := v1alpha1.TaskService{}
		service.Status.Servers = []v1alpha1.ServiceOnServer{{Phase: phase}}
		service.Status.Total, service.Status.Ready = 3, 1
		return scene(t, version, 3, service)
	}
	b := &saboteur{left: moments(false)}
	steps := []struct {
		reason string
		s      *snapshot
		want   string // a part of what happens then; empty: no strike
	}{
		{"there is nothing yet", &snapshot{}, ""},
		{"the first sight", fresh, "just been applied"},
		{"nothing was written since", fresh, ""},
		{"servers without a service", scene(t, "2", 2), "servers come up"},
		{"a service is looked at", serving("3", v1alpha1.ServiceChecking), "looked at"},
		{"the same world", serving("3", v1alpha1.ServiceChecking), ""},
		{"that moment is used up", serving("4", v1alpha1.ServiceChecking), ""},
		{"installing", serving("5", v1alpha1.ServiceApplying), "being installed"},
		{"verifying", serving("6", v1alpha1.ServiceVerifying), "being checked"},
		{"one of three is ready", serving("7", v1alpha1.ServiceReady), "others are not"},
	}
	kills := 0
	for _, step := range steps {
		m := b.strike(step.s)
		switch {
		case m == nil && step.want != "":
			t.Fatalf("%s: no strike, want %q", step.reason, step.want)
		case m != nil && (step.want == "" || !strings.Contains(m.while, step.want)):
			t.Fatalf("%s: struck while %s, want %q", step.reason, m.while, step.want)
		case m != nil:
			b.seal = step.s.seal()
			kills++
		}
	}
	if b.kills != kills || len(b.left) != 1 {
		t.Errorf("%d kills and %d moments left, want %d and 1", b.kills, len(b.left), kills)
	}
}

func TestWitnessNoticesReplacements(t *testing.T) {
	cases := map[string]struct {
		reason string
		seen   []string // of one thing, in order
		want   int
	}{
		"never":   {"what was not seen was not replaced", nil, 0},
		"steady":  {"the same all the time", []string{"a", "a", "a"}, 0},
		"silent":  {"not to be seen for a moment is no replacement", []string{"a", "", "a"}, 0},
		"other":   {"another one", []string{"a", "b"}, 1},
		"returns": {"a replacement stays on record", []string{"a", "b", "a"}, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWitness()
			w.see(sawMember+"x", "m", 0)
			for kills, who := range tc.seen {
				w.see(sawServer+"x", who, kills)
			}
			if got := w.replaced(); len(got) != tc.want {
				t.Errorf("%s: %v", tc.reason, got)
			}
		})
	}
}

func TestWitnessReport(t *testing.T) {
	w := newWitness()
	w.see(sawProcess+"servers/0", "pid 7 (started at tick 99)", 3)
	w.see(sawServer+"servers/1", "process-b", 0)
	w.see(sawServer+"servers/0", "process-a", 1)
	w.see(sawServer+"servers/0", "process-c", 2)
	var got strings.Builder
	for _, l := range w.report() {
		got.WriteString(l.Draw(0, false) + "\n")
	}
	golden(t, "report", got.String())
}
