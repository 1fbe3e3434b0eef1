package v1alpha1_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
)

func TestChildName(t *testing.T) {
	cases := map[string]struct {
		reason                   string
		workflow, operation, key string
		prefix                   string
	}{
		"Short": {
			reason:   "short parts are readable as they are",
			workflow: "shop", operation: "servers", key: "0", prefix: "shop-servers-0-",
		},
		"Cut": {
			reason:   "each part is cut to its own length, so that a long workflow name cannot push the key out",
			workflow: strings.Repeat("w", 63), operation: strings.Repeat("o", 40), key: strings.Repeat("k", 40),
			prefix: strings.Repeat("w", 30) + "-" + strings.Repeat("o", 16) + "-" + strings.Repeat("k", 8) + "-",
		},
		"CutAtADash": {
			reason:   "a cut that ends in a dash must not double it",
			workflow: "shop", operation: "fifteen-letters-and-more", key: "0", prefix: "shop-fifteen-letters-0-",
		},
		"Dots": {
			reason:   "the name of a workflow may hold dots, a DNS label may not",
			workflow: "shop.v2", operation: "servers", key: "0", prefix: "shop-v2-servers-0-",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := v1alpha1.ChildName(tc.workflow, tc.operation, tc.key)
			if !strings.HasPrefix(got, tc.prefix) || len(got) != len(tc.prefix)+6 {
				t.Errorf("%s: ChildName = %q, want %q and a hash of 6", tc.reason, got, tc.prefix)
			}
		})
	}
}

// TestChildNameStays pins the names: a release that computed others would make every child of a running workflow again.
func TestChildNameStays(t *testing.T) {
	if got, want := v1alpha1.ChildName("demo", "servers", "0"), "demo-servers-0-80f82g"; got != want {
		t.Errorf("ChildName = %q, want %q as in every release", got, want)
	}
}

func TestChildNameIsALabelAndInjective(t *testing.T) {
	part := rapid.OneOf(rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a := [3]string{part.Draw(t, "w"), part.Draw(t, "o"), part.Draw(t, "k")}
		name := v1alpha1.ChildName(a[0], a[1], a[2])
		if problems := validation.IsDNS1123Label(name); problems != nil {
			t.Fatalf("%q of %q: %v", name, a, problems)
		}
		// Split the same text at other places: what a careless join would take for the same parts.
		text := a[0] + a[1] + a[2]
		i := rapid.IntRange(0, len(text)).Draw(t, "i")
		j := rapid.IntRange(i, len(text)).Draw(t, "j")
		b := [3]string{text[:i], text[i:j], text[j:]}
		if (a == b) != (name == v1alpha1.ChildName(b[0], b[1], b[2])) {
			t.Fatalf("%q and %q: %q", a, b, name)
		}
	})
}
