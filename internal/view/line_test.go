package view

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLineNeverExceedsItsWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Line
		for _, text := range rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "spans") {
			l = append(l, Span{text, rapid.SampledFrom([]Style{Plain, Bold, Red}).Draw(t, "style")})
		}
		width := rapid.IntRange(1, 60).Draw(t, "width")
		row := l.Draw(width, false)
		if n := len([]rune(row)); n > width {
			t.Fatalf("%d columns for a width of %d: %q", n, width, row)
		}
		if strings.ContainsAny(row, "\n\r\x1b\t") {
			t.Fatalf("a row speaks to the terminal: %q", row)
		}
	})
}

func TestDrawCuts(t *testing.T) {
	cases := map[string]struct {
		reason string
		l      Line
		width  int
		want   string
	}{
		"fits":          {"what fits exactly is not cut", Line{{"ab", Plain}, {"cd", Bold}}, 4, "abcd"},
		"cut":           {"the cut shows", Line{{"ab", Plain}, {"cde", Bold}}, 4, "abc…"},
		"cut at a seam": {"a span that ends at the edge is cut when another follows", Line{{"abcd", Plain}, {"e", Plain}}, 4, "abc…"},
		"empty rest":    {"an empty span is no reason to cut", Line{{"abcd", Plain}, {"", Plain}}, 4, "abcd"},
		"no width":      {"0 does not cut", Line{{"abcdefgh", Plain}}, 0, "abcdefgh"},
		"one column":    {"there is room for the sign alone", Line{{"ab", Plain}}, 1, "…"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.l.Draw(tc.width, false); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestFold(t *testing.T) {
	cases := map[string]struct {
		reason string
		l      Line
		width  int
		want   []string
	}{
		"fits":     {"nothing to do", Line{{"who  ", Bold}, {"a b c", Plain}}, 30, []string{"who  a b c"}},
		"broken":   {"at blanks, below its own beginning", Line{{"who  ", Bold}, {"one two three four five six", Plain}}, 25, []string{"who  one two three four", "     five six"}},
		"no width": {"what is no terminal folds nothing", Line{{strings.Repeat("a ", 100), Plain}}, 0, []string{strings.TrimSpace(strings.Repeat("a ", 100))}},
		"narrow":   {"too narrow to be readable: the terminal may wrap", Line{{"who            ", Bold}, {"one two three four", Plain}}, 30, []string{"who            one two three four"}},
		"nothing":  {"an empty line", Line{}, 30, []string{""}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range tc.l.Fold(tc.width) {
				got = append(got, l.Draw(0, false))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestWrapLosesNothing: every word comes through, in order.
func TestWrapLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[a-z]{1,9}`)).Draw(t, "words")
		width, most := rapid.IntRange(1, 30).Draw(t, "width"), rapid.IntRange(1, 5).Draw(t, "most")
		lines := wrap(strings.Join(words, " "), width, most)
		if len(lines) > most {
			t.Fatalf("%d lines, at most %d: %q", len(lines), most, lines)
		}
		if got := strings.Fields(strings.Join(lines, " ")); strings.Join(got, " ") != strings.Join(words, " ") {
			t.Fatalf("got %q, want %q", got, words)
		}
	})
}
