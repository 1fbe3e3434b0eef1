package server

import (
	"testing"
	"time"
)

func TestEvidenceGrowsOld(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	tests := map[string]struct {
		reason string
		asked  time.Time
		want   bool
	}{
		"just now":   {"a thousand Servers of one workflow ask the same", now.Add(-10 * time.Millisecond), true},
		"old":        {"an operator that was frozen wakes with an old belief", now.Add(-evidenceLasts), false},
		"in advance": {"a clock that was set back proves nothing", now.Add(time.Minute), false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var e evidence
			e.note("x", tc.asked)
			if got := e.within("x", now); got != tc.want {
				t.Errorf("%s: within = %v", tc.reason, got)
			}
			if e.within("y", now) {
				t.Error("what was never asked counts as answered")
			}
			e.note("z", now.Add(time.Hour))
			if len(e.asked) > 2 || e.within("x", now.Add(time.Hour)) {
				t.Errorf("what is too old is kept: %v", e.asked)
			}
		})
	}
}
