package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock answers writes as the test says, after some time.
type lock struct {
	resourcelock.Interface
	err error
}

func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	time.Sleep(20 * time.Millisecond)
	return l.err
}

func TestLeaseCountsFromBeforeTheWrite(t *testing.T) {
	inner := &lock{}
	l := &lease{Interface: inner}
	if until := l.until(); time.Now().Before(until) {
		t.Errorf("a lease that was never written gives the right to act until %v", until)
	}
	before := time.Now()
	if err := l.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	until := l.until()
	if until.Before(before.Add(renewTime)) || !until.Before(after.Add(renewTime)) {
		t.Errorf("the right to act ends at %v; want it to count from before the write began (%v), not from its answer (%v)", until, before, after)
	}
	inner.err = errors.New("refused")
	_ = l.Update(t.Context(), resourcelock.LeaderElectionRecord{})
	if l.until() != until {
		t.Error("a write that failed must not prolong the right to act")
	}
}

func TestTimesOfTheLease(t *testing.T) {
	if renewTime >= leaseTime {
		t.Errorf("our deeds end %v after the last renewal, and others begin after %v: they would overlap", renewTime, leaseTime)
	}
}
