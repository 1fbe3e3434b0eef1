package faults

import (
	"sync"
	"time"
)

// Clock is a cloud's own time: it runs faster than ours by a factor, and can be moved. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	speed float64
	base  time.Time // the cloud's time …
	since time.Time // … when ours was this
}

// NewClock returns a clock that shows the present and runs at that speed; at 0 it stands still until somebody moves it.
func NewClock(speed float64) *Clock {
	now := time.Now()
	return &Clock{speed: speed, base: now.UTC().Truncate(time.Second), since: now}
}

// Now is the cloud's time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	return c.base.Add(time.Duration(float64(time.Since(c.since)) * c.speed))
}

// Move lets time pass at once.
func (c *Clock) Move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = c.base.Add(by)
}

// Run changes the speed from now on.
func (c *Clock) Run(speed float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.since, c.speed = c.now(), time.Now(), speed
}

// Speed is the factor at which the clock runs.
func (c *Clock) Speed() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.speed
}
