package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	fakeupcloud "github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

// world is one account of a cloud, served for the real SDK, as the crash suite needs it. Its clock stands still until it is moved.
type world struct {
	*faults.Stage
	size, larger, image, other string
	carrier                    *http.Transport
	close                      func()
	open                       func(*killer) (provider.Provider, error) // as a new process opens it
	left                       func() left
}

// left is what exists at the cloud.
type left struct {
	machines []string // ids
	disks    int
	beside   []string // what else is billed or in the way: groups, key pairs, backups
	made     int      // machines, ever
}

// vendor is a kind of cloud.
type vendor struct {
	name     string
	provider v1alpha1.ProviderSpec
	batches  bool // it makes many machines by one call
	new      func() *world
	kinds    []faults.Kind
	faults   []struck
}

// struck is a fault under which the suite runs, once in each call that it can strike.
type struck struct {
	name   string
	lasts  time.Duration // by the cloud's clock
	amount int
	writes bool // only in calls that change something
}

var vendors = []*vendor{
	{
		name: "AWS", batches: true, new: newEC2, kinds: ec2.New(ec2.Options{}).Board.Kinds(),
		provider: v1alpha1.ProviderSpec{Type: v1alpha1.ProviderAWS, AWS: &v1alpha1.AWSProvider{Region: ec2.Region}},
		faults: []struck{
			{name: ec2.IdempotentParameterMismatch}, {name: ec2.IdempotentInstanceTerminated}, {name: ec2.DescribeLag, lasts: 15 * time.Second}, {name: ec2.TagLag, lasts: 15 * time.Second},
			{name: ec2.RequestLimitExceeded, writes: true}, {name: ec2.InsufficientInstanceCapacity}, {name: ec2.SpontaneousTermination}, {name: ec2.PartialFulfilment, amount: 2},
			{name: ec2.ReplyLost}, {name: ec2.ErrorAfterCommit}, {name: ec2.InternalError}, {name: ec2.InstanceLimitExceeded}, {name: ec2.UnauthorizedOperation, writes: true},
		},
	},
	{
		name: "UpCloud", new: newUpCloud, kinds: fakeupcloud.Kinds,
		provider: v1alpha1.ProviderSpec{Type: v1alpha1.ProviderUpCloud, UpCloud: &v1alpha1.UpCloudProvider{Zone: "fi-hel1"},
			Credentials: &v1alpha1.Credentials{SecretRef: v1alpha1.LocalRef{Name: "upcloud"}}},
		faults: []struck{
			{name: fakeupcloud.ListedNotFound}, {name: fakeupcloud.DeletedForbidden}, {name: fakeupcloud.DeletedListed, lasts: 15 * time.Second}, {name: fakeupcloud.ReplyLost},
			{name: fakeupcloud.Maintenance, lasts: 100 * time.Second}, {name: fakeupcloud.StoragesLeft}, {name: fakeupcloud.ResizeBackup}, {name: fakeupcloud.PricesDropped},
			{name: fakeupcloud.Busy}, {name: fakeupcloud.BadGateway}, {name: fakeupcloud.BadGatewayAfter}, {name: fakeupcloud.Hidden, lasts: 25 * time.Second},
			{name: fakeupcloud.NoCredits}, {name: fakeupcloud.LimitReached}, {name: fakeupcloud.Vanishes},
		},
	},
}

// stories are those that can be played at the cloud.
func (v *vendor) stories() (all []*story) {
	for i := range stories {
		if stories[i].servers == 1 || v.batches {
			all = append(all, &stories[i])
		}
	}
	return all
}

// lethal are the faults that end a machine by another hand.
var lethal = []string{ec2.SpontaneousTermination, fakeupcloud.Vanishes}

// final are the faults after which nobody tries again unasked.
var final = []string{ec2.InstanceLimitExceeded, ec2.UnauthorizedOperation, fakeupcloud.NoCredits, fakeupcloud.LimitReached}

// orders has the fault strike once in each of these calls that it can strike; none where it cannot.
func (f struck) orders(kinds []faults.Kind, calls []faults.Call) (orders []faults.Order) {
	kind := kinds[slices.IndexFunc(kinds, func(k faults.Kind) bool { return k.Name == f.name })]
	order := faults.Order{Name: f.name, For: faults.Duration(f.lasts), Amount: f.amount}
	if slices.Contains(lethal, f.name) {
		return []faults.Order{order}
	}
	seen := map[string]bool{}
	for _, call := range calls {
		if seen[call.Operation] || f.writes && !call.Mutating || kind.Calls != nil && !slices.Contains(kind.Calls, call.Operation) {
			continue
		}
		seen[call.Operation] = true
		order.Call = call.Operation
		orders = append(orders, order)
	}
	return orders
}

// serve puts the cloud onto a loopback address.
func (w *world) serve(handler http.Handler) (url string) {
	server := httptest.NewServer(handler)
	w.carrier = &http.Transport{}
	w.close = func() { w.carrier.CloseIdleConnections(); server.Close() }
	return server.URL
}

func newEC2() *world {
	cloud := ec2.New(ec2.Options{Unthrottled: true, Lag: 2 * time.Second})
	w := &world{Stage: cloud.Stage, size: "t3.micro", larger: "t3.small", image: "debian-12", other: "ubuntu-24.04"}
	url := w.serve(cloud.Handler())
	w.open = func(k *killer) (provider.Provider, error) {
		return aws.New(aws.Options{
			Installation: "test", Region: ec2.Region, Endpoint: url, EndpointAllow: []string{"127.0.0.0/8"}, Transport: "Script", SSHFrom: []string{"192.0.2.0/24"},
			Credentials: aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: ec2.SecretAccessKey},
			HTTP:        &http.Client{Transport: k.through(w.carrier)}, Now: cloud.Clock.Now,
			Pause: func(ctx context.Context, d time.Duration) error { cloud.Clock.Move(d); return ctx.Err() },
		})
	}
	w.left = func() left {
		r := cloud.Report()
		l := left{made: r.Made, disks: r.Volumes, beside: slices.Concat(r.Groups, r.Keys)}
		for _, m := range r.Machines {
			l.machines = append(l.machines, m.ID)
		}
		return l
	}
	return w
}

func newUpCloud() *world {
	cloud := fakeupcloud.New(fakeupcloud.Options{Bucket: 1e6, Refill: 1e6})
	w := &world{Stage: cloud.Stage, size: "1xCPU-1GB", larger: "2xCPU-4GB", image: "debian-12", other: "ubuntu-24.04"}
	url := w.serve(cloud.Handler())
	w.open = func(k *killer) (provider.Provider, error) {
		return upcloud.New(upcloud.Options{
			Installation: "test", Zone: "fi-hel1", Endpoint: url, EndpointAllow: []string{"127.0.0.0/8"}, Token: "ucat_FAKE", Transport: "Script",
			Firewall: []upcloud.Rule{{Protocol: "tcp", Ports: "22"}}, RequestsPerSecond: 1e6,
			HTTP: &http.Client{Transport: k.through(w.carrier)}, Now: cloud.Clock.Now,
		})
	}
	w.left = func() left {
		i := cloud.Inventory()
		l := left{made: i.Made}
		for _, s := range i.Servers {
			l.machines = append(l.machines, s.ID)
		}
		for _, s := range i.Storages {
			if slices.ContainsFunc(i.Servers, func(of fakeupcloud.Thing) bool { return of.ID == s.Of }) {
				l.disks++
			} else {
				l.beside = append(l.beside, fmt.Sprintf("storage %s", s.Title))
			}
		}
		return l
	}
	return w
}
