package provider

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Labeller is a provider whose machines carry labels of people. They are written when a machine is made.
type Labeller interface {
	LabelRules() LabelRules
}

// Relabeller is a Labeller that can change the labels of a machine in place.
type Relabeller interface {
	// SetLabels writes those labels of people, and leaves all others as they are. Reserved keys are Terminal/Invalid. fault.Gone when there
	// is no such machine.
	SetLabels(ctx context.Context, id string, labels map[string]string) error
	// UnsetLabels takes the labels of those keys away, whatever their values, and leaves all others as they are. A key that is not there is no
	// error. Reserved keys are Terminal/Invalid. fault.Gone when there is no such machine.
	UnsetLabels(ctx context.Context, id string, keys []string) error
}

// LabelRules are what a cloud admits in labels of people. Lengths are in characters.
type LabelRules struct {
	KeyLeast, KeyMost int
	ValueMost         int
	AnyCase           bool // keys that differ only in upper and lower case are the same
}

// labelsMost is how many labels of people a machine carries. The narrowest cloud admits 50, with those of our identity.
const labelsMost = 32

// reservedLabels begin the keys that say whose a machine is, and those of the API's own objects.
const reservedLabels = "keelway.dev/"

// Choose returns the labels that a machine can carry, nil for none, and the keys of the others in order. The house's own are in neither.
func (r LabelRules) Choose(labels map[string]string) (carried map[string]string, omitted []string) {
	taken := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(strings.ToLower(key), reservedLabels) {
			continue
		}
		same := key
		if r.AnyCase {
			same = strings.ToLower(key)
		}
		n := utf8.RuneCountInString(key)
		if n < r.KeyLeast || n > r.KeyMost || utf8.RuneCountInString(labels[key]) > r.ValueMost || taken[same] || len(carried) == labelsMost {
			omitted = append(omitted, key)
			continue
		}
		if carried == nil {
			carried = map[string]string{}
		}
		carried[key], taken[same] = labels[key], true
	}
	return carried, omitted
}

// Lacking returns those of the labels wanted that a machine has not, or has with another value, in order of key.
func (r LabelRules) Lacking(wanted, have map[string]string) (keys []string) {
	if r.AnyCase {
		folded := map[string]string{}
		for key, value := range have {
			folded[strings.ToLower(key)] = value
		}
		have = folded
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		same := key
		if r.AnyCase {
			same = strings.ToLower(key)
		}
		if value, has := have[same]; !has || value != wanted[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// Unwanted returns those of the keys that we wrote which a machine has and is not to carry any more, in order.
func (r LabelRules) Unwanted(written []string, wanted, have map[string]string) (keys []string) {
	same := func(key string) string {
		if r.AnyCase {
			return strings.ToLower(key)
		}
		return key
	}
	has := func(labels map[string]string, key string) bool {
		for other := range labels {
			if same(other) == same(key) {
				return true
			}
		}
		return false
	}
	for _, key := range slices.Sorted(slices.Values(written)) {
		if has(have, key) && !has(wanted, key) {
			keys = append(keys, key)
		}
	}
	return keys
}
