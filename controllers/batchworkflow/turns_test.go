package batchworkflow

import (
	"testing"
	"time"

	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

// TestMoves: a look goes on by itself only where there is nothing to see, nothing was done, and nothing is waited for.
func TestMoves(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		change func(*look)
		began  time.Time
		want   bool
	}{
		"time alone moves it":         {func(*look) {}, now, true},
		"nothing was recorded":        {func(l *look) { l.recorded = false }, now, false},
		"a child was ordered":         {func(l *look) { l.acted = true }, now, false},
		"there are children":          {func(l *look) { l.sights = plan.Sights{0: {}} }, now, false},
		"nothing is due":              {func(l *look) { l.wake = time.Time{} }, now, false},
		"it is due in a moment":       {func(l *look) { l.wake = now.Add(blink) }, now, true},
		"it is due later":             {func(l *look) { l.wake = now.Add(blink + time.Millisecond) }, now, false},
		"others have waited for long": {func(*look) {}, now.Add(-turns), false},
	} {
		l := &look{Reconciler: &Reconciler{kit: reconcile.Kit{Now: func() time.Time { return now }}}, recorded: true, wake: now}
		tc.change(l)
		if got := l.moves(tc.began); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}
