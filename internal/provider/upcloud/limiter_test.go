package upcloud

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// answering answers every request by status, after a time.
type answering struct {
	status int
	takes  time.Duration
	header http.Header
	sent   int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.sent++
	time.Sleep(a.takes)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: http.NoBody, Request: r}, nil
}

func limited(next http.RoundTripper, pace *Pace) *limiter {
	return &limiter{next: next, pace: func() *Pace { return pace }}
}

func send(t *testing.T, l *limiter, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for range n {
		req, _ := http.NewRequest(http.MethodGet, "http://cloud.example/", nil)
		if _, err := l.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start)
}

// In time that runs by itself: the pace is kept, halved when the cloud says so, lowered when it is slow, and comes back.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &answering{status: 200, header: http.Header{}}
		l := limited(cloud, NewPace(10))
		if took := send(t, l, 110); took != 10*time.Second {
			t.Errorf("10 at once and 100 more at 10 a second took %s", took)
		}
		cloud.status = http.StatusTooManyRequests
		send(t, l, 1)
		cloud.status = http.StatusOK
		if pace := l.pace().requests.Limit(); pace != 5 {
			t.Errorf("after one refusal the pace is %v", pace)
		}
		cloud.status = http.StatusTooManyRequests
		send(t, l, 20)
		if pace := l.pace().requests.Limit(); pace != leastPace {
			t.Errorf("it never stands still: %v", pace)
		}
		cloud.status = http.StatusOK
		send(t, l, 60)
		if pace := l.pace().requests.Limit(); pace != 10 {
			t.Errorf("after quick answers the pace is %v", pace)
		}
		cloud.takes = 6 * time.Second
		send(t, l, 3)
		if pace := l.pace().requests.Limit(); pace >= 8 || pace <= 7 {
			t.Errorf("after three slow answers the pace is %v", pace)
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &answering{status: http.StatusTooManyRequests, header: http.Header{"Retry-After": {"20"}}}
		l := limited(cloud, NewPace(10))
		send(t, l, 1)
		cloud.status = http.StatusOK
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://cloud.example/", nil)
		_, err := l.RoundTrip(req)
		if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonRateLimited || fault.AfterOf(err) != 20*time.Second || cloud.sent != 1 {
			t.Errorf("what cannot be sent before its deadline is refused at once: %v, %d sent", err, cloud.sent)
		}
		if took := send(t, l, 1); took != 20*time.Second {
			t.Errorf("the pause took %s", took)
		}
	})
	for header, want := range map[string]time.Duration{"": 0, "soon": 0, "-1": 0, "NaN": 0, "0.5": time.Second / 2, "86400": time.Minute} {
		if got := retryAfter(header); got != want {
			t.Errorf("Retry-After %q: %s", header, got)
		}
	}
}
