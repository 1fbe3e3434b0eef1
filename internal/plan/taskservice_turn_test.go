package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// TestRollout: how many servers a change begins on, and what the others are told.
func TestRollout(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	old := func(name string, change ...func(*Host)) Host {
		h := Host{Name: name, Wanted: true, Digest: "new", Machine: "m-" + name, State: HostReady,
			Recorded: v1alpha1.ServiceOnServer{Name: name, Machine: "m-" + name, Phase: v1alpha1.ServiceReady, Digest: "old", Round: 1}}
		for _, c := range change {
			c(&h)
		}
		return h
	}
	dead := func(h *Host) { h.State, h.Why = HostWaiting, "Server "+h.Name+" is not ready: Unreachable" }
	phase := func(p v1alpha1.ServicePhase, digest string) func(*Host) {
		return func(h *Host) { h.Recorded.Phase, h.Recorded.Digest = p, digest }
	}
	failed := func(h *Host) {
		h.Recorded.Phase, h.Recorded.Reason, h.Recorded.Message = v1alpha1.ServiceFailed, "ScriptFailed", "apply ended with code 1"
		h.Recorded.Run = (&work{seen: ServiceSeen{UID: "uid"}, host: *h, status: h.Recorded}).id(RunApply)
	}
	applying := func(h *Host) {
		h.Recorded.Phase = v1alpha1.ServiceApplying
		h.Recorded.Run = (&work{seen: ServiceSeen{UID: "uid"}, host: *h, status: h.Recorded}).id(RunApply)
		h.Said = &RunSaid{State: RunStateRunning}
	}
	tests := map[string]struct {
		reason string
		slots  int
		hosts  []Host
		begins []string
		queued string // words that those which wait are told
	}{
		"one at a time":        {reason: "the default", hosts: []Host{old("a"), old("b"), old("c")}, begins: []string{"a"}, queued: "one server at a time (rollout.maxUnavailable), and server a comes first"},
		"two at a time":        {reason: "as the spec says", slots: 2, hosts: []Host{old("a"), old("b"), old("c")}, begins: []string{"a", "b"}, queued: "2 servers at a time"},
		"more slots than work": {reason: "nobody waits", slots: 9, hosts: []Host{old("a"), old("b")}, begins: []string{"a", "b"}},
		"one is under way":     {reason: "it holds a slot", slots: 2, hosts: []Host{old("a", applying), old("b"), old("c")}, begins: []string{"b"}, queued: "server a comes first"},
		"one is verified":      {reason: "until its health is known it holds a slot", hosts: []Host{old("a", phase(v1alpha1.ServiceVerifying, "new")), old("b")}, queued: "server a comes first"},
		"one failed":           {reason: "stop at the first failure, whatever slots are left", slots: 3, hosts: []Host{old("a", failed), old("b"), old("c")}, queued: "the change failed on server a"},
		"one is dead":          {reason: "it holds nobody up", hosts: []Host{old("a", dead), old("b"), old("c")}, begins: []string{"b"}, queued: "server b comes first"},
		"dead in a change":     {reason: "the change may be why it is dead", hosts: []Host{old("a", applying, dead), old("b")}, queued: "server a comes first"},
		"fresh ones":           {reason: "members of a cluster need each other", hosts: []Host{old("a", phase("", "")), old("b", phase("", "")), old("c", phase("", ""))}, begins: []string{"a", "b", "c"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			step := TaskService(ServiceSeen{UID: "uid", Version: "1", Interval: time.Minute, Pause: time.Second, Slots: tc.slots, Hosts: tc.hosts}, now)
			var begins []string
			for _, a := range step.Actions {
				if a.Do == RunCheck {
					begins = append(begins, a.Server)
				}
			}
			if diff := cmp.Diff(tc.begins, begins); diff != "" {
				t.Errorf("%s: begins (-want +got):\n%s", tc.reason, diff)
			}
			told := ""
			for _, s := range step.Servers {
				if s.Reason == string(fault.ReasonQueued) {
					told = s.Message
				}
			}
			if tc.queued == "" && told != "" || !strings.Contains(told, tc.queued) {
				t.Errorf("%s: the others are told %q", tc.reason, told)
			}
		})
	}
}

// TestDrift: what a look at a machine that another hand may have changed leads to, by policy.
func TestDrift(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	differs := &RunSaid{State: RunStateExited, Code: exitDiffers, Tail: "web: /etc/x is missing or differs\n"}
	tests := map[string]struct {
		reason string
		policy v1alpha1.DriftPolicy
		was    v1alpha1.ServicePhase // "": Ready
		look   HealthLook
		said   *RunSaid
		before string // drift that is told already
		do     RunVerb
		phase  v1alpha1.ServicePhase
		drift  string
		why    fault.Reason
	}{
		"after a good look":      {reason: "health and drift take turns", look: HealthLook{Last: now.Add(-time.Hour), Drift: true}, do: RunDrift, phase: v1alpha1.ServiceReady},
		"ignored":                {reason: "nobody wants to know", policy: v1alpha1.DriftIgnore, look: HealthLook{Last: now.Add(-time.Hour), Drift: true}, do: RunHealth, phase: v1alpha1.ServiceReady},
		"nothing differs":        {reason: "nothing is written", look: HealthLook{Under: true, Drift: true}, said: &RunSaid{State: RunStateExited}, phase: v1alpha1.ServiceReady},
		"differs":                {reason: "it is put back", look: HealthLook{Under: true, Drift: true}, said: differs, do: RunCheck, phase: v1alpha1.ServiceChecking, drift: "/etc/x is missing or differs", why: fault.ReasonDrifted},
		"differs, reported":      {reason: "it is told and left alone", policy: v1alpha1.DriftReport, look: HealthLook{Under: true, Drift: true}, said: differs, phase: v1alpha1.ServiceReady, drift: "/etc/x is missing or differs"},
		"gone again":             {reason: "what was told is taken back", policy: v1alpha1.DriftReport, look: HealthLook{Under: true, Drift: true}, said: &RunSaid{State: RunStateExited}, before: "changed", phase: v1alpha1.ServiceReady},
		"the check is at odds":   {reason: "no answer is no drift", look: HealthLook{Under: true, Drift: true}, said: &RunSaid{State: RunStateExited, Code: 127}, before: "changed", phase: v1alpha1.ServiceReady, drift: "changed"},
		"unwell":                 {reason: "a stopped daemon is put back too", look: HealthLook{Under: true}, said: &RunSaid{State: RunStateExited, Code: 1}, do: RunCheck, phase: v1alpha1.ServiceChecking, why: fault.ReasonUnhealthy},
		"unwell, reported":       {reason: "and is left alone where drifts are", policy: v1alpha1.DriftReport, look: HealthLook{Under: true}, said: &RunSaid{State: RunStateExited, Code: 1}, phase: v1alpha1.ServiceUnhealthy, why: fault.ReasonUnhealthy},
		"unwell, and why":        {reason: "what differs is told of one that is not repaired", policy: v1alpha1.DriftReport, was: v1alpha1.ServiceUnhealthy, look: HealthLook{Under: true, Drift: true}, said: differs, phase: v1alpha1.ServiceUnhealthy, drift: "/etc/x is missing or differs"},
		"unwell, then asked why": {reason: "the look after the bad one is at what differs", policy: v1alpha1.DriftReport, was: v1alpha1.ServiceUnhealthy, look: HealthLook{Last: now.Add(-time.Hour), Drift: true}, do: RunDrift, phase: v1alpha1.ServiceUnhealthy},
		"unwell, drift ignored":  {reason: "nobody wants to know why", policy: v1alpha1.DriftIgnore, was: v1alpha1.ServiceUnhealthy, look: HealthLook{Last: now.Add(-time.Hour), Drift: true}, do: RunHealth, phase: v1alpha1.ServiceUnhealthy},
		"reported, now put back": {reason: "another policy takes up what was only told", was: v1alpha1.ServiceUnhealthy, look: HealthLook{Under: true}, said: &RunSaid{State: RunStateExited, Code: 1}, before: "changed", do: RunCheck, phase: v1alpha1.ServiceChecking, drift: "changed", why: fault.ReasonUnhealthy},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.was == "" {
				tc.was = v1alpha1.ServiceReady
			}
			host := Host{Name: "a", Wanted: true, Digest: "d", Machine: "m", State: HostReady, Look: tc.look, Said: tc.said,
				Recorded: v1alpha1.ServiceOnServer{Name: "a", Machine: "m", Phase: tc.was, Digest: "d", Version: "1", Round: 1, Drift: tc.before}}
			step := TaskService(ServiceSeen{UID: "uid", Version: "1", Interval: time.Minute, Pause: time.Second, Drift: tc.policy, Hosts: []Host{host}}, now)
			if len(step.Actions) != 1 || len(step.Servers) != 1 {
				t.Fatalf("%+v", step)
			}
			if tc.do == "" {
				tc.do = RunNone
			}
			s, a := step.Servers[0], step.Actions[0]
			if a.Do != tc.do || s.Phase != tc.phase || !strings.Contains(s.Drift, tc.drift) || (s.Drift == "") != (tc.drift == "") || s.Reason != string(tc.why) {
				t.Errorf("%s: does %s, then %+v", tc.reason, a.Do, s)
			}
		})
	}
}
