// Package aws knows how an EC2 instance is a machine: launched once for each token, found again by its identity tags, and ended.
// It must not know Kubernetes or what runs on a machine, and it changes no instance that carries another identity than ours.
package aws

import (
	"context"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/transport"
)

// Options of an account in one region.
type Options struct {
	Installation string // the installation's id
	Name         string // of the Provider, as namespace/name: its machines share a security group that no other's are in
	Region       string // "eu-west-1"

	Endpoint      string   // of all AWS services at once, for tests and private clouds; "" = AWS's own
	EndpointAllow []string // what the installation admits besides, see provider.AdmitEndpoint

	Credentials Credentials // zero = the ambient chain: environment, shared files, web identity, the role of the operator's own machine
	AssumeRole  *AssumeRole // taken on by means of those credentials

	SubnetIDs        []string // of machines that name none: the first in the machine's zone; empty = the default VPC's there
	SecurityGroupIDs []string // of every machine; empty = one of our own where SSHFrom is set, else the VPC's default group
	SSHFrom          []string // networks that may reach SSH, as 192.0.2.0/24: for a security group of our own
	Spot             bool     // launch spot instances, which AWS may end at any time

	// Transport is how machines are reached: "" is SSH. Script is for a simulated cloud, whose machines run nothing, and needs an Endpoint.
	Transport string

	HTTP *http.Client     // nil = one with time-outs and kept connections, which follows no redirect and dials no refused address
	Now  func() time.Time // nil = time.Now
	// Turn returns when a request may be sent; its error, a *fault.Error, says that it is not. nil = at any time.
	Turn func(context.Context) error
	// Pause lets time pass between two calls that AWS wants slower; it ends with the context, whose error it returns then. nil = real time.
	Pause func(context.Context, time.Duration) error
	Paces func() *Paces // of the account, where others reach it, too; nil = of its own
}

// RequestsPerSecond is what an account is sent at most where nobody says otherwise: as fast as EC2's own bucket for reads refills.
const RequestsPerSecond = 20

// AssumeRole names a role to act as.
type AssumeRole struct {
	ARN         string
	ExternalID  string
	SessionName string // "" = keelway
}

// AWS is one installation's part of one account and region. It is safe for concurrent use.
type AWS struct {
	options Options
	api     clients

	byID   *gatherer[string, types.Instance]
	byKey  *gatherer[string, []types.Instance]
	ends   *gatherer[string, struct{}]
	tidies *gatherer[struct{}, struct{}]

	images   *kept[imageKey, ami]
	archs    *kept[string, string] // of sizes
	sizes    *kept[string, []provider.Choice]
	zones    *kept[string, []provider.Choice]
	prices   *kept[priceKey, price]
	places   *kept[string, place]  // of subnets
	groups   *kept[string, string] // our own, of VPCs
	imported *kept[string, struct{}]

	volumes  volumes
	fresh    memory
	tokens   tokens
	launched launches
	shared   shared

	mu      sync.Mutex
	account string // its number, once asked for
}

// What a person can do with a machine of AWS.
var (
	_ provider.Provider   = (*AWS)(nil)
	_ provider.Powerer    = (*AWS)(nil)
	_ provider.Resizer    = (*AWS)(nil)
	_ provider.Adopter    = (*AWS)(nil)
	_ provider.Batcher    = (*AWS)(nil)
	_ provider.Lagging    = (*AWS)(nil)
	_ provider.Keeper     = (*AWS)(nil)
	_ provider.Tidier     = (*AWS)(nil)
	_ provider.Pricer     = (*AWS)(nil)
	_ provider.Cataloguer = (*AWS)(nil)
	_ provider.Labeller   = (*AWS)(nil)
	_ provider.Relabeller = (*AWS)(nil)
)

// New returns the account. It sends nothing. Errors are Terminal, Invalid or NotAllowed, and name the setting.
func New(o Options) (*AWS, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = provider.Pause
	}
	if o.Paces == nil {
		own := NewPaces(o.Now, o.Pause)
		o.Paces = func() *Paces { return own }
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &AWS{
		options: o, api: connect(o),
		images: newKept[imageKey, ami](o.Now), archs: newKept[string, string](o.Now), prices: newKept[priceKey, price](o.Now),
		sizes: newKept[string, []provider.Choice](o.Now), zones: newKept[string, []provider.Choice](o.Now),
		places: newKept[string, place](o.Now), groups: newKept[string, string](o.Now), imported: newKept[string, struct{}](o.Now),
		volumes:  volumes{now: o.Now},
		fresh:    memory{now: o.Now, made: map[string]remembered{}},
		tokens:   tokens{ended: map[string]bool{}, mismatched: map[string]time.Time{}},
		launched: launches{all: map[string][]types.Instance{}, doubts: map[string]bool{}},
	}
	a.byID = newGatherer(filterValues, a.describeIDs)
	a.byKey = newGatherer(filterValues, a.describeKeys)
	a.ends = newGatherer(filterValues, a.terminate)
	a.tidies = newGatherer(1, a.tidy)
	return a, nil
}

var regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)

func (o Options) validate() error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.Terminal, fault.ReasonInvalid, format, args...)
	}
	if o.Installation == "" {
		return invalid("the installation has no id")
	}
	if !regionName.MatchString(o.Region) {
		return invalid("region: %.64q is no AWS region such as eu-west-1", o.Region)
	}
	if err := provider.AdmitEndpoint(o.Endpoint, o.EndpointAllow); err != nil {
		return err
	}
	if c := o.Credentials; (c.AccessKeyID == "") != (c.SecretAccessKey == "") || c.SessionToken != "" && c.AccessKeyID == "" {
		return invalid("credentials: accessKeyID and secretAccessKey belong together, and sessionToken needs both")
	}
	if o.AssumeRole != nil && o.AssumeRole.ARN == "" {
		return invalid("assumeRole.arn is empty")
	}
	for _, network := range o.SSHFrom {
		if _, err := netip.ParsePrefix(network); err != nil {
			return invalid("network.sshFrom: %.64q is no network such as 192.0.2.0/24", network)
		}
	}
	switch {
	case len(o.SSHFrom) > 0 && len(o.SecurityGroupIDs) > 0:
		return invalid("network: with securityGroupIDs given, sshFrom means nothing: remove one of the two")
	case o.Transport != "" && o.Transport != transport.SSH && o.Transport != transport.Script:
		return invalid("machines of AWS are not reached by transport %.64q", o.Transport)
	case o.Transport == transport.Script && o.Endpoint == "":
		return invalid("transport Script is for a simulated cloud: it needs an endpoint")
	}
	return nil
}

// Account asks who the credentials belong to, and remembers it.
func (a *AWS) Account(ctx context.Context) (provider.Account, error) {
	a.mu.Lock()
	number := a.account
	a.mu.Unlock()
	if number == "" {
		got, err := a.api.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return provider.Account{}, classify("GetCallerIdentity", err, fault.Retry)
		}
		number = deref(got.Account)
		a.mu.Lock()
		a.account = number
		a.mu.Unlock()
	}
	return provider.Account{ID: "aws/" + number + "/" + a.options.Region, Location: a.options.Region}, nil
}

func deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}
