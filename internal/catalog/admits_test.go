package catalog

import "testing"

func TestAdmits(t *testing.T) {
	for name, c := range map[string]struct {
		constraint, version string
		want                bool
		reason              string
	}{
		"nothing asked": {"", "3.6.4", true, "what was resolved stays"},
		"same":          {"3.6.4", "3.6.4", true, "exact"},
		"with v":        {"v3.6.4", "3.6.4", true, "as people write it"},
		"other":         {"3.6.5", "3.6.4", false, "exact means exact, though a range would let it pass"},
		"range":         {"3.6", "3.6.4", true, "inside"},
		"outside":       {">=3.7", "3.6.4", false, "outside"},
		"nonsense":      {"newest", "3.6.4", false, "Resolve says what is wrong with it"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Admits(c.constraint, c.version); got != c.want {
				t.Errorf("%s: Admits(%q, %q) = %t", c.reason, c.constraint, c.version, got)
			}
		})
	}
}
