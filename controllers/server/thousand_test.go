package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/mem"
)

// TestThousandOfOneShape makes 1,000 machines at EC2 with its real buckets, and counts in the cloud's own log.
func TestThousandOfOneShape(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand machines")
	}
	const n = 1000
	cloud := ec2.New(ec2.Options{Speed: 200, Lag: 2 * time.Second})
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	objects, names := []client.Object{readyProvider()}, []string{}
	for i := range n {
		names = append(names, fmt.Sprintf("s-%04d", i))
		objects = append(objects, newServer(names[i], func(s *v1alpha1.Server) { s.Spec.Size, s.Spec.Image = "t3.micro", "debian-12" }))
	}
	carrier := &http.Transport{}
	t.Cleanup(carrier.CloseIdleConnections)
	account, err := aws.New(aws.Options{
		Installation: "test", Region: ec2.Region, Endpoint: server.URL, EndpointAllow: []string{"127.0.0.0/8"}, Transport: "Script",
		Credentials: aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: ec2.SecretAccessKey}, HTTP: &http.Client{Transport: carrier}, Now: cloud.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{rig: newRig(t, mem.Options{}, objects...), names: names}
	c.opener = func(*v1alpha1.Provider) (provider.Provider, provider.Account, error) {
		return provider.Guarded(account, 30*time.Second), provider.Account{ID: testAccount}, nil
	}
	var writes int
	now := &offset{}
	c.now = now.Now
	c.boot(c.crashing(0, false, &writes))
	c.r.Turnstile.SetLimit(testAccount, "uid-mem", n)
	count := func(operation string) int { return cloud.Log.Report(0).Counts[operation] }
	up := func() (all int) {
		list := &v1alpha1.ServerList{}
		if err := c.client.List(context.Background(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			if provisioned(&list.Items[i]) {
				all++
			}
		}
		return all
	}
	for round := 0; up() < n; round++ {
		if round > 90 {
			t.Fatalf("%d of %d are up", up(), n)
		}
		c.walkAll()
		cloud.Clock.Move(2 * time.Second)
		now.move(2 * time.Second)
		_, _ = c.r.Inventory.Refresh(context.Background(), testAccount, mustOpen(c.rig), now.Now())
	}
	if report := cloud.Report(); report.Made != n || len(report.Machines) != n {
		t.Errorf("%d machines were made, %d live", report.Made, len(report.Machines))
	}
	launches, made := count("RunInstances"), writes
	now.move(time.Hour)
	cloud.Clock.Move(time.Hour)
	c.walkAll()
	described := func() int { return count("DescribeInstances") + count("DescribeVolumes") }
	pages, at := described(), writes
	const ticks = 3
	for range ticks {
		_, err := c.r.Inventory.Refresh(context.Background(), testAccount, mustOpen(c.rig), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			_, _ = c.r.Reconcile(context.Background(), ctrl.Request{NamespacedName: named(name)})
		}
	}
	pages = described() - pages
	t.Logf("%d Servers: %d RunInstances, %d CreateTags, %d writes of ours; at rest %d pages of instances and volumes in %d ticks, %d writes",
		n, launches, count("CreateTags"), made, pages, ticks, writes-at)
	if launches > 3 || pages > 10*ticks || writes != at {
		t.Errorf("at most 3 calls to launch, 10 pages a tick and no write at rest were to be seen")
	}
}

// offset is a time that runs ahead of ours by as much as it was moved.
type offset struct{ by atomic.Int64 }

func (o *offset) Now() time.Time { return time.Now().Add(time.Duration(o.by.Load())) }

func (o *offset) move(by time.Duration) { o.by.Add(int64(by)) }
