package transport

// Kept keeps the first Limit bytes written to it and swallows the rest, so that the writer is never blocked.
type Kept struct {
	Limit     int
	Bytes     []byte
	Truncated bool
}

// Write never fails.
func (k *Kept) Write(p []byte) (int, error) {
	room := min(k.Limit-len(k.Bytes), len(p))
	k.Bytes = append(k.Bytes, p[:room]...)
	k.Truncated = k.Truncated || room < len(p)
	return len(p), nil
}
