package batchworkflow

import (
	"testing"
	"time"
)

func TestGather(t *testing.T) {
	var s shelf
	if got := s.gather("a", time.Time{}); got != gather {
		t.Errorf("a workflow that nobody looked at: %s, want %s", got, gather)
	}
	s.took("a", time.Millisecond)
	if got := s.gather("a", time.Time{}); got != gather || len(s.cost) > 0 {
		t.Errorf("a workflow that is gone leaves %v", s.cost)
	}
	s.take("a")
	for cost, want := range map[time.Duration]time.Duration{time.Millisecond: gather / 10, 20 * time.Millisecond: 40 * time.Millisecond, time.Second: gather} {
		s.took("a", cost)
		if got := s.gather("a", time.Time{}); got != want {
			t.Errorf("a look that takes %s: events are gathered for %s, want %s", cost, got, want)
		}
	}
	s.drop("a")
	if len(s.cost) > 0 {
		t.Errorf("a workflow that is dropped leaves %v", s.cost)
	}
}
