package provider

import (
	"context"
	"time"
)

// What follows is optional: a provider has a capability when As finds it. Every call returns promptly and may be repeated; errors
// carry a fault class, and one that the caller may mend (a size that does not exist) is Terminal/Invalid, naming the field, what was
// found and the nearest names that there are.

// Power is whether a machine is wanted running.
type Power string

const (
	PowerOn  Power = "Running"
	PowerOff Power = "Stopped"
)

// Powerer can switch machines on and off.
type Powerer interface {
	// Power asks for the state. nil: it is under way or so already; Get tells which. fault.Gone when there is no such machine.
	Power(ctx context.Context, id string, want Power) error
}

// Resizer can change a machine's size in place.
type Resizer interface {
	// Resize asks for the size. The machine must be Stopped: when it is not, the error is of class Wait. What the cloud makes on the way
	// (backups of storages) is removed again by the same call or a later one. nil: under way or so already; Get tells which.
	Resize(ctx context.Context, id, size string) error
}

// Adopter can make an existing machine one of ours.
type Adopter interface {
	// Adopt writes key and owner onto the machine, and changes nothing else. A machine that carries the identity of another object
	// (another installation, namespace or name) is Terminal/IdentityConflict and left as it is. Where all three are the same and only
	// the UID and the key differ it is of an earlier object of that name, which is gone, and the new ones are written. A machine of a
	// batch that was launched and not labelled is ours too.
	Adopt(ctx context.Context, id, key string, owner Owner) (Instance, error)
}

// Batcher can make many machines of one shape by one call.
type Batcher interface {
	// CreateMany makes one machine for each member. Batch.Token makes it idempotent: the same token with the same batch never makes a
	// second machine for a member, and returns those that there are. Fewer instances than members is a partial fulfilment: the answer holds
	// what there is, each with its Key, and the error is nil; the rest needs a batch of its own. An error of class
	// Wait says that machines are made and not all are labelled: the call is repeated. List and Get show a machine that was
	// made and not labelled yet, with its Launch: who makes batches is an Adopter, too.
	CreateMany(ctx context.Context, batch Batch) ([]Instance, error)
}

// Batch is one call for many machines. Shape's Key and Owner are empty; Members bring theirs, and their order is part of what the
// token stands for.
type Batch struct {
	Token   string
	Shape   Machine
	Members []Member
}

// Member is whom one machine of a batch is for.
type Member struct {
	Key   string
	Owner Owner
}

// Untokened is a provider whose cloud knows no idempotency tokens: a Create that is repeated too early makes a second machine.
// Such a Create is recorded before it is sent, and repeated only when the account was looked at after the time that the cloud may
// hide what is there.
type Untokened interface {
	// Settle is how long the cloud may not show what was just made.
	Settle() time.Duration
}

// Lagging is a provider whose cloud may hide for some time what was just made, however certainly it made it.
type Lagging interface {
	// Lag is how long that takes at most. Until then absence says nothing about a machine that nobody has seen yet.
	Lag() time.Duration
}

// Paged is a provider whose List takes more requests the more machines there are.
type Paged interface {
	// PageSize is how many machines one request tells of.
	PageSize() int
}

// Prompt is a provider whose machines may be gone when their Delete returns.
type Prompt interface {
	// EndsAtOnce reports whether it is worth a look right after a Delete, and not when the account is looked at next.
	EndsAtOnce() bool
}

// Keeper is a provider that makes something that machines share, such as rules of a firewall.
type Keeper interface {
	// Keep makes of it what the settings say, where it is there already; it changes nothing that is so. What the settings close is closed
	// once it returns nil.
	Keep(ctx context.Context) error
}

// Tidier is a provider that makes something that machines share, and that goes with the last of them.
type Tidier interface {
	// Tidy removes it where no machine of the installation is left. nil: nothing of it is left, or it is still needed. An error of class
	// Wait says that its end is under way. The end of the last machine tidies by itself: this is for whoever never had one, or lost it
	// without a Delete.
	Tidy(ctx context.Context) error
}

// Pricer knows what machines cost.
type Pricer interface {
	// Price is what a machine like that costs. An answer without Components means unknown: it is never zero for want of a price.
	Price(ctx context.Context, want Machine) (Cost, error)
}

// Cost is the price of one machine. Amounts are decimal numbers as text, per hour, in Currency.
type Cost struct {
	Currency   string // ISO 4217
	Components []Component
	Source     string    // where the prices come from, for people
	AsOf       time.Time // when they were read
}

// Component is a part of a Cost: the plan, a storage, an address.
type Component struct {
	Name   string
	Hourly string // decimal
}

// Cataloguer knows what can be asked for. Answers are sorted by name and cached by the provider for an hour or so.
type Cataloguer interface {
	Zones(ctx context.Context) ([]Choice, error)
	Sizes(ctx context.Context, zone string) ([]Choice, error)
	Images(ctx context.Context, zone string) ([]Choice, error)
}

// Choice is a name that a field of Machine can hold.
type Choice struct {
	Name        string
	Description string
	CPUs        int32 // of a size
	MemoryMiB   int64 // of a size
	Hourly      string
	Currency    string
}
