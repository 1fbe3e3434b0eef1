package upcloud

import (
	"testing"

	"pgregory.net/rapid"
)

// What the rules let through, the request bears.
func TestLabelRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`(keelway\.dev/|[a-z]{1,40}\.dev/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?`)
		labels := rapid.MapOf(key, rapid.StringMatching(`[A-Za-z0-9_.-]{0,63}`)).Draw(t, "labels")
		carried, _ := (&UpCloud{}).LabelRules().Choose(labels)
		if _, err := peoples(carried); err != nil {
			t.Fatalf("it carries %v: %v", carried, err)
		}
	})
}
