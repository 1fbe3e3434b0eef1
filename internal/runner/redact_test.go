package runner

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestRedact(t *testing.T) {
	key := "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
	cases := map[string]struct {
		reason string
		values []string
		text   string
		want   string
	}{
		"whole":            {"the plain case", []string{"hunter2"}, "pw=hunter2!", "pw=[redacted]!"},
		"twice":            {"every occurrence", []string{"hunter2"}, "hunter2 hunter2", "[redacted] [redacted]"},
		"short":            {"three bytes are ordinary text", []string{"abc"}, "abcabc", "abcabc"},
		"empty":            {"it stands everywhere", []string{""}, "abc", "abc"},
		"contained":        {"the longer must not leave its end", []string{"abcd", "abcdefgh"}, "<abcdefgh>", "<[redacted]>"},
		"overlapping":      {"neither leaves its rest", []string{"abcdXY", "XYefgh"}, "<abcdXYefgh>", "<[redacted]>"},
		"self-overlap":     {"aXa in aXaXa", []string{"abab"}, "<ababab>", "<[redacted]>"},
		"cut at start":     {"the window began inside it", []string{"0123456789"}, "456789 rest", "[redacted] rest"},
		"cut at end":       {"the rest is not printed yet", []string{"0123456789"}, "so far 01234", "so far [redacted]"},
		"lines of a key":   {"scripts print them with a prefix", []string{key}, "k: MIIEvQIBADANBg\nk: kqhkiG9w0BAQEF\n", "k: [redacted]\nk: [redacted]\n"},
		"newline at end":   {"$(cat file) takes it away", []string{"hunter2\n"}, "pw=hunter2!", "pw=[redacted]!"},
		"traced by set -x": {"bash quotes what dash prints plainly", []string{"it's hot"}, `+ echo 'it'\''s hot'`, "+ echo '[redacted]'"},
		"nothing to find":  {"text stays", []string{"hunter2"}, "all quiet", "all quiet"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := newRedactor(tc.values).text([]byte(tc.text), MaxTail); got != tc.want {
				t.Fatalf("got %q, want %q: %s", got, tc.want, tc.reason)
			}
		})
	}
}

func TestValuesTooLongToTellAreWithheld(t *testing.T) {
	secrets := newRedactor([]string{strings.Repeat("x", keptOnMachine)})
	if got := secrets.text([]byte("xxxx"), MaxTail); !strings.HasPrefix(got, "[withheld") {
		t.Fatalf("got %q", got)
	}
	if secrets.window() > keptOnMachine {
		t.Fatalf("window %d", secrets.window())
	}
}

// TestNoPieceOfASecretIsLeft prints secrets amid noise, looks through the window that Poll reads, and wants no four bytes of any
// of them left: whatever the sizes, the cuts and the other secrets. Noise and secrets have no letter in common.
func TestNoPieceOfASecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.StringMatching(`[a-d]{4,40}`)
		long := rapid.Map(rapid.StringMatching(`[a-d]{40,80}`), func(s string) string { return strings.Repeat(s, 70) })
		values := rapid.SliceOfN(rapid.OneOf(short, short, long), 1, 4).Draw(t, "secrets")
		pieces := rapid.SliceOfN(rapid.OneOf(rapid.StringMatching(`[0-9 \n]{1,600}|[é漢]{1,600}`), rapid.SampledFrom(values)), 1, 60).Draw(t, "pieces")
		printed := strings.Join(pieces, "\n")
		printed = printed[:rapid.IntRange(0, len(printed)).Draw(t, "printed so far")]
		secrets := newRedactor(values)
		window := printed[max(0, len(printed)-secrets.window()):]
		got := secrets.text([]byte(window), MaxTail)
		if len(got) > MaxTail || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		clean := strings.ReplaceAll(got, mask, "")
		for _, word := range strings.FieldsFunc(clean, func(r rune) bool { return r < 'a' || r > 'd' }) {
			if len(word) >= shortestSecret {
				t.Fatalf("%q is left in %q", word, got)
			}
		}
		if printed != "" && got == "" {
			t.Fatal("nothing is shown")
		}
	})
}
