package process

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
)

// output collects what a process prints. A daemon that it leaves behind may hold the pipe open for ever. What the process itself
// printed is in the pipe when it ends, and is read to the last byte then, however late a busy machine lets us come to it.
type output struct {
	transport.Kept
	from, into *os.File
	done       chan struct{}
}

func newOutput(limit int) (*output, error) {
	from, into, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "making a pipe: %w", err)
	}
	o := &output{Kept: transport.Kept{Limit: limit}, from: from, into: into, done: make(chan struct{})}
	go o.collect()
	return o, nil
}

func (o *output) collect() {
	defer close(o.done)
	if _, err := io.Copy(&o.Kept, o.from); errors.Is(err, os.ErrDeadlineExceeded) {
		o.drain()
	}
}

// finish returns when all that was printed before is kept. It may be called again.
func (o *output) finish() {
	_ = o.into.Close()
	_ = o.from.SetReadDeadline(time.Unix(1, 0)) // wakes collect where somebody else holds the pipe
	<-o.done
	_ = o.from.Close()
}

// mostInPipe bounds what is read after the end, should a daemon print without end.
const mostInPipe = 1 << 20

// drain reads what is in the pipe, and waits for nothing.
func (o *output) drain() {
	_ = o.from.SetReadDeadline(time.Time{})
	raw, err := o.from.SyscallConn()
	if err != nil {
		return // it is closed
	}
	text := make([]byte, 32<<10)
	_ = raw.Read(func(pipe uintptr) bool {
		for read := 0; read < mostInPipe; {
			n, err := syscall.Read(int(pipe), text)
			switch {
			case errors.Is(err, syscall.EINTR):
			case n <= 0:
				return true
			default:
				_, _ = o.Write(text[:n]) // never fails
				read += n
			}
		}
		return true
	})
}
