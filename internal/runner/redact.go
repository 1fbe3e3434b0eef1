package runner

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	mask = "[redacted]"
	// Shorter values are not secrets, and masking them would eat ordinary text.
	shortestSecret = 4
	// Lines of a key or certificate are masked one by one, since scripts print them so; short ones ("data:") are ordinary text.
	shortestLine = 8
	// keptOnMachine is what a run keeps of its output once it has ended (supervise.sh), in bytes.
	keptOnMachine = 128 << 10
)

// redactor masks values in text of which only a window is seen.
type redactor struct {
	secrets [][]byte
	longest int
}

func newRedactor(values []string) redactor {
	var r redactor
	add := func(value string, shortest int) {
		if len(value) >= shortest {
			r.secrets = append(r.secrets, []byte(value))
			r.longest = max(r.longest, len(value))
		}
	}
	for _, value := range values {
		add(value, shortestSecret)
		if trimmed := strings.TrimSpace(value); trimmed != value {
			add(trimmed, shortestSecret) // $(…) takes the last newline away
		}
		add(strings.ReplaceAll(value, "'", `'\''`), shortestSecret) // as some shells trace it under set -x
		if strings.Contains(value, "\n") {
			for line := range strings.Lines(value) {
				add(strings.TrimSpace(line), shortestLine)
			}
		}
	}
	return r
}

// window is how many bytes must be read so that a secret, cut at the window's start, can be told by the rest of it.
func (r redactor) window() int { return min(MaxTail+r.longest, keptOnMachine) }

// blind reports that a secret is too long for the window to show where it ends.
func (r redactor) blind() bool { return MaxTail+r.longest > keptOnMachine }

// text returns the last limit bytes of the window as valid UTF-8 without secrets. It masks first and cuts afterwards.
func (r redactor) text(window []byte, limit int) string {
	if r.blind() {
		return "[withheld: a value to redact is longer than what is kept of the output]"
	}
	clean := strings.ToValidUTF8(string(r.mask(window)), "\uFFFD")
	if len(clean) <= limit {
		return clean
	}
	start := len(clean) - limit
	for start < len(clean) && !utf8.RuneStart(clean[start]) {
		start++
	}
	return clean[start:]
}

// mask replaces each run of bytes that some secret covers. Marking before replacing is what makes secrets that overlap, or
// contain each other, leave nothing behind.
func (r redactor) mask(text []byte) []byte {
	covered := make([]bool, len(text))
	cover := func(from, to int) {
		for i := from; i < to; i++ {
			covered[i] = true
		}
	}
	for _, secret := range r.secrets {
		for from := 0; ; {
			at := bytes.Index(text[from:], secret)
			if at < 0 {
				break
			}
			cover(from+at, from+at+len(secret))
			from += at + 1
		}
		cover(0, cutAtStart(text, secret))
		cover(len(text)-cutAtEnd(text, secret), len(text))
	}
	if !slices.Contains(covered, true) {
		return text
	}
	var clean []byte
	for i, secret := range covered {
		switch {
		case !secret:
			clean = append(clean, text[i])
		case i == 0 || !covered[i-1]:
			clean = append(clean, mask...)
		}
	}
	return clean
}

// cutAtStart returns how many bytes at the start of text are the end of secret: the window began in the middle of it.
func cutAtStart(text, secret []byte) int {
	for n := min(len(secret)-1, len(text)); n >= shortestSecret; n-- {
		if bytes.HasPrefix(text, secret[len(secret)-n:]) {
			return n
		}
	}
	return 0
}

// cutAtEnd returns how many bytes at the end of text are the start of secret: the rest is not printed yet, or never was.
func cutAtEnd(text, secret []byte) int {
	for n := min(len(secret)-1, len(text)); n >= shortestSecret; n-- {
		if bytes.HasSuffix(text, secret[:n]) {
			return n
		}
	}
	return 0
}
