package aws

import (
	"testing"

	"pgregory.net/rapid"
)

// What the rules let through, the request bears.
func TestLabelRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`(keelway\.dev/|[a-z]{1,120}\.dev/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?`)
		labels := rapid.MapOf(key, rapid.StringMatching(`[A-Za-z0-9_.-]{0,63}`)).Draw(t, "labels")
		carried, omitted := (&AWS{}).LabelRules().Choose(labels)
		if err := checkLabels(carried); err != nil {
			t.Fatalf("it carries %v: %v", carried, err)
		}
		for _, name := range omitted {
			if len(name) <= keyLimit && len(carried) < 32 {
				t.Fatalf("%s is left out without need", name)
			}
		}
	})
}
