package all

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/keelway/keelway/internal/fault"
)

// longestWait is how long a request waits for its turn. One whose turn is later is not sent, so that one account's queue does not keep
// those who could work for another.
const longestWait = 5 * time.Second

// pace lets out the requests to one account, in order, whichever Provider object they come from.
type pace struct {
	requests *rate.Limiter
	now      func() time.Time
	pause    func(context.Context, time.Duration) error
}

func (o *Opener) newPace(perSecond int) *pace {
	return &pace{requests: rate.NewLimiter(rate.Limit(perSecond), perSecond), now: o.memory.Clock, pause: o.pause}
}

// set changes the rate, where it is another one. What may be sent at once is what a second admits.
func (p *pace) set(perSecond int) {
	if p.requests.Burst() != perSecond {
		now := p.now()
		p.requests.SetLimitAt(now, rate.Limit(perSecond))
		p.requests.SetBurstAt(now, perSecond)
	}
}

// turn returns when the next request may be sent. An error is of class Retry and says that nothing was.
func (p *pace) turn(ctx context.Context) error {
	now := p.now()
	place := p.requests.ReserveN(now, 1)
	wait := place.DelayFrom(now)
	if deadline, ok := ctx.Deadline(); wait > longestWait || ok && wait > time.Until(deadline) {
		place.CancelAt(now)
		return &fault.Error{Class: fault.Retry, Reason: fault.ReasonRateLimited, After: wait,
			Err: fmt.Errorf("not sent: the account gets at most %d requests a second (limits.requestsPerSecond), and others are before this one", p.requests.Burst())}
	}
	if wait <= 0 {
		return nil
	}
	if err := p.pause(ctx, wait); err != nil {
		return fault.New(fault.Retry, fault.ReasonRateLimited, "not sent: while it waited for its turn: %w", err)
	}
	return nil
}
