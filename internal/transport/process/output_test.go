package process

import (
	"os"
	"testing"
	"time"

	"github.com/keelway/keelway/internal/transport"
)

// TestOutputOfALateReader: what a process printed before it ended is kept whole, also where nobody came to read any of it until then,
// and somebody else holds the pipe open.
func TestOutputOfALateReader(t *testing.T) {
	from, into, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	daemon := into // what a daemon inherited
	defer func() { _ = daemon.Close() }()
	const printed = 60_000
	if _, err := into.Write(make([]byte, printed)); err != nil {
		t.Fatal(err)
	}
	o := &output{Kept: transport.Kept{Limit: 1 << 20}, from: from, into: into, done: make(chan struct{})}
	_ = from.SetReadDeadline(time.Unix(1, 0)) // the process has ended, and only now is there time to read
	o.collect()
	if len(o.Bytes) != printed || o.Truncated {
		t.Errorf("%d of %d bytes are kept, truncated: %v", len(o.Bytes), printed, o.Truncated)
	}
}
