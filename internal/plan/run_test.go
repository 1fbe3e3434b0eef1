package plan

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func command() v1alpha1.RunSpec {
	return v1alpha1.RunSpec{
		Action: v1alpha1.RunCommand, Target: &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: "web"}},
		Command: &v1alpha1.CommandScript{Script: "true"}, Timeout: metav1.Duration{Duration: time.Minute},
	}
}

func TestJudge(t *testing.T) {
	http := v1alpha1.RunSpec{Action: v1alpha1.RunHTTP, HTTP: &v1alpha1.HTTPProbe{URL: "http://web/"}}
	with := func(s v1alpha1.RunSpec, e v1alpha1.Expectation) v1alpha1.RunSpec { s.Expect = e; return s }
	for name, c := range map[string]struct {
		spec   v1alpha1.RunSpec
		report RunReport
		want   string // "" is success
		as     fault.Reason
		reason string
	}{
		"command":           {command(), RunReport{Contains: true}, "", "", "0 is expected unless said otherwise"},
		"wanted code":       {with(command(), v1alpha1.Expectation{ExitCode: 3}), RunReport{Code: 3, Contains: true}, "", "", "people may expect a failure"},
		"unwanted zero":     {with(command(), v1alpha1.Expectation{ExitCode: 3}), RunReport{Contains: true}, "code 0, want 3", fault.ReasonScriptFailed, "then 0 is wrong"},
		"failed":            {command(), RunReport{Code: 2, Contains: true, Text: "no such file\n"}, "code 2, want 0: no such file", fault.ReasonScriptFailed, "found, wanted, and its words"},
		"late":              {command(), RunReport{Code: 124, TimedOut: true}, "within 1m0s", fault.ReasonTimedOut, "time before code"},
		"text missing":      {with(command(), v1alpha1.Expectation{OutputContains: "healthy"}), RunReport{Text: "sick"}, `does not contain "healthy": sick`, fault.ReasonExpectationFailed, "what was printed is told"},
		"http ok":           {http, RunReport{Code: 302, Contains: true}, "", "", "any from 200 to 399"},
		"http error":        {http, RunReport{Code: 503, Contains: true}, "status 503, want 200 to 399", fault.ReasonExpectationFailed, "not from 200 to 399"},
		"http wanted error": {with(http, v1alpha1.Expectation{Status: 404}), RunReport{Code: 404, Contains: true}, "", "", "as asked"},
		"http other":        {with(http, v1alpha1.Expectation{Status: 404}), RunReport{Code: 200, Contains: true}, "status 200, want 404", fault.ReasonExpectationFailed, "exactly"},
		"no answer":         {http, RunReport{Failure: "connection refused"}, "GET http://web/: connection refused", fault.ReasonExpectationFailed, "in the other side's words"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Judge(c.spec, c.report)
			if (err == nil) != (c.want == "") {
				t.Fatalf("%s: got %v", c.reason, err)
			}
			if err != nil && (!fault.IsTerminal(err) || fault.ReasonOf(err) != c.as || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: got %v (%s), want %q (%s)", c.reason, err, fault.ReasonOf(err), c.want, c.as)
			}
		})
	}
}

func TestRun(t *testing.T) {
	started := metav1.NewTime(noon.Add(-time.Minute))
	running := v1alpha1.RunStatus{Phase: v1alpha1.RunRunning, ID: "r", Machine: "m", Attempt: 1}
	begun := running
	begun.StartedAt = &started
	probe := v1alpha1.RunSpec{Action: v1alpha1.RunTCP, TCP: &v1alpha1.TCPProbe{Address: "a:1"}}
	targeted := probe
	targeted.Target = command().Target
	at := func(s v1alpha1.RunStatus, said *OnceSaid) RunSeen {
		return RunSeen{UID: "u", Asked: s.Attempt, Spec: command(), Status: s, State: HostReady, Machine: "m", Said: said}
	}
	change := func(s RunSeen, by func(*RunSeen)) RunSeen { by(&s); return s }
	said := func(state RunState) *OnceSaid { return &OnceSaid{State: state} }
	for name, c := range map[string]struct {
		seen   RunSeen
		do     OnceVerb
		phase  v1alpha1.RunPhase
		as     fault.Reason // of the outcome; "" is none
		reason string
	}{
		"new":                  {at(v1alpha1.RunStatus{}, nil), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "recorded and started"},
		"server not ready":     {change(at(v1alpha1.RunStatus{}, nil), func(s *RunSeen) { s.State = HostWaiting }), OnceNone, v1alpha1.RunPending, fault.ReasonDependency, "it waits"},
		"server missing":       {change(at(v1alpha1.RunStatus{}, nil), func(s *RunSeen) { s.State = HostGone }), OnceNone, v1alpha1.RunPending, fault.ReasonServerNotFound, "it waits"},
		"recorded only":        {at(running, said(RunStateMissing)), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "a crash between record and start: nothing has run"},
		"begun and missing":    {at(begun, said(RunStateMissing)), OnceNone, v1alpha1.RunUnknown, fault.ReasonOutcomeUnknown, "never a silent retry"},
		"lost":                 {at(running, said(RunStateLost)), OnceNone, v1alpha1.RunUnknown, fault.ReasonOutcomeUnknown, "a reboot in the middle"},
		"lost, to be repeated": {change(at(begun, said(RunStateLost)), func(s *RunSeen) { s.Spec.OnUnknown = v1alpha1.OnUnknownRetry }), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "its spec says that it may be repeated"},
		"lost, to be verified": {change(at(begun, said(RunStateLost)), func(s *RunSeen) { s.Spec = verifies() }), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "it is asked whether it took effect"},
		"gone, to be verified": {change(at(begun, nil), func(s *RunSeen) { s.Spec, s.Machine = verifies(), "n" }), OnceNone, v1alpha1.RunUnknown, fault.ReasonMachineLost, "nobody is left to be asked"},
		"gone, to be repeated": {change(at(begun, nil), func(s *RunSeen) { s.Spec.OnUnknown, s.Machine = v1alpha1.OnUnknownRetry, "n" }), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "on the new machine"},
		"new machine":          {change(at(begun, nil), func(s *RunSeen) { s.Machine = "n" }), OnceNone, v1alpha1.RunUnknown, fault.ReasonMachineLost, "the outcome went with the machine"},
		"server gone":          {change(at(begun, nil), func(s *RunSeen) { s.State, s.Machine = HostGone, "" }), OnceNone, v1alpha1.RunUnknown, fault.ReasonMachineLost, "the outcome went with the machine"},
		"server away":          {change(at(begun, nil), func(s *RunSeen) { s.State = HostWaiting }), OnceNone, v1alpha1.RunRunning, fault.ReasonDependency, "it may come back"},
		"waits for lock":       {at(running, said(RunStateWaiting)), OnceNone, v1alpha1.RunRunning, fault.ReasonMachineBusy, "another run holds the machine"},
		"runs":                 {at(running, said(RunStateRunning)), OnceNone, v1alpha1.RunRunning, fault.ReasonInProgress, "polled"},
		"ended well":           {at(running, &OnceSaid{State: RunStateExited, Report: RunReport{Contains: true}}), OnceNone, v1alpha1.RunSucceeded, "", "the result"},
		"ended badly":          {at(running, &OnceSaid{State: RunStateExited, Report: RunReport{Code: 1, Contains: true}}), OnceNone, v1alpha1.RunFailed, fault.ReasonScriptFailed, "the result"},
		"succeeded":            {change(at(v1alpha1.RunStatus{Phase: v1alpha1.RunSucceeded}, nil), func(s *RunSeen) { s.Asked = 9 }), OnceNone, v1alpha1.RunSucceeded, "", "never again, whatever is asked"},
		"failed":               {at(v1alpha1.RunStatus{Phase: v1alpha1.RunFailed, Attempt: 1}, nil), OnceNone, v1alpha1.RunFailed, "", "nobody asked"},
		"asked again":          {change(at(v1alpha1.RunStatus{Phase: v1alpha1.RunUnknown, Attempt: 1, ID: "r"}, nil), func(s *RunSeen) { s.Asked = 2 }), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "a person decided"},
		"probe":                {RunSeen{UID: "u", Spec: probe}, OnceProbe, v1alpha1.RunRunning, "", "from the operator"},
		"probe's machine":      {change(at(begun, nil), func(s *RunSeen) { s.Spec, s.Machine = targeted, "n" }), OnceStart, v1alpha1.RunRunning, fault.ReasonInProgress, "a probe changes nothing: ask from the new machine"},
		"probe cut off":        {change(at(begun, said(RunStateLost)), func(s *RunSeen) { s.Spec = targeted }), OnceNone, v1alpha1.RunFailed, fault.ReasonExpectationFailed, "its id is spent; the next attempt has another"},
	} {
		t.Run(name, func(t *testing.T) {
			step := Run(c.seen, noon)
			if step.Do != c.do || step.Status.Phase != c.phase {
				t.Errorf("%s: got %s, %s; want %s, %s", c.reason, step.Do, step.Status.Phase, c.do, c.phase)
			}
			if c.as == "" && step.Outcome != nil || c.as != "" && fault.ReasonOf(step.Outcome) != c.as {
				t.Errorf("%s: the outcome is %v, want %s", c.reason, step.Outcome, c.as)
			}
			if Ended(step.Status.Phase) && !Ended(c.seen.Status.Phase) && step.Status.FinishedAt == nil {
				t.Errorf("%s: it has ended and nothing says when", c.reason)
			}
		})
	}
}

func verifies() v1alpha1.RunSpec {
	spec := command()
	spec.OnUnknown, spec.Verify = v1alpha1.OnUnknownVerify, "test -e /done"
	return spec
}

// TestOnUnknown: what cannot be known is asked, repeated, or left to a person; it is counted, and never in silence.
func TestOnUnknown(t *testing.T) {
	begun := metav1.NewTime(noon.Add(-time.Minute))
	lost := v1alpha1.RunStatus{Phase: v1alpha1.RunRunning, ID: "r", Machine: "m", Attempt: 1, StartedAt: &begun}
	look := func(spec v1alpha1.RunSpec, status v1alpha1.RunStatus, state RunState, code int) RunStep {
		report := RunReport{Code: code, Contains: true, Text: "cannot say"}
		return Run(RunSeen{UID: "u", Asked: 1, Spec: spec, Status: status, State: HostReady, Machine: "m", Said: &OnceSaid{State: state, Report: report}}, noon)
	}
	repeats := command()
	repeats.OnUnknown = v1alpha1.OnUnknownRetry
	ids := map[string]bool{"r": true}
	for n, status := 1, lost; n < 4; n++ {
		step := look(repeats, status, RunStateLost, 0)
		if step.Do != OnceStart || ids[step.Status.ID] || step.Status.Repeats != int32(n) || step.Status.StartedAt != nil || !strings.Contains(step.Outcome.Error(), "starts once more") {
			t.Fatalf("repeat %d: %s, %+v, %v", n, step.Do, step.Status, step.Outcome)
		}
		ids[step.Status.ID] = true
		status = step.Status
		status.StartedAt = &begun
	}
	asks := look(verifies(), lost, RunStateLost, 0)
	if asks.Do != OnceStart || !asks.Status.Verifying || asks.Status.ID == "r" || asks.Status.Repeats != 0 {
		t.Fatalf("it is not verified: %+v", asks)
	}
	again := look(verifies(), asks.Status, RunStateMissing, 0)
	if again.Do != OnceStart || again.Status.ID != asks.Status.ID {
		t.Errorf("a crash between record and start: %+v", again)
	}
	for code, want := range map[int]v1alpha1.RunPhase{0: v1alpha1.RunSucceeded, 10: v1alpha1.RunRunning, 1: v1alpha1.RunUnknown} {
		step := look(verifies(), asks.Status, RunStateExited, code)
		if step.Status.Phase != want || step.Status.Verifying || (step.Do == OnceStart) != (code == 10) || (step.Status.Repeats == 1) != (code == 10) {
			t.Errorf("verify ends with %d: %s, %+v", code, step.Do, step.Status)
		}
		if code == 1 && !strings.Contains(step.Outcome.Error(), "verify ended with code 1: cannot say") {
			t.Errorf("it says %v", step.Outcome)
		}
	}
	asked := asks.Status
	asked.StartedAt = &begun
	if step := look(verifies(), asked, RunStateLost, 0); step.Status.Phase != v1alpha1.RunUnknown || step.Status.Verifying {
		t.Errorf("verify is cut off: %+v", step.Status)
	}
}

func TestRunLeaves(t *testing.T) {
	running := v1alpha1.RunStatus{Phase: v1alpha1.RunRunning, ID: "r", Machine: "m"}
	ended := v1alpha1.RunStatus{Phase: v1alpha1.RunSucceeded, ID: "r", Machine: "m"}
	for name, c := range map[string]struct {
		seen   RunSeen
		do     OnceVerb
		blocks bool
		note   bool
		reason string
	}{
		"never started":    {RunSeen{Spec: command()}, OnceNone, false, false, "nothing to end"},
		"runs":             {RunSeen{Spec: command(), Status: running, State: HostReady, Machine: "m"}, OnceEnd, false, false, "it is ended"},
		"ended":            {RunSeen{Spec: command(), Status: ended, State: HostReady, Machine: "m"}, OnceEnd, false, false, "what is left of it is forgotten"},
		"server goes":      {RunSeen{Spec: command(), Status: running, State: HostLeaving, Machine: "m"}, OnceNone, false, true, "the machine takes it along, and we say so"},
		"other machine":    {RunSeen{Spec: command(), Status: running, State: HostReady, Machine: "n"}, OnceNone, false, true, "its machine is gone"},
		"server is silent": {RunSeen{Spec: command(), Status: running, State: HostWaiting, Machine: "m"}, OnceNone, true, false, "a script that may still run is not abandoned"},
		"silent and ended": {RunSeen{Spec: command(), Status: ended, State: HostWaiting, Machine: "m"}, OnceNone, false, false, "a few files are not worth waiting for"},
	} {
		t.Run(name, func(t *testing.T) {
			c.seen.Deleting = true
			step := Run(c.seen, noon)
			if step.Do != c.do || (step.Outcome != nil) != c.blocks || (step.Note != "") != c.note {
				t.Errorf("%s: got %s, %v, note %q", c.reason, step.Do, step.Outcome, step.Note)
			}
		})
	}
}

// TestRunOnce: whatever is lost and whenever the operator dies, a command is executed at most once for each attempt, and a Run
// that has succeeded is never done again.
func TestRunOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var durable v1alpha1.RunStatus
		machine, runs, executed := "m0", map[string]RunState{}, map[string]int{}
		asked, succeeded := int32(0), false
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "event") {
			case 0:
				machine, runs = machine+"+", map[string]RunState{}
			case 1:
				asked++
			case 2:
				for id := range runs {
					if runs[id] == RunStateRunning {
						runs[id] = RunStateLost
					}
				}
			}
			seen := RunSeen{UID: "u", Asked: asked, Spec: command(), Status: *durable.DeepCopy(), State: HostReady, Machine: machine}
			if durable.ID != "" && !Ended(durable.Phase) && durable.Machine == machine {
				state, ok := runs[durable.ID]
				if !ok {
					state = RunStateMissing
				}
				code := rapid.IntRange(0, 1).Draw(t, "code")
				seen.Said = &OnceSaid{State: state, Report: RunReport{Code: code, Contains: true}}
			}
			step := Run(seen, noon)
			if succeeded && (step.Do != OnceNone || step.Status.Phase != v1alpha1.RunSucceeded) {
				t.Fatalf("a Run that has succeeded is done again: %s", step.Do)
			}
			if rapid.IntRange(0, 5).Draw(t, "dies before the record") == 0 {
				continue
			}
			durable = step.Status
			succeeded = succeeded || durable.Phase == v1alpha1.RunSucceeded
			if rapid.IntRange(0, 5).Draw(t, "dies before the deed") == 0 {
				continue
			}
			if _, known := runs[durable.ID]; step.Do == OnceStart && !known {
				runs[durable.ID] = RunStateRunning
				executed[durable.ID]++
			}
			for id, state := range runs {
				if state == RunStateRunning && rapid.Bool().Draw(t, "ends") {
					runs[id] = RunStateExited
				}
			}
		}
		perAttempt := map[string]int{}
		for id, n := range executed {
			perAttempt[id] += n
			if n > 1 {
				t.Fatalf("run %s was executed %d times", id, n)
			}
		}
		if len(perAttempt) > int(asked)+1 {
			t.Fatalf("%d runs for %d attempts", len(perAttempt), asked+1)
		}
	})
}

func TestPollPause(t *testing.T) {
	last := time.Duration(0)
	for _, since := range []time.Duration{-time.Hour, 0, time.Second, 4 * time.Second, time.Minute, time.Hour} {
		pause := PollPause(since)
		if pause < 250*time.Millisecond || pause > 2*time.Second || pause < last {
			t.Errorf("after %s: %s", since, pause)
		}
		last = pause
	}
}
