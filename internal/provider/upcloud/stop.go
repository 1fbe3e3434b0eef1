package upcloud

import (
	"context"
	"time"

	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud"
	"github.com/UpCloudLtd/upcloud-go-api/v8/upcloud/request"

	"github.com/keelway/keelway/internal/fault"
)

const (
	// graceTime is what a server's own system has for shutting down before it is cut off.
	graceTime = 2 * time.Minute
	// stopTime is how long after that a server is waited for before it is asked to stop once more.
	stopTime = time.Minute
)

// stop is a request to stop a server that was sent. Until it has stopped UpCloud calls it started, so that nothing else tells. Losing it
// costs one request.
type stop struct {
	kind string
	at   time.Time
}

// stop asks a server to stop: once, and again only when it has not come to it within its time, which the error tells then. A hard stop
// does not wait for a soft one.
func (u *UpCloud) stop(ctx context.Context, id, kind string) error {
	order := &request.StopServerRequest{UUID: id, StopType: kind}
	waits := stopTime
	if kind == upcloud.StopTypeSoft {
		order.Timeout = graceTime
		waits += graceTime
	}
	now := u.o.Now()
	u.mu.Lock()
	last, asked := u.stops[id]
	asked = asked && (last.kind == kind || last.kind == upcloud.StopTypeHard)
	if asked && now.Sub(last.at) < waits {
		u.mu.Unlock()
		return nil
	}
	u.stops[id] = stop{kind, now} // before the request: whoever asks meanwhile does not send another
	u.mu.Unlock()
	if _, err := u.svc.StopServer(ctx, order); err != nil {
		u.stopped(id)
		if fault.IsWait(err) { // UpCloud is at work on it: whoever wants it stopped asks again
			return nil
		}
		return err
	}
	if asked {
		return fault.Waiting(fault.ReasonInProgress, busyPause, "it runs %s after it was asked to stop, and was asked once more", now.Sub(last.at).Round(time.Second))
	}
	return nil
}

// stopped forgets a request that was not taken, or of which nobody knows.
func (u *UpCloud) stopped(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.stops, id)
}
