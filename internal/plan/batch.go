package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Pending is one machine that is to be made.
type Pending struct {
	Key      Key
	Shape    string // what is asked for: only machines of one shape go out together
	Previous string // the token of the launch before, "" for none: the next one differs from it
}

// Group is a launch to be: who goes out together, in the order in which the call names them.
type Group struct {
	Token   string
	Members []Pending
}

// Batch returns which creates go out together: all of one shape, at most most of them a call. The order of pending does not
// matter, and a key that is there twice counts once.
func Batch(pending []Pending, most int) []Group {
	sorted := slices.SortedFunc(slices.Values(pending), func(a, b Pending) int {
		return cmp.Or(cmp.Compare(a.Shape, b.Shape), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Previous, b.Previous))
	})
	sorted = slices.CompactFunc(sorted, func(a, b Pending) bool { return a.Shape == b.Shape && a.Key == b.Key })
	var groups []Group
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && n < max(most, 1) && sorted[n].Shape == sorted[0].Shape {
			n++
		}
		groups = append(groups, Group{Token: Token(sorted[:n]...), Members: sorted[:n:n]})
		sorted = sorted[n:]
	}
	return groups
}

// Token names a launch: the same for the same members with the same past, and another for any other. It has 40 hexadecimal digits.
func Token(members ...Pending) string {
	h := sha256.New()
	for _, m := range members {
		fmt.Fprintf(h, "%d:%s%d:%s%d:%s", len(m.Key), m.Key, len(m.Previous), m.Previous, len(m.Shape), m.Shape)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}
