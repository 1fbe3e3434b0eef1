package nearest_test

import (
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/nearest"
)

func TestHint(t *testing.T) {
	many := make([]string, 30)
	for i := range many {
		many[i] = strings.Repeat("x", 40) + string(rune('a'+i))
	}
	for name, tc := range map[string]struct {
		reason string
		asked  string
		known  []string
		want   string
	}{
		"swapped":  {"two letters change places", "contianerd", []string{"containerd", "etcd"}, "; did you mean containerd?"},
		"case":     {"letters' case is no difference", "FI-HEL1", []string{"de-fra1", "fi-hel1"}, "; did you mean fi-hel1?"},
		"nothing":  {"then all that there are", "q", []string{"small", "large"}, "; there are small, large"},
		"none":     {"an empty list is said to be one", "q", nil, "; there are none"},
		"hostile":  {"nobody compares a text without end", strings.Repeat("x", 1<<20), []string{"a"}, "; there are a"},
		"too many": {"a message is bounded", "q", many, "; there are " + strings.Join(many[:20], ", ") + ", …"},
	} {
		if got := nearest.Hint(tc.asked, tc.known); got != tc.want {
			t.Errorf("%s: %s: got %q, want %q", name, tc.reason, got, tc.want)
		}
	}
}
