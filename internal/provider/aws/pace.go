package aws

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"golang.org/x/time/rate"
)

// The rates, in calls a second, that a pace moves between. AWS's own buckets refill by 2 to 20 a second.
const (
	fastest   = 20.0 // above it there is no limit
	firstSlow = 5.0  // after the first throttling
	slowest   = 0.5
	faster    = 0.25 // more after each call that was not throttled
)

const (
	// burst is how many calls may be sent at once where there is a limit, after a pause that was long enough: fewer than any bucket of AWS
	// holds, and enough for what takes several calls on end, such as the pages of a list.
	burst = 5
	// longestTurn is how long a call waits for its turn. One whose turn is later is not sent, and keeps nobody who could work elsewhere.
	longestTurn = 5 * time.Second
)

// pace is a limit that AWS sets: none until it throttles a call, then half as much for each time that it does, and a little more for each
// call that passes. Calls have their turn in order, so that nobody starves who makes several on end.
//
// The SDK has such a limiter, which counts real time only.
type pace struct {
	now   func() time.Time
	pause func(context.Context, time.Duration) error

	mu    sync.Mutex
	calls *rate.Limiter // nil = no limit
}

// Paces are those of one account in one region, one for each of its buckets. All who reach the account share them: what AWS asks of one
// it asks of all. It is safe for concurrent use.
type Paces struct {
	launches, writes, reads, sts, ssm, pricing pace
}

// NewPaces returns the paces of an account that has throttled nothing yet. pause lets time pass, and ends with its context, whose error it
// returns then.
func NewPaces(now func() time.Time, pause func(context.Context, time.Duration) error) *Paces {
	all := &Paces{}
	for _, p := range []*pace{&all.launches, &all.writes, &all.reads, &all.sts, &all.ssm, &all.pricing} {
		p.now, p.pause = now, pause
	}
	return all
}

// tooEarly is the error of a call that was not sent. Its words are always the same: a pause in them would make a write of every Server at
// every try.
type tooEarly struct{ after time.Duration }

func (t tooEarly) Error() string { return "not sent: AWS has asked for fewer calls" }

// turn is how long it is until a call may be sent. One that cannot wait so long takes nobody's place.
func (p *pace) turn(ctx context.Context) (turn time.Duration, comes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		return 0, true
	}
	now := p.now()
	place := p.calls.ReserveN(now, 1)
	turn = place.DelayFrom(now)
	if deadline, bounded := ctx.Deadline(); turn > longestTurn || bounded && turn > time.Until(deadline) {
		place.CancelAt(now)
		return turn, false
	}
	return turn, true
}

func (p *pace) learn(err error) error {
	throttled := retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch now := p.now(); {
	case throttled && p.calls == nil:
		p.calls = rate.NewLimiter(firstSlow, burst)
		p.calls.AllowN(now, burst)
	case throttled:
		p.calls.SetLimitAt(now, max(slowest, p.calls.Limit()/2))
		p.calls.AllowN(now, int(max(0, p.calls.TokensAt(now))))
	case p.calls == nil:
	case p.calls.Limit()+faster > fastest:
		p.calls = nil
	default:
		p.calls.SetLimitAt(now, p.calls.Limit()+faster)
	}
	return nil
}
