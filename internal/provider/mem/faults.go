package mem

import (
	"context"
	"errors"
	"time"

	"github.com/keelway/keelway/internal/fault"
)

// Verb is one of the calls of a provider.
type Verb string

const (
	Create     Verb = "Create"
	Get        Verb = "Get"
	Delete     Verb = "Delete"
	List       Verb = "List"
	CreateMany Verb = "CreateMany"
	Power      Verb = "Power"
	Resize     Verb = "Resize"
	Adopt      Verb = "Adopt"
)

func (v Verb) reads() bool { return v == Get || v == List }

// What is the name of a fault.
type What string

const (
	ReplyLost         What = "ReplyLost"         // all but Get and List: it happens, and the caller gets Unknown
	RateLimited       What = "RateLimited"       // nothing happens; Order.For is the pause that the caller is asked to make
	ResourcesDepleted What = "ResourcesDepleted" // nothing happens
	QuotaExceeded     What = "QuotaExceeded"     // nothing happens; Terminal
	Unauthorized      What = "Unauthorized"      // nothing happens; Terminal
	Transient         What = "Transient"         // nothing happens: a 502
	Stuck             What = "Stuck"             // nothing happens until the caller's context ends
	Panic             What = "Panic"             // a bug inside the client library
	Hidden            What = "Hidden"            // Create: List does not show the new machine for Order.For
	Denied            What = "Denied"            // Create: Get says NotFound of the new machine for Order.For
	Dies              What = "Dies"              // Create: the new machine ends by another hand after Order.For
	BootFails         What = "BootFails"         // Create: the new machine ends up Failed
)

// Order asks for a fault in the next Count calls of that verb; an empty Verb is any. Orders are used up oldest first, one a call.
type Order struct {
	Verb  Verb
	What  What
	Count int // 0 means 1
	For   time.Duration
}

// Inject orders faults. Hidden, Denied, Dies and BootFails wait for the next creates that make something new or not: each uses one up.
func (c *Cloud) Inject(orders ...Order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, order := range orders {
		order.Count = max(order.Count, 1)
		c.orders = append(c.orders, &order)
	}
}

// meet uses up the next order for this call. It returns the error of a fault that keeps the call from doing anything, or the
// order for the call to heed.
func (c *Cloud) meet(ctx context.Context, verb Verb) (*Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Retry, fault.ReasonTransient, "not sent: %w", err)
	}
	order := c.take(verb)
	if order == nil {
		return nil, nil
	}
	refuse := func(class fault.Class, reason fault.Reason, text string) (*Order, error) {
		return nil, &fault.Error{Class: class, Reason: reason, After: order.For, Err: errors.New(text)}
	}
	switch order.What {
	case RateLimited:
		return refuse(fault.Retry, fault.ReasonRateLimited, "too many requests")
	case ResourcesDepleted:
		return refuse(fault.Retry, fault.ReasonResourcesDepleted, "no capacity for this size in this zone")
	case QuotaExceeded:
		return refuse(fault.Terminal, fault.ReasonQuotaExceeded, "the account's quota of machines is used up")
	case Unauthorized:
		return refuse(fault.Terminal, fault.ReasonUnauthorized, "these credentials may not do that")
	case Transient:
		return refuse(fault.Retry, fault.ReasonTransient, "502 bad gateway")
	case Stuck:
		<-ctx.Done()
		if !verb.reads() {
			return refuse(fault.Unknown, fault.ReasonOutcomeUnknown, "no reply before the deadline")
		}
		return refuse(fault.Retry, fault.ReasonTransient, "no reply before the deadline")
	case Panic:
		panic("ordered: a bug in the vendor's client, in " + string(verb))
	}
	return order, nil
}

// take finds the oldest order that this verb can produce: a lost reply is no fault of a read.
func (c *Cloud) take(verb Verb) *Order {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, order := range c.orders {
		if !order.fits(verb) {
			continue
		}
		if order.Count--; order.Count == 0 {
			c.orders = append(c.orders[:i:i], c.orders[i+1:]...)
		}
		return order
	}
	return nil
}

func (o *Order) fits(verb Verb) bool {
	switch o.What {
	case Hidden, Denied, Dies, BootFails:
		return verb == Create || verb == CreateMany
	case ReplyLost:
		return !verb.reads() && (o.Verb == "" || o.Verb == verb)
	}
	return o.Verb == "" || o.Verb == verb
}
