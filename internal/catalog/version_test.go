package catalog

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
)

func TestResolve(t *testing.T) {
	recipe := loadDemo(t, demo())
	tests := map[string]struct {
		reason     string
		constraint string
		want       string
		err        fault.Reason
	}{
		"absent":          {reason: "the default", constraint: "", want: "1.2.3"},
		"blank":           {reason: "as absent", constraint: "  ", want: "1.2.3"},
		"exact known":     {reason: "as it is", constraint: "1.1.0", want: "1.1.0"},
		"exact unknown":   {reason: "supported is what counts: recipes do not list every release", constraint: "1.9.7", want: "1.9.7"},
		"exact with a v":  {reason: "people write tags", constraint: "v1.2.0", want: "1.2.0"},
		"exact outside":   {reason: "not supported", constraint: "2.0.0", err: fault.ReasonRecipeNotFound},
		"minor":           {reason: "the newest known of it, the default included", constraint: "1.2", want: "1.2.3"},
		"older minor":     {reason: "ranges look at known versions", constraint: "1.1", want: "1.1.0"},
		"range":           {reason: "newest within", constraint: ">=1.1 <1.2.3", want: "1.2.0"},
		"empty range":     {reason: "nothing known is in it", constraint: "1.7", err: fault.ReasonRecipeNotFound},
		"nonsense":        {reason: "no version at all", constraint: "latest", err: fault.ReasonInvalid},
		"very long":       {reason: "bounded", constraint: strings.Repeat("1", 5000), err: fault.ReasonInvalid},
		"pre-release":     {reason: "a supported range means releases", constraint: "1.5.0-rc.1", err: fault.ReasonRecipeNotFound},
		"injected option": {reason: "the version reaches URLs", constraint: "1.2.3/../../x", err: fault.ReasonInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			got, err := recipe.Resolve(tt.constraint)
			if got != tt.want || (err != nil) != (tt.err != "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err == nil {
				return
			}
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != tt.err {
				t.Errorf("class %v, reason %v", fault.ClassOf(err), fault.ReasonOf(err))
			}
			if len(tt.constraint) < 100 && !strings.Contains(err.Error(), "supported >=1 <2, default 1.2.3, known 1.1.0, 1.2.0") {
				t.Errorf("the message does not say what there is: %v", err)
			}
		})
	}
}

// What Resolve returns is always a plain supported version, and resolving it again gives the same.
func TestResolveProperty(t *testing.T) {
	recipe := loadDemo(t, demo())
	rapid.Check(t, func(t *rapid.T) {
		constraint := rapid.OneOf(rapid.String(), rapid.StringMatching(`[v<>=~^ ]{0,2}[0-9]{1,2}(\.[0-9x]{1,2}){0,3}(-[a-z]+)?`)).Draw(t, "constraint")
		version, err := recipe.Resolve(constraint)
		if err != nil {
			return
		}
		if strings.Trim(version, "0123456789.+-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Fatalf("%q became %q", constraint, version)
		}
		if again, err := recipe.Resolve(version); err != nil || again != version {
			t.Fatalf("%q resolved to %q, and that to %q, %v", constraint, version, again, err)
		}
	})
}
