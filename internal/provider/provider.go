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
	Image string // alias, or the provider's id

	RootDisk Disk
	Disks    []Disk // besides the root disk
	Network  Network
	UserData []byte            // for cloud-init; may hold secrets
	Keys     []string          // lines of authorized_keys for the access user
	Labels   map[string]string // of people, as LabelRules.Choose returns them; not part of what drifts
	// Token makes this very launch idempotent where a cloud has such a thing: recorded before the call, and new when a machine that
	// it made has ended. Empty: derived from Key.
	Token string
	// Former is the id of the machine that this one is made in place of, which has ended: a provider that lags may show it for a
	// while, and does not take it for this one. Empty: there was none.
	Former string
}

// Disk is one disk of a machine. Zero values mean the provider's default.
type Disk struct {
	Name      string // unique in a machine; "" for the root disk
	SizeGiB   int32
	Tier      string // the provider's own name: gp3, maxiops
	Encrypted bool
}

// Network is what a machine is attached to.
type Network struct {
	PublicIPv4 Switch
	PublicIPv6 Switch
	Private    []string // ids of private networks (subnets), in order
}

// Switch says whether something is wanted; "" leaves it to the provider.
type Switch string

const (
	Enabled  Switch = "Enabled"
	Disabled Switch = "Disabled"
)

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
	Disks     []Disk            // the root disk first, its Name ""; nil where the answer does not tell
	Brief     bool              // the answer is an entry of a list that does not tell Disks, Addresses and Access; Get does
	Launch    Launch            // the call of many that made it; zero for a machine made alone, and where the cloud does not tell
	Labels    map[string]string // without those of our identity
	CreatedAt time.Time
	Addresses []Address
	Access    transport.Access // how to reach it; zero until it can be dialled
}

// Launch says which call of many made a machine, and as which of its members. Between that call and the writing of the labels it is
// all that tells whose the machine is: such an instance has an Owner with an Installation only, and no Key.
type Launch struct {
	Token string
	Index int // of Batch.Members
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
