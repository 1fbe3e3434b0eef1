package plan

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keelway/keelway/api/v1alpha1"
)

func parts(amounts ...string) (all []v1alpha1.CostComponent) {
	for _, amount := range amounts {
		all = append(all, v1alpha1.CostComponent{Name: "part", Hourly: amount})
	}
	return all
}

func TestCost(t *testing.T) {
	tests := map[string]struct {
		reason          string
		parts           []v1alpha1.CostComponent
		hourly, monthly string
	}{
		"one":         {"730 hours", parts("0.0119"), "0.0119", "8.69"},
		"exact":       {"decimals do not round like floating point", parts("0.1", "0.2"), "0.3", "219.00"},
		"free":        {"a price of nothing is a price", parts("0"), "0", "0.00"},
		"none":        {"no price is not 0", nil, "unknown", "unknown"},
		"one missing": {"a sum without one part would be too low", parts("0.0119", ""), "unknown", "unknown"},
		"nonsense":    {"it is not read as a number", parts("0x10"), "unknown", "unknown"},
		"negative":    {"no machine pays us", parts("-1"), "unknown", "unknown"},
		"exponent":    {"prices are written out", parts("1e3"), "unknown", "unknown"},
		"two dots":    {"it is no number", parts("1.2.3"), "unknown", "unknown"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Cost("EUR", tc.parts, "a list", time.Time{})
			if got.Hourly != tc.hourly || got.Monthly != tc.monthly {
				t.Errorf("%s: got %s and %s, want %s and %s", tc.reason, got.Hourly, got.Monthly, tc.hourly, tc.monthly)
			}
		})
	}
}

func TestBill(t *testing.T) {
	bill := &Bill{}
	if bill.Monthly() != "" {
		t.Errorf("nothing to sum is %q", bill.Monthly())
	}
	for _, cost := range []*v1alpha1.ServerCost{Cost("EUR", parts("0.01"), "", time.Time{}), Cost("USD", parts("1"), "", time.Time{}), Cost("EUR", parts("0.02"), "", time.Time{}), nil} {
		bill.Add(cost)
	}
	if got := bill.Monthly(); got != "21.90 EUR + 730.00 USD" {
		t.Errorf("got %q", got)
	}
	bill.Add(Cost("EUR", nil, "", time.Time{}))
	if got := bill.Monthly(); got != "21.90 EUR + 730.00 USD + unknown" || bill.Unknown != 1 {
		t.Errorf("got %q", got)
	}
}

func TestWorkflowCost(t *testing.T) {
	cost := func(amounts ...string) Sight {
		return Look(&v1alpha1.Server{Status: v1alpha1.ServerStatus{Cost: Cost("EUR", parts(amounts...), "", time.Time{})}})
	}
	if got := costOf(Sights{0: Look(&v1alpha1.Server{})}); got != nil {
		t.Errorf("local machines have no cost: %+v", got)
	}
	if got := costOf(Sights{0: cost("0.01"), 7: cost("0.02"), 8: cost()}); got == nil || got.Monthly != "21.90 EUR + unknown" || got.Unknown != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pending := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Pending {
			return Pending{Key: Key(rapid.StringMatching(`[a-e]`).Draw(t, "key")), Shape: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "shape")}
		}), 0, 12).Draw(t, "pending")
		most := rapid.IntRange(1, 4).Draw(t, "most")
		want := map[Pending]int{}
		for _, p := range pending {
			want[p] = 1
		}
		tokens := map[string]bool{}
		groups := Batch(pending, most)
		for _, g := range groups {
			if len(g.Members) == 0 || len(g.Members) > most || tokens[g.Token] || g.Token != Token(g.Members...) {
				t.Fatalf("a group of %d, token %s", len(g.Members), g.Token)
			}
			tokens[g.Token] = true
			for _, m := range g.Members {
				if m.Shape != g.Members[0].Shape {
					t.Fatal("two shapes in one call")
				}
				want[m]--
			}
		}
		for p, n := range want {
			if n != 0 {
				t.Fatalf("%v goes out %d times too few", p, n)
			}
		}
		shuffled := Batch(rapid.Permutation(pending).Draw(t, "order"), most)
		for i := range groups {
			if shuffled[i].Token != groups[i].Token {
				t.Fatal("the order of asking matters")
			}
		}
	})
}

func TestTokenDiffers(t *testing.T) {
	tokens := map[string]string{}
	for name, members := range map[string][]Pending{
		"one": {{Key: "a"}}, "again": {{Key: "a", Previous: "t"}}, "two": {{Key: "a"}, {Key: "b"}}, "order": {{Key: "b"}, {Key: "a"}}, "joined": {{Key: "ab"}}, "split": {{Key: "a", Previous: "b"}},
	} {
		token := Token(members...)
		if other, taken := tokens[token]; taken {
			t.Errorf("%s and %s have the same token", name, other)
		}
		tokens[token] = name
	}
}

// TestLeftoversCost: what a failed undo leaves at a provider goes on costing, and people read how much.
func TestLeftoversCost(t *testing.T) {
	cases := map[string]struct {
		why     string
		costs   []*v1alpha1.ServerCost
		each    []string
		message string
	}{
		"known":          {"each by itself, and all together", []*v1alpha1.ServerCost{Cost("EUR", parts("0.0119"), "", time.Time{}), Cost("EUR", parts("0.02"), "", time.Time{})}, []string{"0.0119 EUR", "0.02 EUR"}, "what is left over costs 0.0319 EUR an hour"},
		"two currencies": {"they are not added up", []*v1alpha1.ServerCost{Cost("USD", parts("0.5"), "", time.Time{}), Cost("EUR", parts("0.02"), "", time.Time{})}, []string{"0.5 USD", "0.02 EUR"}, "what is left over costs 0.02 EUR + 0.5 USD an hour"},
		"one unknown":    {"what is unknown is no number, and the sum says so", []*v1alpha1.ServerCost{Cost("EUR", parts("0.0119"), "", time.Time{}), Cost("EUR", nil, "", time.Time{})}, []string{"0.0119 EUR", ""}, "what is left over costs 0.0119 EUR + unknown an hour"},
		"all unknown":    {"nothing is said rather than 0", []*v1alpha1.ServerCost{Cost("EUR", nil, "", time.Time{}), Cost("EUR", nil, "", time.Time{})}, []string{"", ""}, ""},
		"local machines": {"nobody sends a bill for them", []*v1alpha1.ServerCost{nil, nil}, []string{"", ""}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.why)
			s := newStage(t, "onFailure: Rollback\n"+ops(server("a", ""), server("b", ""), server("c", ", dependsOn: [{operation: a}, {operation: b}]")))
			s.see("a/0", ready).see("b/0", ready).at(1).see("c/0", stalled(1)).at(2).see("c/0", gone).at(3)
			if told := Burden(s.l, s.sights); told != "" {
				t.Errorf("nothing is left over before the undo has ended: %q", told)
			}
			for i := range 2 {
				stays := denied
				stays.Exists, stays.UID, stays.Cost = true, "u", c.costs[i]
				stays.Child = &v1alpha1.Server{Status: v1alpha1.ServerStatus{ID: "i-1", Cost: c.costs[i]}}
				s.sights[i] = stays
			}
			s.at(4).want("RollbackFailed: a/0 UndoFailed, b/0 UndoFailed, c/0 Undone")
			if told := Burden(s.l, s.sights); told != c.message {
				t.Errorf("the message says %q, want %q", told, c.message)
			}
			left := Summarise(s.w, s.l, s.sights).Leftovers
			if len(left) != 2 || left[0].CostPerHour != c.each[0] || left[1].CostPerHour != c.each[1] {
				t.Errorf("left over: %+v", left)
			}
		})
	}
}
