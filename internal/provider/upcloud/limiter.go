package upcloud

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// Pace is how fast an account is sent requests, as it is learned from its answers: half as fast after "too many requests", a tenth slower
// after an answer that took long, and slowly back up to the limit after quick ones. All who reach the account share it. It is safe for
// concurrent use.
type Pace struct {
	requests *rate.Limiter

	mu    sync.Mutex
	most  rate.Limit
	until time.Time // nothing is sent before: the cloud said so
}

// limiter lets requests pass in order, at the pace of the account.
type limiter struct {
	next http.RoundTripper
	pace func() *Pace
	turn func(context.Context) error // of the account, whoever reaches it; nil: always
}

const (
	slowAnswer = 5 * time.Second
	leastPace  = rate.Limit(0.2)
	// longestWait bounds how long a slow account keeps those who could work for another.
	longestWait = 10 * time.Second
)

// NewPace returns the pace of an account that has said nothing yet.
func NewPace(most float64) *Pace {
	return &Pace{most: rate.Limit(most), requests: rate.NewLimiter(rate.Limit(most), max(1, int(most)))}
}

// Limit sets the most that is sent a second.
func (p *Pace) Limit(most float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most == rate.Limit(most) {
		return
	}
	p.most = rate.Limit(most)
	p.requests.SetBurst(max(1, int(most)))
	p.requests.SetLimit(min(p.requests.Limit(), p.most))
}

// RoundTrip waits for its turn. One that is too far away, or after the request's deadline, is refused at once, and nothing was sent.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	pace := l.pace()
	if err := pace.wait(req); err != nil {
		return nil, err
	}
	if l.turn != nil {
		if err := l.turn(req.Context()); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	got, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	pace.learn(got, time.Since(start))
	return got, nil
}

func (p *Pace) wait(req *http.Request) error {
	ctx := req.Context()
	p.mu.Lock()
	pause := time.Until(p.until)
	p.mu.Unlock()
	deadline, bounded := ctx.Deadline()
	if bounded && pause > time.Until(deadline) {
		return &fault.Error{Class: fault.Retry, Reason: fault.ReasonRateLimited, After: pause, Err: errors.New("UpCloud asked for a pause: nothing was sent")}
	}
	if err := rest(ctx, pause); err != nil {
		return err
	}
	place := p.requests.Reserve()
	turn := place.Delay()
	if turn > longestWait || bounded && turn > time.Until(deadline) {
		place.Cancel()
		return &fault.Error{Class: fault.Retry, Reason: fault.ReasonRateLimited, After: turn, Err: errors.New("no turn for a request to UpCloud in time: nothing was sent")}
	}
	return rest(ctx, turn)
}

func rest(ctx context.Context, d time.Duration) error {
	if err := provider.Pause(ctx, d); err != nil {
		return fault.New(fault.Retry, fault.ReasonRateLimited, "nothing was sent to UpCloud: %w", err)
	}
	return nil
}

func (p *Pace) learn(got *http.Response, took time.Duration) {
	told, _ := got.Request.Context().Value(answerKey{}).(*answer)
	pause := retryAfter(got.Header.Get("Retry-After"))
	if told != nil {
		told.requestID, told.retryAfter = got.Header.Get("X-Request-Id"), pause
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.requests.Limit()
	switch {
	case got.StatusCode == http.StatusTooManyRequests:
		now /= 2
		p.until = time.Now().Add(pause)
	case took > slowAnswer:
		now *= 0.9
	default:
		now += p.most / 50
	}
	p.requests.SetLimit(min(max(now, min(leastPace, p.most)), p.most))
}

// retryAfter reads a number of seconds and takes at most a minute of it for true.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, 60) * float64(time.Second))
}
