package plan

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// ReachSeen is everything that the word on a machine's reachability depends on.
type ReachSeen struct {
	Err      error     // why this look failed; nil: the machine answered
	Answered bool      // Reachable is recorded as True
	Running  time.Time // since when the provider says that the machine runs; zero: not known
	Failures int       // looks in a row that failed, this one among them
	Since    time.Time // of the first of them
}

const (
	// A machine that answered has to fail so many looks, over so much time, before anybody hears of it: one connection that broke
	// in a bad moment, or a restart of its SSH server, is no reason for every watcher to stir.
	quietFailures = 3
	quietTime     = 15 * time.Second
	// ReachPause is the time between looks while a machine that answered does not.
	ReachPause = 5 * time.Second
	// bootTime is how long a machine may refuse its key: clouds bring the authorized keys after the SSH server.
	bootTime = 10 * time.Minute
)

// Reach says what a look means for the condition Reachable. still: nothing is said yet, look again after ReachPause.
func Reach(seen ReachSeen, now time.Time) (outcome error, still bool) {
	err, reason := seen.Err, fault.ReasonOf(seen.Err)
	switch {
	case err == nil:
		return nil, false
	case reason == fault.ReasonHostKeyChanged:
		return err, false
	case seen.Answered && !fault.IsWait(err) && (seen.Failures < quietFailures || now.Sub(seen.Since) < quietTime):
		return nil, true
	case fault.IsTerminal(err) && reason == fault.ReasonUnauthenticated && !seen.Answered && now.Sub(seen.Running) < bootTime:
		return fault.New(fault.Retry, fault.ReasonUnreachable, "%w; it may still be booting", err), false
	case fault.IsTerminal(err) && !reason.Stops(): // a condition carries a reason and no class
		return fault.New(fault.Terminal, fault.ReasonInvalid, "%w", err), false
	case fault.IsTerminal(err):
		return err, false
	case fault.IsGone(err): // whether it has ended is for the provider to say
		err = fault.New(fault.Retry, fault.ReasonUnreachable, "%w", err)
	}
	if lasting := coarse(now.Sub(seen.Since)); lasting != "" && fault.ClassOf(err) == fault.Retry {
		err = fault.New(fault.Retry, fault.ReasonOf(err), "%w (for more than %s)", err, lasting)
	}
	return err, false
}

// coarse says a length of time in so few steps that a message which tells it is hardly ever written.
func coarse(d time.Duration) string {
	steps := []struct {
		least time.Duration
		words string
	}{{24 * time.Hour, "a day"}, {6 * time.Hour, "6 hours"}, {time.Hour, "an hour"}, {15 * time.Minute, "15 minutes"}, {5 * time.Minute, "5 minutes"}, {time.Minute, "a minute"}}
	for _, step := range steps {
		if d >= step.least {
			return step.words
		}
	}
	return ""
}

// Pins says by which host keys a machine is known before the first contact with it: those that its provider knows, or else
// those that it shows. Lines "algorithm base64", sorted, without comments.
func Pins(known, shown []string) []string {
	if len(known) > 0 {
		return bare(known)
	}
	return bare(shown)
}

// Repin decides about a machine that shows none of the keys that it is known by: a person may have written a new key into the
// provider's settings, or may have named its fingerprint. nil: it stays a stranger.
func Repin(known, shown []string, trust string) []string {
	for _, key := range bare(shown) {
		if trust != "" && Fingerprint(key) == strings.TrimSpace(trust) {
			return bare(shown)
		}
		if slices.Contains(bare(known), key) {
			return bare(known)
		}
	}
	return nil
}

// Stranger is what people read of a machine whose key changed.
func Stranger(pinned, shown []string, trust, annotation string) error {
	text := fmt.Sprintf("the machine is known by %s and now shows %s: nothing is done on it before a person decides; if that is right, set the annotation %s to one of the new fingerprints, else find out who answers there",
		fingerprints(pinned), fingerprints(shown), annotation)
	if trust != "" {
		text += fmt.Sprintf(" (it is %.80q now, which is none of them)", trust)
	}
	return fault.New(fault.Terminal, fault.ReasonHostKeyChanged, "%s", text)
}

// Fingerprint of a host key line, as ssh-keygen -l prints it: SHA256:…; empty for text that is no key.
func Fingerprint(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return ""
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func fingerprints(lines []string) string {
	var all []string
	for _, line := range bare(lines) {
		all = append(all, strings.Fields(line)[0]+" "+Fingerprint(line))
	}
	if len(all) == 0 {
		return "no key"
	}
	return strings.Join(all[:min(len(all), 4)], ", ")
}

// bare sorts keys and leaves out comments and what is no key.
func bare(lines []string) []string {
	var keys []string
	for _, line := range lines {
		if fields := strings.Fields(line); Fingerprint(line) != "" {
			keys = append(keys, fields[0]+" "+fields[1])
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
