// Package ec2 knows how to be the part of AWS that makes machines: EC2's Query API with its buckets, tokens, lags and errors, and of STS,
// SSM and the price list the calls that go with it. It must not know who calls it, and it runs nothing: a machine is an entry.
package ec2

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/keelway/keelway/hack/fakecloud/faults"
)

// Options say how the cloud behaves. The zero value is a cloud whose time stands still, with AWS's own limits.
type Options struct {
	Speed       float64           // how fast its time runs; 0: it moves only when it is told
	Keys        map[string]string // access keys that it knows, with their secrets; nil: AccessKeyID and SecretAccessKey
	Lag         time.Duration     // for which DescribeInstances does not show a new instance
	Unthrottled bool              // no token buckets
	Instances   int               // the account's quota; 0: 5,000
	CPUs        int               // the account's quota of vCPUs; 0: 20,000
}

// The access key that a cloud knows unless it is told others, and the account that all keys belong to. Neither is a secret.
const (
	AccessKeyID     = "AKIAFAKECLOUD0000001"
	SecretAccessKey = "fakecloud-is-no-secret"
	AccountID       = "000000000001"
	Region          = "eu-west-1"
)

// Cloud is one account in one region. It is safe for concurrent use.
type Cloud struct {
	*faults.Stage
	options Options
	buckets map[string]*bucketPair

	mu       sync.Mutex
	serial   int
	sessions map[string]string // temporary access keys, with their secrets
	machines map[string]*instance
	order    []*instance // as they were made, without those that are forgotten
	tokens   map[string]*launch
	groups   map[string]*group
	keys     map[string]*keyPair
	made     int
}

// New returns an empty account.
func New(o Options) *Cloud {
	if o.Keys == nil {
		o.Keys = map[string]string{AccessKeyID: SecretAccessKey}
	}
	if o.Instances == 0 {
		o.Instances = 5000
	}
	if o.CPUs == 0 {
		o.CPUs = 20000
	}
	c := &Cloud{
		Stage: faults.NewStage("ec2", o.Speed, kinds...), options: o, buckets: newBuckets(),
		sessions: map[string]string{}, machines: map[string]*instance{}, tokens: map[string]*launch{}, keys: map[string]*keyPair{},
	}
	c.groups = map[string]*group{defaultGroup: {ID: defaultGroup, Name: "default", About: "default VPC security group", VPC: defaultVPC}}
	c.Things = func() any { return c.Report() }
	return c
}

// Handler serves the cloud, and its stage below faults.Prefix.
func (c *Cloud) Handler() http.Handler { return c.Stage.Handler(http.HandlerFunc(c.serve)) }

func (c *Cloud) next(prefix string) string {
	c.serial++
	return fmt.Sprintf("%s-%017x", prefix, 0x0abc000000000000+c.serial)
}

// Report is what exists, for tests and people.
type Report struct {
	Machines []Machine `json:"machines"` // that did not end, in order of id
	Ended    int       `json:"ended"`
	Made     int       `json:"made"`
	Volumes  int       `json:"volumes"` // of machines that did not end
	Groups   []string  `json:"groups"`  // security groups besides the default one
	Keys     []string  `json:"keys"`    // key pairs
}

// Machine is an instance in short.
type Machine struct {
	ID    string            `json:"id"`
	State string            `json:"state"`
	Type  string            `json:"type"`
	Zone  string            `json:"zone"`
	Tags  map[string]string `json:"tags"`
}

// Report tells what exists now.
func (c *Cloud) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.advance()
	got := Report{Made: c.made, Ended: c.made, Machines: []Machine{}, Groups: []string{}, Keys: []string{}}
	for _, i := range sorted(c.machines) {
		if i.state(now) == terminated {
			continue
		}
		got.Machines = append(got.Machines, Machine{i.ID, i.state(now), i.Type, i.Zone, copyOf(i.tags)})
		got.Volumes += len(i.volumes)
		got.Ended--
	}
	for _, g := range sorted(c.groups) {
		if g.ID != defaultGroup {
			got.Groups = append(got.Groups, g.ID)
		}
	}
	for _, k := range sorted(c.keys) {
		got.Keys = append(got.Keys, k.Name)
	}
	return got
}
