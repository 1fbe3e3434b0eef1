package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is a fault that a cloud can produce.
type Kind struct {
	Name  string   // "InsufficientInstanceCapacity"
	About string   // for people
	Calls []string // the operations that it can strike; nil: any
	Takes []string // of Order's fields "for" and "amount", those that it needs
}

// Order asks for a fault in coming calls.
type Order struct {
	Name   string   `json:"name"`
	Call   string   `json:"call,omitempty"`   // only in this operation; empty: in any that the fault can strike
	Target string   `json:"target,omitempty"` // only where an id, a zone, a size or the like equals this
	Skip   int      `json:"skip,omitempty"`   // let so many pass before the first
	Count  int      `json:"count,omitempty"`  // strike so often: 0 means once, Always until the order is taken back
	For    Duration `json:"for,omitempty"`    // how long it lasts, by the cloud's clock: "90s"
	Amount int      `json:"amount,omitempty"` // how many, or which status, where the fault has such a thing
}

// Always as Order.Count strikes until the order is taken back.
const Always = -1

// Duration reads and writes as "90s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// Board holds the faults that are ordered of one cloud. It is safe for concurrent use.
type Board struct {
	kinds []Kind

	mu     sync.Mutex
	orders []*Order
}

// NewBoard returns a board for the faults that a cloud can produce.
func NewBoard(kinds ...Kind) *Board { return &Board{kinds: kinds} }

// Kinds are the faults that can be ordered.
func (b *Board) Kinds() []Kind { return slices.Clone(b.kinds) }

// Arm orders faults: all of them, or none and an error that says what is wrong with which.
func (b *Board) Arm(orders ...Order) error {
	for i, order := range orders {
		if err := b.check(order); err != nil {
			return fmt.Errorf("order %d: %w", i+1, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, order := range orders {
		if order.Count == 0 {
			order.Count = 1
		}
		b.orders = append(b.orders, &order)
	}
	return nil
}

func (b *Board) check(order Order) error {
	at := slices.IndexFunc(b.kinds, func(k Kind) bool { return k.Name == order.Name })
	if at < 0 {
		names := make([]string, len(b.kinds))
		for i, kind := range b.kinds {
			names[i] = kind.Name
		}
		return fmt.Errorf("there is no fault %.64q here; there are: %s", order.Name, strings.Join(names, ", "))
	}
	kind := b.kinds[at]
	switch {
	case order.Call != "" && kind.Calls != nil && !slices.Contains(kind.Calls, order.Call):
		return fmt.Errorf("%s cannot strike in %.64q, only in %s", kind.Name, order.Call, strings.Join(kind.Calls, ", "))
	case slices.Contains(kind.Takes, "for") != (order.For > 0):
		return fmt.Errorf("%s and a duration in \"for\": it needs one if its kind takes it, and none otherwise", kind.Name)
	case slices.Contains(kind.Takes, "amount") != (order.Amount > 0):
		return fmt.Errorf("%s and an \"amount\": it needs one if its kind takes it, and none otherwise", kind.Name)
	case order.Count < Always || order.Skip < 0:
		return fmt.Errorf("%s: count is %d and skip %d", kind.Name, order.Count, order.Skip)
	}
	return nil
}

// Take uses up one strike of the oldest order of one of these names that fits the call and one of its targets. A cloud asks at
// each point where it can go wrong: before it looks at a request, when it makes something, before it replies.
func (b *Board) Take(call string, targets []string, names ...string) (Order, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, order := range b.orders {
		if !slices.Contains(names, order.Name) || !b.fits(order, call, targets) {
			continue
		}
		if order.Skip > 0 {
			order.Skip--
			continue
		}
		taken := *order
		if order.Count != Always {
			order.Count--
		}
		if order.Count == 0 {
			b.orders = slices.Delete(b.orders, i, i+1)
		}
		return taken, true
	}
	return Order{}, false
}

func (b *Board) fits(order *Order, call string, targets []string) bool {
	kind := b.kinds[slices.IndexFunc(b.kinds, func(k Kind) bool { return k.Name == order.Name })]
	return (order.Call == "" || order.Call == call) && (kind.Calls == nil || slices.Contains(kind.Calls, call)) &&
		(order.Target == "" || slices.Contains(targets, order.Target))
}

// Armed are the orders that are not used up, oldest first.
func (b *Board) Armed() []Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	armed := make([]Order, len(b.orders))
	for i, order := range b.orders {
		armed[i] = *order
	}
	return armed
}

// Disarm takes back the orders of that name, or all for "".
func (b *Board) Disarm(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders = slices.DeleteFunc(b.orders, func(o *Order) bool { return name == "" || o.Name == name })
}
