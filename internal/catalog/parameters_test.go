package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keelway/keelway/internal/fault"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		reason  string
		given   map[string]any
		secrets []string
		want    map[string]any
		err     []string
	}{
		"nothing":         {reason: "defaults", want: map[string]any{"text": "plain", "count": int64(3)}},
		"some":            {reason: "what is given stays", given: map[string]any{"count": 5}, want: map[string]any{"text": "plain", "count": int64(5)}},
		"float of an int": {reason: "JSON has one kind of number", given: map[string]any{"count": 5.0}, want: map[string]any{"text": "plain", "count": int64(5)}},
		"nested default": {reason: "defaults are filled in within objects that are given", given: map[string]any{"tuning": map[string]any{}},
			want: map[string]any{"text": "plain", "count": int64(3), "tuning": map[string]any{"depth": int64(2)}}},
		"secret":                      {reason: "a reference counts as given", secrets: []string{"ca"}, want: map[string]any{"text": "plain", "count": int64(3)}},
		"secret instead of a default": {reason: "the default would hide the secret", secrets: []string{"text"}, want: map[string]any{"count": int64(3)}},
		"unknown":                     {reason: "a typo names its neighbour", given: map[string]any{"cuont": 5}, err: []string{"cuont: unknown; did you mean count?"}},
		"nothing near":                {reason: "what there is is named", given: map[string]any{"zzzzzz": 5}, err: []string{"zzzzzz: unknown; there are ca, count, text, tuning"}},
		"wrong type":                  {reason: "found and wanted", given: map[string]any{"count": "5"}, err: []string{"count: found string, want integer"}},
		"too large":                   {reason: "bounds of the schema", given: map[string]any{"count": 10}, err: []string{"count: ", "9"}},
		"all at once":                 {reason: "people mend all in one go", given: map[string]any{"count": true, "text": 1, "x": 1}, err: []string{"count: found boolean", "text: found number", "x: unknown"}},
		"nested":                      {reason: "the path is told", given: map[string]any{"tuning": map[string]any{"dept": 1}}, err: []string{"tuning.dept: unknown; did you mean depth?"}},
		"NUL":                         {reason: "no environment carries it", given: map[string]any{"text": "a\x00b"}, err: []string{"text: holds a NUL"}},
		"too much":                    {reason: "bounded", given: map[string]any{"text": strings.Repeat("x", maxParameterBytes)}, err: []string{"at most 65536"}},
		"no JSON":                     {reason: "never a panic", given: map[string]any{"text": func() {}}, err: []string{"unsupported type"}},
		"secret unknown":              {reason: "as a value", secrets: []string{"caa"}, err: []string{"caa: unknown; did you mean ca?"}},
		"secret of a number":          {reason: "a Secret holds text", secrets: []string{"count"}, err: []string{`count: wants "integer", and a Secret holds text`}},
		"twice":                       {reason: "which one counts?", given: map[string]any{"ca": "x"}, secrets: []string{"ca"}, err: []string{"ca: given as a value and from a Secret"}},
	}
	recipe := loadDemo(t, demo())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Log(tt.reason)
			got, err := recipe.Validate(tt.given, tt.secrets...)
			if tt.err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
					t.Fatalf("%v (-want +got):\n%s", err, diff)
				}
				return
			}
			if !fault.IsTerminal(err) || fault.ReasonOf(err) != fault.ReasonInvalid {
				t.Fatalf("got %v, %v", got, err)
			}
			for _, want := range append(tt.err, "recipe demo") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestRequiredFromSecret(t *testing.T) {
	recipe := loadDemo(t, demo("    type: object\n    properties:\n      text", "    type: object\n    required: [ca]\n    properties:\n      text"))
	if _, err := recipe.Validate(nil); err == nil || !strings.Contains(err.Error(), "missing ca") {
		t.Errorf("a required parameter that is absent: %v", err)
	}
	if _, err := recipe.Validate(nil, "ca"); err != nil {
		t.Errorf("a required parameter from a Secret: %v", err)
	}
}

// Validating is idempotent, never changes its input, never panics, and its messages are bounded.
func TestValidateProperty(t *testing.T) {
	recipe := loadDemo(t, demo())
	value := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.String(), toAny[string]), rapid.Map(rapid.Int(), toAny[int]),
		rapid.Map(rapid.Float64(), toAny[float64]), rapid.Map(rapid.Bool(), toAny[bool]), rapid.Map(rapid.SliceOf(rapid.String()), toAny[[]string]))
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom([]string{"text", "count", "ca", "tuning"}), rapid.String())
		given := rapid.MapOf(name, value).Draw(t, "given")
		before := clone(given)
		got, err := recipe.Validate(given)
		if diff := cmp.Diff(before, any(given), cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
			t.Fatalf("the input changed:\n%s", diff)
		}
		if err != nil {
			if len(err.Error()) > 4096 {
				t.Fatalf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := recipe.Validate(got)
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Fatalf("not idempotent: %v\n%s", err, diff)
		}
	})
}

func toAny[T any](v T) any { return v }

func TestUpperSnake(t *testing.T) {
	for name, want := range map[string]string{"clientPort": "CLIENT_PORT", "ca": "CA", "caFile": "CA_FILE", "useTLS": "USE_TLS", "tlsCAFile": "TLS_CA_FILE",
		"ipv4Only": "IPV4_ONLY", "peer-ca": "PEER_CA"} {
		if got := upperSnake(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
