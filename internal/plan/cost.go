package plan

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/saga"
)

const (
	monthHours    = 730 // a year's twelfth, as clouds reckon it
	maxComponents = 24
)

// Cost sums up what the parts of a machine cost an hour. A part whose amount is no decimal number is unknown, and then so is the
// sum; without any part all is unknown. It is never 0 for want of a price.
func Cost(currency string, parts []v1alpha1.CostComponent, source string, asOf time.Time) *v1alpha1.ServerCost {
	cost := &v1alpha1.ServerCost{Hourly: v1alpha1.CostUnknown, Monthly: v1alpha1.CostUnknown, Source: cutText(source, 256)}
	if len(parts) == 0 {
		return cost
	}
	cost.Currency = currency
	sum, known := new(big.Rat), true
	for _, part := range parts {
		amount, ok := decimal(part.Hourly)
		if !ok {
			part.Hourly, known = v1alpha1.CostUnknown, false
		} else {
			sum.Add(sum, amount)
		}
		part.Name = cutText(part.Name, 128)
		if len(cost.Components) < maxComponents {
			cost.Components = append(cost.Components, part)
		}
	}
	if known {
		cost.Hourly, cost.Monthly = digits(sum), new(big.Rat).Mul(sum, big.NewRat(monthHours, 1)).FloatString(2)
	}
	if !asOf.IsZero() {
		at := metav1.NewTime(asOf.Truncate(time.Second))
		cost.AsOf = &at
	}
	return cost
}

// SameCost says whether a price that was read again tells anything new: the time at which it was read does not.
func SameCost(a, b *v1alpha1.ServerCost) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Currency == b.Currency && a.Hourly == b.Hourly && a.Monthly == b.Monthly && a.Source == b.Source && slices.Equal(a.Components, b.Components)
}

// decimal reads a plain decimal number that is not negative: "0.0119". Exponents and fractions are refused: prices are copied from
// what people read.
func decimal(text string) (*big.Rat, bool) {
	if text == "" || len(text) > 32 || strings.Trim(text, "0123456789.") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// digits writes an amount exactly where eight decimals are enough, and without trailing zeros.
func digits(amount *big.Rat) string {
	text := strings.TrimRight(amount.FloatString(8), "0")
	return strings.TrimSuffix(text, ".")
}

// Bill sums up what several machines cost a month: "26.07 EUR", in order of currencies joined by " + " where there are several.
// Those whose cost is unknown are counted; those without a cost, as local machines, are free of a provider's bill.
type Bill struct {
	sums    map[string]*big.Rat
	Unknown int32
}

// Add adds the cost of one machine; nil is none.
func (b *Bill) Add(cost *v1alpha1.ServerCost) {
	if cost == nil {
		return
	}
	amount, ok := decimal(cost.Hourly)
	if !ok {
		b.Unknown++
		return
	}
	if b.sums == nil {
		b.sums = map[string]*big.Rat{}
	}
	if b.sums[cost.Currency] == nil {
		b.sums[cost.Currency] = new(big.Rat)
	}
	b.sums[cost.Currency].Add(b.sums[cost.Currency], amount)
}

// Monthly is the sum; "" without anything to sum, and "unknown" where nothing is known.
func (b *Bill) Monthly() string {
	return b.told(func(hourly *big.Rat) string {
		return new(big.Rat).Mul(hourly, big.NewRat(monthHours, 1)).FloatString(2)
	})
}

// Hourly is the sum of an hour, in the same words.
func (b *Bill) Hourly() string { return b.told(digits) }

func (b *Bill) told(amount func(hourly *big.Rat) string) string {
	var texts []string
	for _, currency := range slices.Sorted(maps.Keys(b.sums)) {
		texts = append(texts, strings.TrimSpace(amount(b.sums[currency])+" "+currency))
	}
	if b.Unknown > 0 {
		texts = append(texts, v1alpha1.CostUnknown)
	}
	return strings.Join(texts, " + ")
}

// perHour tells what a machine costs an hour, with its currency; "" where that is not known, or there is nothing to pay.
func perHour(cost *v1alpha1.ServerCost) string {
	bill := &Bill{}
	if bill.Add(cost); bill.Unknown > 0 {
		return ""
	}
	return cutText(bill.Hourly(), 64)
}

// Burden says what the Servers cost that could not be undone, as far as that is known: "" where nothing is, or nothing was left over.
func Burden(l *saga.Ledger, sights Sights) string {
	bill := &Bill{}
	if c := l.Counts(); !l.Phase.Terminal() || c[saga.UndoFailed] == 0 {
		return ""
	}
	for i, phase := range l.Phases {
		if phase == saga.UndoFailed {
			bill.Add(sights[i].Cost)
		}
	}
	if len(bill.sums) == 0 {
		return ""
	}
	return cutText(fmt.Sprintf("what is left over costs %s an hour", bill.Hourly()), maxMessage)
}
