package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestResult(t *testing.T) {
	type want struct {
		after   time.Duration
		verdict reconcile.Verdict
	}
	reconciling := func(reason, message string) reconcile.Verdict {
		return reconcile.Verdict{Reconciling: true, Reason: reason, Message: message}
	}
	stalled := func(reason, message string) reconcile.Verdict {
		return reconcile.Verdict{Stalled: true, Reason: reason, Message: message}
	}
	cases := map[string]struct {
		reason   string
		err      error
		deleting bool
		want     want
	}{
		"Nil": {
			reason: "a walk without error is Ready and asks for nothing",
			want:   want{verdict: reconcile.Verdict{Ready: true}},
		},
		"Wait": {
			reason: "the waiter names its pause",
			err:    fault.Waiting(fault.ReasonQueued, 3*time.Second, "its turn comes"),
			want:   want{3 * time.Second, reconciling("Queued", "its turn comes")},
		},
		"WaitForAnEvent": {
			reason: "an event that was lost must not lose the object",
			err:    fault.Waiting(fault.ReasonDependency, 0, "waits"),
			want:   want{time.Minute, reconciling("DependencyNotReady", "waits")},
		},
		"NegativePause": {
			reason: "a pause computed from a deadline that has passed is none",
			err:    fault.Waiting(fault.ReasonDependency, -time.Second, "waits"),
			want:   want{time.Minute, reconciling("DependencyNotReady", "waits")},
		},
		"Unknown": {
			reason: "an unknown outcome is looked up soon, and not at once",
			err:    fault.New(fault.Unknown, fault.ReasonOutcomeUnknown, "lost reply"),
			want:   want{time.Second, reconciling("OutcomeUnknown", "lost reply")},
		},
		"Retry": {
			reason: "without a pause the queue backs off",
			err:    fault.New(fault.Retry, fault.ReasonTransient, "502"),
			want:   want{0, reconciling("Transient", "502")},
		},
		"RetryAfter": {
			reason: "a pause that the other side asked for is kept",
			err:    &fault.Error{Reason: fault.ReasonRateLimited, After: 7 * time.Second, Err: errors.New("slow down")},
			want:   want{7 * time.Second, reconciling("RateLimited", "slow down")},
		},
		"Gone": {
			reason: "a step that meets an absence unexpectedly is tried again",
			err:    fault.New(fault.Gone, fault.ReasonNotFound, "no such thing"),
			want:   want{0, reconciling("NotFound", "no such thing")},
		},
		"Foreign": {
			reason: "an error that nobody classified is retried",
			err:    errors.New("boom"),
			want:   want{0, reconciling("InternalError", "boom")},
		},
		"Wrapped": {
			reason: "class and reason come through a plain wrapping",
			err:    fmt.Errorf("creating server: %w", fault.New(fault.Terminal, fault.ReasonInvalid, "no such size")),
			want:   want{0, stalled("Invalid", "creating server: no such size")},
		},
		"Terminal": {
			reason: "nobody tries again before the input changes, whatever pause is named",
			err:    &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, After: time.Second, Err: errors.New("no")},
			want:   want{0, stalled("Invalid", "no")},
		},
		"TerminalWhileDeleting": {
			reason:   "a deletion is never given up",
			err:      fault.New(fault.Terminal, fault.ReasonUnauthenticated, "credentials refused"),
			deleting: true,
			want:     want{time.Minute, stalled("Unauthenticated", "credentials refused")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			result, verdict := reconcile.Result(tc.err, tc.deleting)
			if diff := cmp.Diff(ctrl.Result{RequeueAfter: tc.want.after}, result); diff != "" {
				t.Errorf("%s: result: %s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.want.verdict, verdict); diff != "" {
				t.Errorf("%s: verdict: %s", tc.reason, diff)
			}
		})
	}
}

func TestBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		if rapid.Bool().Draw(t, "long") {
			text = strings.Repeat("€", rapid.IntRange(0, 500).Draw(t, "times")) + text
		}
		n := rapid.IntRange(0, 1200).Draw(t, "n")
		got := reconcile.Bounded(text, n)
		if len(got) > n || !utf8.ValidString(got) {
			t.Fatalf("Bounded(%q, %d) = %q", text, n, got)
		}
		if utf8.ValidString(text) && len(text) <= n && got != text {
			t.Fatalf("Bounded cut %q, which fits %d, to %q", text, n, got)
		}
	})
}

func TestLimiterBacksOff(t *testing.T) {
	limiter, one := reconcile.Limiter(), ctrl.Request{}
	for i, full := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
		if got := limiter.When(one); got > full || got < full*4/5 {
			t.Errorf("pause %d is %s, want %s less at most a fifth", i, got, full)
		}
	}
	for range 100 {
		if got := limiter.When(one); got > 5*time.Minute {
			t.Fatalf("pause of %s: an object that failed long must not be forgotten", got)
		}
	}
	limiter.Forget(one)
	if got := limiter.When(one); got > 500*time.Millisecond {
		t.Errorf("pause after a success is %s", got)
	}
}
