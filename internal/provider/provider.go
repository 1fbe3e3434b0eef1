// Package provider knows what any cloud must be able to do for one machine, as an interface of four calls and plain structs.
// It must not know Kubernetes, CRDs or any vendor: a provider gets a Machine and gives an Instance.
package provider

import (
	"context"
	"time"

	"github.com/keelway/keelway/internal/transport"
)

// Provider is what a cloud must do. Every call returns promptly (nothing waits for a machine to boot) and may be repeated.
// Errors carry a fault class. Implementations are safe for concurrent use.
type Provider interface {
	// Create asks for a machine. Machine.Key makes it idempotent: while a machine with that Key exists, that one is returned,
	// whatever else the request says and even when its end was asked for already (its State is Terminating then: wait until it
	// is gone, and ask again for a new one with a new id). A call whose outcome is not known returns fault.Unknown: repeat it
	// with the same Key. What can never be made is Terminal/Invalid, and the message names the field.
	Create(ctx context.Context, want Machine) (Instance, error)
	// Get returns the instance, or fault.Gone when there is none. Clouds say so of a fresh instance too, for seconds: only an
	// id that was seen and then is Gone has ended.
	Get(ctx context.Context, id string) (Instance, error)
	// Delete asks for the end of a machine. nil: under way; fault.Gone: finished. The caller repeats it until Gone.
	Delete(ctx context.Context, id string) error
	// List returns everything that the installation made at this account, living or ending, in order of id: to adopt, reap and
	// observe in bulk. An Owner with Namespace or Name narrows the answer to the machines of that name, whatever their UID.
	List(ctx context.Context, owner Owner) ([]Instance, error)
}

// Describer is a provider that can say for people how its account stands. It is optional: see As.
type Describer interface {
	Describe(ctx context.Context) string // at most MessageLimit bytes
}

// Owner says for whom a machine is made. It is written onto the machine (labels, tags, a file), never derived from its name.
// All four are needed to make one.
type Owner struct {
	Installation string // the installation's id; never empty
	Namespace    string
	Name         string
	UID          string // the object's UID
}

// Machine is a request. Key is derived from the owner's UID: the same object always asks with the same Key.
type Machine struct {
	Key   string
	Owner Owner
	Size  string // the provider's own name; "" = the provider's default, refused where there are no sizes
	Zone  string
	Image string
}

// State is where an instance stands in its life.
type State string

const (
	Pending     State = "Pending"     // asked for; not running yet
	Running     State = "Running"     // the machine runs; whether it answers is reach's business
	Stopped     State = "Stopped"     // powered off
	Terminating State = "Terminating" // its end was asked for
	Failed      State = "Failed"      // the provider gave up on it; Message says why
)

// Instance is what exists. ID is the provider's own and never changes.
type Instance struct {
	ID        string
	Key       string
	Owner     Owner
	State     State
	Message   string // the provider's words when State is Failed or Pending takes long; at most 1 KiB
	Size      string
	Zone      string
	Image     string
	CreatedAt time.Time
	Addresses []Address
	Access    transport.Access // how to reach it; zero until it can be dialled
}

// AddressType says what an address is good for.
type AddressType string

const (
	PublicIPv4  AddressType = "PublicIPv4"
	PublicIPv6  AddressType = "PublicIPv6"
	PrivateIPv4 AddressType = "PrivateIPv4"
	LoopbackIP  AddressType = "LoopbackIP" // a local machine's own 127.x.y.z
)

// Address is one network address of an instance.
type Address struct {
	Type    AddressType
	Address string
}

// Account is what a Provider object's credentials turn out to be: the key under which limits and snapshots are kept.
// Two Provider objects that reach the same account share them.
type Account struct {
	ID       string // e.g. "local/process/<state directory's id>", "aws/123456789012/eu-west-1"
	Location string // what people see in the LOCATION column
}
