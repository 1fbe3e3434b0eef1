package controlplane

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// beat is the time between two signs of life during something long.
const beat = 15 * time.Second

// say prints one line of progress. A log that cannot be written to is no reason to stop.
func say(log io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(log, "controlplane: "+format+"\n", args...)
}

// quietIfNil lets callers leave the log out.
func quietIfNil(log io.Writer) io.Writer {
	if log == nil {
		return io.Discard
	}
	return log
}

// heartbeat prints what status says at each beat until the returned function is called, which returns after the last line.
func heartbeat(log io.Writer, status func() string) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				say(log, "%s", status())
			}
		}
	})
	return func() {
		close(quit)
		done.Wait()
	}
}

// seconds is a duration as people read it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// limit cuts text to at most n bytes.
func limit(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return text[:n] + "…"
}

const (
	tailLines = 15
	tailBytes = 4096
)

// tail returns the last lines of a file after the offset from: enough to see why a program ended, never a whole log.
func tail(path string, from int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	start := max(from, size-tailBytes)
	text, err := io.ReadAll(io.NewSectionReader(file, start, size-start))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
