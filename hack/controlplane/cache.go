package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cache is the directory that keeps the binaries of one source between runs.
type cache struct {
	src  source
	root string // lock file, and working files while it is filled
	bin  string // complete binaries only: each arrives by a rename
}

// openCache names the cache of a source: $KEELWAY_CACHE or the user's cache directory, one directory a version and digest.
func openCache(src source) (cache, error) {
	base := os.Getenv("KEELWAY_CACHE")
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return cache{}, fmt.Errorf("finding a place for the binaries (set KEELWAY_CACHE): %w", err)
		}
		base = filepath.Join(user, "keelway")
	}
	base, err := filepath.Abs(base)
	if err != nil {
		return cache{}, fmt.Errorf("resolving KEELWAY_CACHE: %w", err)
	}
	root := filepath.Join(base, "controlplane", src.version+"-"+src.digest)
	return cache{src: src, root: root, bin: filepath.Join(root, "bin")}, nil
}

// fill makes what assets lack, holding the cache's lock, so that whoever waited for it finds the work done.
func (c cache) fill(ctx context.Context, log io.Writer, assets *Assets) error {
	if err := os.MkdirAll(c.bin, 0o755); err != nil {
		return fmt.Errorf("making the cache of binaries: %w", err)
	}
	lock, err := lockFile(ctx, filepath.Join(c.root, "lock"), func(waited time.Duration) {
		say(log, "another process fills %s: waiting … %s", c.root, seconds(waited))
	})
	if err != nil {
		return fmt.Errorf("locking the cache of binaries: %w", err)
	}
	defer lock.Close()
	c.removeLeftovers()

	assets.take(c.bin)
	c.download(ctx, log, assets)
	assets.take(c.bin)
	todo := assets.missing()
	for i, b := range todo {
		say(log, "[%d/%d] building %s from Go modules (about %s the first time, kept in %s)", i+1, len(todo), b.name, b.takes, c.bin)
		if err := c.build(ctx, log, b); err != nil {
			return err
		}
	}
	assets.take(c.bin)
	return nil
}

const partialSuffix = ".partial"

// working names a file or directory of unfinished work, beside bin so that the final rename is atomic.
func (c cache) working(name string) string { return filepath.Join(c.root, name+partialSuffix) }

// removeLeftovers clears what an interrupted run left; the lock says that nobody is at work on it.
func (c cache) removeLeftovers() {
	entries, _ := os.ReadDir(c.root)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), partialSuffix) {
			_ = os.RemoveAll(filepath.Join(c.root, entry.Name())) // what stays is overwritten or in nobody's way
		}
	}
}

// lockFile takes an exclusive lock on a file, made when absent, and calls waiting about every 15 s while somebody else holds
// it. The kernel gives the lock back when the file is closed or its holder dies, so no stale lock can remain.
func lockFile(ctx context.Context, path string, waiting func(time.Duration)) (*os.File, error) {
	start := time.Now()
	next := start
	for {
		file, err := tryLock(path)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return file, err
		}
		if now := time.Now(); !now.Before(next) {
			waiting(now.Sub(start))
			next = now.Add(beat)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// tryLock takes the lock at once or answers EWOULDBLOCK.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}
