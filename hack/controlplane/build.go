package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// build compiles one binary and moves it into the cache once it is complete.
func (c cache) build(ctx context.Context, log io.Writer, b binary) error {
	partial := c.working(b.name)
	counts := &buildOutput{}
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath",
		"-ldflags", c.src.ldflags(), "-o", partial, b.pkg)
	cmd.Dir = c.src.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on")
	cmd.Stdout, cmd.Stderr = counts, counts
	// An interrupted go command ends its compilers itself; a killed one leaves them running.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second

	start := time.Now()
	stop := heartbeat(log, func() string {
		return fmt.Sprintf("building %s … %s, %s", b.name, seconds(time.Since(start)), counts.progress())
	})
	err := runBound(cmd)
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("building %s: %w (packages compiled so far are kept: the next run goes on from here)", b.name, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("building %s with %q in %s: %w\n%s", b.name, "go build", c.src.dir, err, counts.complaints())
	}
	if err := os.Rename(partial, filepath.Join(c.bin, b.name)); err != nil {
		return fmt.Errorf("keeping %s: %w", b.name, err)
	}
	say(log, "built %s in %s, %s", b.name, seconds(time.Since(start)), counts.progress())
	return nil
}

// buildOutput reads what go build -v prints: the import path of each package as it is compiled, downloads and, when it fails,
// complaints, of which only the last are kept.
type buildOutput struct {
	mu       sync.Mutex
	rest     []byte
	compiled int
	fetched  int
	last     []string
}

const (
	keptComplaints   = 20
	longestComplaint = 400
)

// Write implements io.Writer; it never fails.
func (o *buildOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rest = append(o.rest, p...)
	for {
		line, rest, found := bytes.Cut(o.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.rest = rest
		o.line(string(line))
	}
}

func (o *buildOutput) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		o.fetched++
	case line != "" && !strings.ContainsAny(line, " \t:"): // an import path; every complaint has a space or a colon
		o.compiled++
	default:
		o.last = append(o.last, limit(line, longestComplaint))
		o.last = o.last[max(0, len(o.last)-keptComplaints):]
	}
}

// progress says how far the build is. The whole is not known beforehand: packages compiled by earlier builds are not listed.
func (o *buildOutput) progress() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fetched > 0 {
		return fmt.Sprintf("%d packages compiled, %d modules downloaded", o.compiled, o.fetched)
	}
	return fmt.Sprintf("%d packages compiled", o.compiled)
}

// complaints are the last lines that are not progress.
func (o *buildOutput) complaints() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(append(o.last, limit(string(o.rest), longestComplaint)), "\n")
}
