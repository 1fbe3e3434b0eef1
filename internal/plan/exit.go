package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/keelway/keelway/internal/fault"
)

// Exit codes of a recipe's scripts. Any other is a failure that repeating does not mend.
const (
	exitDiffers  = 10 // check only: apply is needed
	exitNotYet   = 11 // ask again later: a quorum forms
	exitDownload = 12 // an artifact or its mirror could not be reached
	exitChecksum = 13 // a download is not what the recipe promised
	exitPlatform = 14 // the machine lacks what the recipe needs
	exitNoRoom   = 15 // the machine's disk is full
)

// Exit says what a finished script's code means: nil for success (and for a check that found a difference), otherwise an error
// whose message ends with the script's own last words.
func Exit(do RunVerb, said RunSaid) error {
	switch {
	case said.TimedOut:
		return fault.New(fault.Terminal, fault.ReasonTimedOut, "%s ran out of time%s", action(do), lastWords(said.Tail))
	case said.Code == 0, said.Code == exitDiffers && do == RunCheck:
		return nil
	case said.Code == exitDiffers && do == RunVerify:
		return fault.New(fault.Terminal, fault.ReasonScriptFailed, "the machine still differs after apply%s", lastWords(said.Tail))
	}
	class, reason := fault.Terminal, fault.ReasonScriptFailed
	switch said.Code {
	case exitNotYet:
		class, reason = fault.Retry, fault.ReasonInProgress
	case exitDownload:
		class, reason = fault.Retry, fault.ReasonDownloadFailed
	case exitChecksum:
		reason = fault.ReasonChecksumMismatch
	case exitPlatform:
		reason = fault.ReasonPlatform
	case exitNoRoom:
		class, reason = fault.Retry, fault.ReasonResourcesDepleted
	}
	return fault.New(class, reason, "%s ended with code %d%s", action(do), said.Code, lastWords(said.Tail))
}

func action(do RunVerb) string { return strings.ToLower(string(do)) }

const (
	keptLines = 3
	keptBytes = 600
)

// lastWords are the last lines of what a script printed: by contract the last one says what failed.
func lastWords(tail string) string {
	var lines []string
	for line := range strings.Lines(tail) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return " and printed nothing"
	}
	text := strings.Join(lines[max(0, len(lines)-keptLines):], " | ")
	if len(text) > keptBytes { // the end says more than the beginning
		cut := len(text) - keptBytes
		for cut < len(text) && !utf8.RuneStart(text[cut]) {
			cut++
		}
		text = "…" + text[cut:]
	}
	return ": " + text
}

// clip cuts text to at most n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	cut := n - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
