package plan

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/saga"
)

// machine shows an instance's Server in a state; what it says of it is up to date.
func (s *stage) machine(instance string, power v1alpha1.Power, sight Sight) *stage {
	s.Helper()
	i := s.instance(instance)
	server := &v1alpha1.Server{}
	server.Name, server.UID, server.Spec.Power = s.w.names[i], types.UID("uid-"+instance), power
	sight.Child, sight.UID = server, server.UID
	return s.see(instance, sight)
}

// switchedTo lists what is switched now: "wf-a-0 Stopped".
func (s *stage) switchedTo() string {
	var all []string
	for _, action := range Act(s.w, s.l, s.sights) {
		if action.Do == Switch {
			all = append(all, s.l.Ops[s.l.OpOf(action.Instance)].Name+"/"+s.l.Key(action.Instance)+" "+string(action.Power))
		}
	}
	return strings.Join(all, ", ")
}

func power(name, on, state, more string) string {
	return `{name: ` + name + `, type: Power, dependsOn: [{operation: ` + on + `}], power: {state: ` + state + `, target: {operation: ` + on + `}}` + more + `}`
}

// TestPower: Servers that this workflow made are switched, one instance a server; undo puts back what was before.
func TestPower(t *testing.T) {
	nightly := ops(`{name: a, type: ServerBatch, serverBatch: {count: 2, template: {spec: {providerRef: {name: p}}}}}`, power("night", "a", "Stopped", ""))
	back := "onFailure: Rollback\n" + ops(server("a", ", keepOnUndo: true"), power("night", "a", "Stopped", ""), server("b", ", dependsOn: [{operation: night}]"))
	up := Sight{Ready: true, Asked: 1, Answered: 1}
	playAll(t, map[string]scene{
		"switched": {"it has succeeded when the Server says so", nightly, func(s *stage) {
			s.machine("a/0", "Running", up).machine("a/1", "Stopped", up).at(1).want("Running: a/0 Succeeded, a/1 Succeeded, night/0 Running, night/1 Succeeded")
			if got := s.switchedTo(); got != "a/0 Stopped" {
				s.Fatalf("switched: %s", got)
			}
			s.machine("a/0", "Stopped", going).at(2).want("Running: a/0 Succeeded, a/1 Succeeded, night/0 Running, night/1 Succeeded")
			if s.switchedTo() != "" {
				s.Error("it is switched again")
			}
			s.machine("a/0", "Stopped", up).at(3).want("Succeeded: a/0 Succeeded, a/1 Succeeded, night/0 Succeeded, night/1 Succeeded")
			if ref := Summarise(s.w, s.l, s.sights).Operations[2].ChildRef; ref == nil || ref.Kind != KindServer || ref.Name != s.w.names[0] {
				s.Errorf("people are led to %+v", ref)
			}
		}},
		"refused": {"in the Server's own words, attempt by attempt", ops(server("a", ""), power("night", "a", "Stopped", ", retry: {limit: 1, backoff: {duration: 10s}}")), func(s *stage) {
			s.machine("a/0", "Running", up).at(1).machine("a/0", "Stopped", stalled(1)).at(2 * time.Second).want("Running: a/0 Succeeded, night/0 Retrying").at(14 * time.Second)
			s.want("Failed: a/0 Succeeded, night/0 Failed")
			if !strings.Contains(Verdict(s.w, s.l, 0).Error(), "the quota of 20 machines is used up") {
				s.Error(Verdict(s.w, s.l, 0))
			}
		}},
		"too slow": {"", ops(server("a", ""), power("night", "a", "Stopped", ", timeout: 10s")), func(s *stage) {
			s.machine("a/0", "Running", up).at(1).machine("a/0", "Stopped", going).at(2 * time.Second).at(14 * time.Second).want("Failed: a/0 Succeeded, night/0 Failed")
		}},
		"gone": {"it makes no server", ops(server("a", ""), power("night", "a", "Stopped", "")), func(s *stage) {
			s.machine("a/0", "Running", up).at(1)
			s.sights[0] = Sight{}
			s.at(2).want("Failed: a/0 Succeeded, night/0 Failed")
			if s.l.Reason(1) != string(fault.ReasonServerNotFound) {
				s.Errorf("the reason is %s", s.l.Reason(1))
			}
		}},
		"undone": {"what was kept is switched back", back, func(s *stage) {
			s.machine("a/0", "Running", up).at(1).machine("a/0", "Stopped", up).at(2).see("b/0", stalled(1)).at(3).see("b/0", gone).at(4)
			s.want("Undoing: a/0 Succeeded, night/0 Undoing, b/0 Undone")
			if got := s.switchedTo(); got != "a/0 Running" {
				s.Fatalf("switched: %s", got)
			}
			s.machine("a/0", "Running", going).at(5).want("RolledBack: a/0 Succeeded, night/0 Undone, b/0 Undone")
		}},
		"undone, and it had been so": {"nothing was done, so nothing is taken back", back, func(s *stage) {
			s.machine("a/0", "Stopped", up).at(1).at(2).see("b/0", stalled(1)).at(3).see("b/0", gone).at(4).want("RolledBack: a/0 Succeeded, night/0 Undone, b/0 Undone")
			if s.switchedTo() != "" {
				s.Error("something is switched")
			}
		}},
		"undo fails": {"it is left over, and named", back, func(s *stage) {
			s.machine("a/0", "Running", up).at(1).machine("a/0", "Stopped", up).at(2).see("b/0", stalled(1)).at(3).see("b/0", gone).at(4)
			s.l.Marks[0] |= saga.Stood // of an earlier run
			s.machine("a/0", "Running", stalled(1)).at(5).want("RollbackFailed: a/0 Succeeded, night/0 UndoFailed, b/0 Undone")
			if left := Summarise(s.w, s.l, s.sights).Leftovers; len(left) != 1 || left[0].ChildRef == nil || left[0].ChildRef.Name != s.w.names[0] {
				s.Errorf("left over: %+v", left)
			}
		}},
		"one of them, by key": {"", ops(batch("a", "{key: x}, {key: z}", ""), `{name: night, type: Power, dependsOn: [{operation: a}], power: {state: Stopped, target: {operation: a, key: z}}}`), func(s *stage) {
			s.machine("a/x", "Running", up).machine("a/z", "Running", up).at(1)
			if got := s.switchedTo(); got != "a/z Stopped" {
				s.Fatalf("switched: %s", got)
			}
		}},
	})
}

// TestPowerRefuses: only servers that this workflow made, and only when they are there.
func TestPowerRefuses(t *testing.T) {
	for spec, want := range map[string]string{
		ops(`{name: n, type: Power, power: {state: Stopped, target: {server: web-1}}}`):                                                                                                                                        "only servers that this workflow made are switched",
		ops(`{name: n, type: Power, power: {state: Stopped, target: {operation: a}}}`):                                                                                                                                         `operation "a" does not exist`,
		ops(server("a", ""), `{name: n, type: Power, power: {state: Stopped, target: {operation: a}}}`):                                                                                                                        `add "a", whose servers are meant, to dependsOn`,
		ops(server("a", ""), `{name: n, type: Power, dependsOn: [{operation: a}], power: {state: Asleep, target: {operation: a}}}`):                                                                                            `power.state is "Asleep"`,
		ops(server("a", ""), `{name: n, type: Power, dependsOn: [{operation: a}]}`):                                                                                                                                            "needs the section power",
		ops(`{name: w, type: Wait, wait: {duration: 1s}}`, `{name: n, type: Power, dependsOn: [{operation: w}], power: {state: Stopped, target: {operation: w}}}`):                                                             `only a ServerBatch has servers`,
		ops(server("a", ""), power("night", "a", "Stopped", ""), power("day", "a", "Running", "")):                                                                                                                             `operations "night" and "day" switch the same server, which is asked to be Running and Stopped, and neither comes before the other`,
		ops(server("a", ""), power("night", "a", "Stopped", ""), power("eve", "a", "Stopped", ""), `{name: day, type: Power, dependsOn: [{operation: a}, {operation: eve}], power: {state: Running, target: {operation: a}}}`): `operations "night" and "eve" switch the same server`,
	} {
		if _, err := Compile(flow(t, spec), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", spec, err, want)
		}
	}
}

// TestPowersInALine: a server may be stopped and started again, one after the other, and may be stopped twice at once.
func TestPowersInALine(t *testing.T) {
	for _, spec := range []string{
		ops(server("a", ""), power("night", "a", "Stopped", ""), `{name: day, type: Power, dependsOn: [{operation: a}, {operation: night, type: Soft, match: SameIndex}], power: {state: Running, target: {operation: a}}}`),
		ops(server("a", ""), power("night", "a", "Stopped", ""), power("eve", "a", "Stopped", "")),
	} {
		if _, err := Compile(flow(t, spec), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestPowerIsKept: an update of a server leaves it in the state that it is in, and the plan says what is switched.
func TestPowerIsKept(t *testing.T) {
	spec := ops(srv("a", 1, "small", ""), power("night", "a", "Stopped", ""))
	s := newStage(t, spec)
	s.machine("a/0", "Running", Sight{Ready: true, Asked: 1, Answered: 1}).at(1)
	if p, got := s.foresee(s.w, World{}); got != "1 a NoOp [0]\n2 night Update [0] power: Running → Stopped" || p.Summary() != "+0 ~1 -0" {
		t.Errorf("the plan says\n%s\n%s", got, p.Summary())
	}
	w := s.rewrite(strings.Replace(spec, "spec: {providerRef", "labels: {role: x}, spec: {providerRef", 1))
	child := w.server(&w.ops[0], 0)
	if w.keepPower(0, child, s.machine("a/0", "Stopped", going).sights[0]); child.(*v1alpha1.Server).Spec.Power != v1alpha1.PowerStopped {
		t.Error("an update would switch it on")
	}
	live := &v1alpha1.Server{}
	if err := (ChildAction{Do: Switch, Power: v1alpha1.PowerStopped}).Rewrite(live); err != nil || live.Spec.Power != v1alpha1.PowerStopped {
		t.Errorf("%s, %v", live.Spec.Power, err)
	}
}
