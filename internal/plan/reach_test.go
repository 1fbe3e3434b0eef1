package plan

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/keelway/keelway/internal/fault"
)

func TestReach(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	silent := fault.New(fault.Retry, fault.ReasonUnreachable, "connection refused")
	refused := fault.New(fault.Terminal, fault.ReasonUnauthenticated, "the key is refused")
	cases := map[string]struct {
		why    string
		seen   ReachSeen
		still  bool
		class  fault.Class
		reason fault.Reason // "" = no error
		says   string
	}{
		"answers":                  {why: "all is well", seen: ReachSeen{Answered: true}},
		"first failure":            {why: "one broken connection is no news", seen: ReachSeen{Err: silent, Answered: true, Failures: 1, Since: now}, still: true},
		"many failures at once":    {why: "a burst of looks is one bad moment", seen: ReachSeen{Err: silent, Answered: true, Failures: 9, Since: ago(14 * time.Second)}, still: true},
		"few failures, long apart": {why: "two looks prove little", seen: ReachSeen{Err: silent, Answered: true, Failures: 2, Since: ago(time.Minute)}, still: true},
		"silent for good":          {why: "now people must hear of it", seen: ReachSeen{Err: silent, Answered: true, Failures: 3, Since: ago(15 * time.Second)}, class: fault.Retry, reason: fault.ReasonUnreachable, says: "connection refused"},
		"never answered":           {why: "it boots, and people see what was tried", seen: ReachSeen{Err: silent, Failures: 1, Since: now}, class: fault.Retry, reason: fault.ReasonUnreachable, says: "connection refused"},
		"never for long":           {why: "how long tells whether to worry", seen: ReachSeen{Err: silent, Failures: 40, Since: ago(17 * time.Minute)}, class: fault.Retry, reason: fault.ReasonUnreachable, says: "(for more than 15 minutes)"},
		"key refused in boot":      {why: "clouds bring the keys after the SSH server", seen: ReachSeen{Err: refused, Running: ago(9 * time.Minute), Failures: 1, Since: now}, class: fault.Retry, reason: fault.ReasonUnreachable, says: "may still be booting"},
		"key refused later":        {why: "a person has to authorize it", seen: ReachSeen{Err: refused, Running: ago(10 * time.Minute), Failures: 1, Since: now}, class: fault.Terminal, reason: fault.ReasonUnauthenticated},
		"key refused once more":    {why: "an answering machine gets its quiet time too", seen: ReachSeen{Err: refused, Answered: true, Running: ago(time.Minute), Failures: 1, Since: now}, still: true},
		"key taken away":           {why: "it answered before, so it does not boot", seen: ReachSeen{Err: refused, Answered: true, Running: ago(time.Minute), Failures: 3, Since: ago(time.Minute)}, class: fault.Terminal, reason: fault.ReasonUnauthenticated},
		"another host key":         {why: "not a second of patience with a stranger", seen: ReachSeen{Err: fault.New(fault.Terminal, fault.ReasonHostKeyChanged, "x"), Answered: true, Failures: 1, Since: now}, class: fault.Terminal, reason: fault.ReasonHostKeyChanged},
		"gone":                     {why: "whether it has ended is the provider's word", seen: ReachSeen{Err: fault.New(fault.Gone, fault.ReasonNotFound, "x"), Failures: 1, Since: now}, class: fault.Retry, reason: fault.ReasonUnreachable},
		"no secret":                {why: "the Secret is missing, which is no word on the machine", seen: ReachSeen{Err: fault.Waiting(fault.ReasonSecretNotFound, time.Second, "x"), Answered: true, Failures: 1, Since: now}, class: fault.Wait, reason: fault.ReasonSecretNotFound},
		"an odd last word":         {why: "readers of a condition know a final word by its reason", seen: ReachSeen{Err: fault.New(fault.Terminal, fault.ReasonTransient, "x"), Failures: 1, Since: now}, class: fault.Terminal, reason: fault.ReasonInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err, still := Reach(tc.seen, now)
			if still != tc.still || (err != nil) != (tc.reason != "") {
				t.Fatalf("%s: %v, still %v", tc.why, err, still)
			}
			if err != nil && (fault.ClassOf(err) != tc.class || fault.ReasonOf(err) != tc.reason || !strings.Contains(err.Error(), tc.says)) {
				t.Fatalf("%s: %v %v %v", tc.why, fault.ClassOf(err), fault.ReasonOf(err), err)
			}
		})
	}
}

// TestReachIsHeardOnce walks random stories: a machine that fails for good is told of, and one that never fails three times in a
// row is never told of.
func TestReachIsHeardOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now, answered, failures, since := time.Unix(0, 0), true, 0, time.Time{}
		told := 0
		longest := 0
		for _, fails := range rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "looks") {
			now = now.Add(ReachPause)
			seen := ReachSeen{Answered: answered}
			if fails {
				if failures++; failures == 1 {
					since = now
				}
				longest = max(longest, failures)
				seen.Err, seen.Failures, seen.Since = fault.New(fault.Retry, fault.ReasonUnreachable, "silent"), failures, since
			} else {
				failures = 0
			}
			err, still := Reach(seen, now)
			if answered && err != nil {
				told++
			}
			if !still {
				answered = err == nil
			}
			if !fails && !answered {
				t.Fatal("a machine that answers is reachable at once")
			}
		}
		if longest < quietFailures && told > 0 {
			t.Fatalf("told %d times, although no more than %d looks failed in a row", told, longest)
		}
		if failures > 4 && answered {
			t.Fatalf("%d looks failed in a row and nobody heard of it", failures)
		}
	})
}

func hostKey(t *testing.T, name string, seed byte) string {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), 32)))
	return name + " " + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

func TestHostKeys(t *testing.T) {
	a, b, c := hostKey(t, "ssh-ed25519", 1), hostKey(t, "ecdsa-sha2-nistp256", 2), hostKey(t, "ssh-ed25519", 3)
	if got := Pins([]string{a + " a comment"}, []string{b, c}); !cmp.Equal(got, []string{a}) {
		t.Errorf("what the provider knows comes before what is shown: %v", got)
	}
	if got := Pins(nil, []string{a, b, a, "nonsense"}); !cmp.Equal(got, []string{b, a}) {
		t.Errorf("what is shown is pinned, sorted and once: %v", got)
	}
	for name, tc := range map[string]struct {
		known []string
		trust string
		want  []string
	}{
		"a stranger":             {},
		"trusted by fingerprint": {trust: Fingerprint(c), want: []string{b, c}},
		"with a blank":           {trust: " " + Fingerprint(b) + "\n", want: []string{b, c}},
		"trust in another":       {trust: Fingerprint(a)},
		"trust in nothing":       {trust: "SHA256:"},
		"written at the source":  {known: []string{c}, want: []string{c}},
		"still the old one":      {known: []string{a}},
	} {
		if got := Repin(tc.known, []string{c, b}, tc.trust); !cmp.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	err := Stranger([]string{a}, []string{c, b}, "yes", "keelway.dev/trust")
	for _, word := range []string{Fingerprint(a), Fingerprint(b), Fingerprint(c), "keelway.dev/trust", `"yes"`} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
	if fault.ReasonOf(err) != fault.ReasonHostKeyChanged || !fault.IsTerminal(err) || len(err.Error()) > 1024 {
		t.Errorf("%v", err)
	}
}
