package plan

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
)

func TestExit(t *testing.T) {
	type want struct {
		class  fault.Class
		reason fault.Reason
		text   string
	}
	for name, c := range map[string]struct {
		do     RunVerb
		said   RunSaid
		want   *want
		reason string
	}{
		"done":            {RunApply, RunSaid{}, nil, "0 is success"},
		"differs":         {RunCheck, RunSaid{Code: 10}, nil, "a check that finds a difference has done its work"},
		"still differs":   {RunVerify, RunSaid{Code: 10, Tail: "port is closed\n"}, &want{fault.Terminal, fault.ReasonScriptFailed, "still differs after apply: port is closed"}, "applying again would do the same"},
		"apply says 10":   {RunApply, RunSaid{Code: 10}, &want{fault.Terminal, fault.ReasonScriptFailed, "apply ended with code 10 and printed nothing"}, "10 means something to a check only"},
		"not yet":         {RunVerify, RunSaid{Code: 11}, &want{fault.Retry, fault.ReasonInProgress, "code 11"}, "a quorum forms"},
		"no mirror":       {RunApply, RunSaid{Code: 12, Tail: "a\nb\nmirror 127.0.0.1 refused\n"}, &want{fault.Retry, fault.ReasonDownloadFailed, "a | b | mirror 127.0.0.1 refused"}, "mirrors come back"},
		"wrong checksum":  {RunApply, RunSaid{Code: 13}, &want{fault.Terminal, fault.ReasonChecksumMismatch, "13"}, "the same bytes would come again"},
		"unsuitable":      {RunCheck, RunSaid{Code: 14}, &want{fault.Terminal, fault.ReasonPlatform, "14"}, "the machine stays what it is"},
		"no room":         {RunApply, RunSaid{Code: 15, Tail: "no space left\n"}, &want{fault.Retry, fault.ReasonResourcesDepleted, "no space left"}, "room comes back"},
		"anything else":   {RunRemove, RunSaid{Code: 3, Tail: "1\n2\n\n3\n4\n"}, &want{fault.Terminal, fault.ReasonScriptFailed, "remove ended with code 3: 2 | 3 | 4"}, "the last lines are the root cause"},
		"out of time":     {RunApply, RunSaid{Code: 124, TimedOut: true, Tail: "downloading\n"}, &want{fault.Terminal, fault.ReasonTimedOut, "ran out of time: downloading"}, "time is named before the code"},
		"124 by its hand": {RunApply, RunSaid{Code: 124}, &want{fault.Terminal, fault.ReasonScriptFailed, "124"}, "only the runner knows of time"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Exit(c.do, c.said)
			if c.want == nil {
				if err != nil {
					t.Fatalf("%s: %v", c.reason, err)
				}
				return
			}
			if err == nil || fault.ClassOf(err) != c.want.class || fault.ReasonOf(err) != c.want.reason || !strings.Contains(err.Error(), c.want.text) {
				t.Errorf("%s: got %v (%s, %s), want %+v", c.reason, err, fault.ClassOf(err), fault.ReasonOf(err), *c.want)
			}
		})
	}
}

// TestExitIsBounded: whatever a script prints, a message stays short, valid and keeps the end.
func TestExitIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tail := rapid.StringN(0, 3000, 6000).Draw(t, "tail") + "\nthe end"
		text := Exit(RunApply, RunSaid{Code: 1, Tail: tail}).Error()
		if len(text) > keptBytes+100 || !utf8.ValidString(text) || !strings.HasSuffix(text, "the end") {
			t.Fatalf("%d bytes: %q", len(text), text)
		}
	})
}
