package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLineNeverExceedsItsWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l line
		for _, text := range rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, "spans") {
			l = append(l, span{text, rapid.SampledFrom([]style{plain, bold, red}).Draw(t, "style")})
		}
		width := rapid.IntRange(1, 60).Draw(t, "width")
		row := l.draw(width, false)
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
		l      line
		width  int
		want   string
	}{
		"fits":          {"what fits exactly is not cut", line{{"ab", plain}, {"cd", bold}}, 4, "abcd"},
		"cut":           {"the cut shows", line{{"ab", plain}, {"cde", bold}}, 4, "abc…"},
		"cut at a seam": {"a span that ends at the edge is cut when another follows", line{{"abcd", plain}, {"e", plain}}, 4, "abc…"},
		"empty rest":    {"an empty span is no reason to cut", line{{"abcd", plain}, {"", plain}}, 4, "abcd"},
		"no width":      {"0 does not cut", line{{"abcdefgh", plain}}, 0, "abcdefgh"},
		"one column":    {"there is room for the sign alone", line{{"ab", plain}}, 1, "…"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.l.draw(tc.width, false); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestFold(t *testing.T) {
	cases := map[string]struct {
		reason string
		l      line
		width  int
		want   []string
	}{
		"fits":     {"nothing to do", line{{"who  ", bold}, {"a b c", plain}}, 30, []string{"who  a b c"}},
		"broken":   {"at blanks, below its own beginning", line{{"who  ", bold}, {"one two three four five six", plain}}, 25, []string{"who  one two three four", "     five six"}},
		"no width": {"what is no terminal folds nothing", line{{strings.Repeat("a ", 100), plain}}, 0, []string{strings.TrimSpace(strings.Repeat("a ", 100))}},
		"narrow":   {"too narrow to be readable: the terminal may wrap", line{{"who            ", bold}, {"one two three four", plain}}, 30, []string{"who            one two three four"}},
		"nothing":  {"an empty line", line{}, 30, []string{""}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range tc.l.fold(tc.width) {
				got = append(got, l.draw(0, false))
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
