package process

// bounded keeps the first limit bytes written to it and swallows the rest, so that the writer is never blocked.
type bounded struct {
	limit     int
	kept      []byte
	truncated bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(b.limit-len(b.kept), len(p))
	b.kept = append(b.kept, p[:room]...)
	b.truncated = b.truncated || room < len(p)
	return len(p), nil
}
