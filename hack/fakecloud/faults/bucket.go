package faults

import (
	"sync"
	"time"
)

// Bucket is a token bucket by a cloud's clock: it holds Size tokens and gets Refill of them back a second.
type Bucket struct {
	Size, Refill float64

	mu   sync.Mutex
	left float64
	at   time.Time
}

// Take takes n tokens, all or none, and reports whether they were there. A request for more than the bucket ever holds takes it
// whole: it is for the cloud to refuse one that is too large.
func (b *Bucket) Take(now time.Time, n float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.left = b.Size
	} else if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.Size, b.left+passed.Seconds()*b.Refill)
	}
	b.at = now
	if n = min(n, b.Size); b.left < n {
		return false
	}
	b.left -= n
	return true
}
