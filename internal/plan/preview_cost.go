package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
)

// CostChange is by how much what runs costs more, or less, afterwards.
type CostChange struct {
	// Hourly amounts by currency, as decimals with a sign.
	Hourly map[string]string `json:"hourly,omitempty"`
	// Unknown counts Servers of which nobody knows the price. They are no part of the amounts.
	Unknown int `json:"unknown,omitempty"`
}

// plus adds two changes.
func (c CostChange) plus(o CostChange) CostChange {
	sum := CostChange{Unknown: c.Unknown + o.Unknown, Hourly: maps.Clone(c.Hourly)}
	for currency, amount := range o.Hourly {
		if sum.Hourly == nil {
			sum.Hourly = map[string]string{}
		}
		sum.Hourly[currency] = digits(sumOf(sum.Hourly[currency], amount, 1))
	}
	return sum
}

// String tells it to people: "+0.0357 EUR/h, +26.06 EUR/month; 2 Servers of unknown cost". It is empty where no Server is concerned.
func (c CostChange) String() string {
	var told []string
	for _, currency := range slices.Sorted(maps.Keys(c.Hourly)) {
		amount := sumOf("", c.Hourly[currency], 1)
		if amount.Sign() == 0 {
			told = append(told, "±0 "+currency)
			continue
		}
		month := new(big.Rat).Mul(amount, big.NewRat(monthHours, 1))
		told = append(told, fmt.Sprintf("%s %s/h, %s %s/month", signed(digits(amount)), currency, signed(month.FloatString(2)), currency))
	}
	switch c.Unknown {
	case 0:
	case 1:
		told = append(told, "1 Server of unknown cost")
	default:
		told = append(told, fmt.Sprintf("%d Servers of unknown cost", c.Unknown))
	}
	return strings.Join(told, "; ")
}

func signed(amount string) string {
	if strings.HasPrefix(amount, "-") {
		return amount
	}
	return "+" + amount
}

// sumOf returns a + sign × b; what is no number counts as none.
func sumOf(a, b string, sign int64) *big.Rat {
	sum, _ := new(big.Rat).SetString(a)
	if sum == nil {
		sum = new(big.Rat)
	}
	if more, ok := new(big.Rat).SetString(b); ok {
		sum.Add(sum, more.Mul(more, big.NewRat(sign, 1)))
	}
	return sum
}

// Prices are what is known of machines by what they are made of; nil: they cost nothing, as local ones.
type Prices map[string]*v1alpha1.ServerCost

// PricesOf learns prices from Servers that there are: one of the same provider, size, zone and disks costs the same.
func PricesOf(servers []v1alpha1.Server) Prices {
	prices := Prices{}
	for i := range servers {
		if priced(&servers[i]) {
			prices[priceKey(servers[i].Spec.ServerShape)] = servers[i].Status.Cost
		}
	}
	return prices
}

// priced reports whether it is known what a Server costs. One that has its machine, and no cost, costs nothing.
func priced(s *v1alpha1.Server) bool {
	if s.Status.Cost == nil {
		return s.Status.Phase == v1alpha1.ServerReady
	}
	_, known := decimal(s.Status.Cost.Hourly)
	return known
}

// priceKey is what the price of a machine follows from.
func priceKey(shape v1alpha1.ServerShape) string {
	shape.UserDataFrom = nil
	text, _ := json.Marshal(shape) // plain structs cannot fail
	return string(text)
}

// change is what becomes of the cost when one child gives way to another; either may be nil.
func (p Prices) change(is, wanted Child) CostChange {
	before, had := is.(*v1alpha1.Server)
	after, has := wanted.(*v1alpha1.Server)
	if !had && !has || had && has && priceKey(before.Spec.ServerShape) == priceKey(after.Spec.ServerShape) {
		return CostChange{}
	}
	change := CostChange{}
	if had {
		if !priced(before) {
			return CostChange{Unknown: 1}
		}
		change = change.plus(costing(before.Status.Cost, -1))
	}
	if has {
		cost, known := p[priceKey(after.Spec.ServerShape)]
		if !known {
			return CostChange{Unknown: 1}
		}
		change = change.plus(costing(cost, 1))
	}
	return change
}

func costing(cost *v1alpha1.ServerCost, sign int64) CostChange {
	if cost == nil {
		return CostChange{}
	}
	return CostChange{Hourly: map[string]string{cost.Currency: digits(sumOf("", cost.Hourly, sign))}}
}
