package provider

import (
	"context"
	"time"
)

// Pause lets time pass before a request, or returns why ctx ended first. It does not wait where nothing is to be waited for.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
