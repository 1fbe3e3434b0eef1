package aws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/faults"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const installation = "installation-a"

var everything = provider.Owner{Installation: installation}

// lab is a simulated cloud whose time moves only when told, and the way to it.
type lab struct {
	*ec2.Cloud
	t   *testing.T
	url string
}

func newLab(t *testing.T, o ec2.Options) *lab {
	t.Helper()
	cloud := ec2.New(o)
	server := httptest.NewServer(cloud.Handler())
	t.Cleanup(server.Close)
	return &lab{Cloud: cloud, t: t, url: server.URL}
}

func (l *lab) options() aws.Options {
	carrier := &http.Transport{MaxIdleConnsPerHost: 16}
	l.t.Cleanup(carrier.CloseIdleConnections)
	return aws.Options{
		Installation: installation, Region: ec2.Region, Endpoint: l.url, EndpointAllow: []string{"127.0.0.0/8"},
		Credentials: aws.Credentials{AccessKeyID: ec2.AccessKeyID, SecretAccessKey: ec2.SecretAccessKey},
		Transport:   "Script", HTTP: &http.Client{Transport: carrier}, Now: l.Clock.Now,
		Pause: func(ctx context.Context, d time.Duration) error { l.Clock.Move(d); return ctx.Err() },
	}
}

func (l *lab) open(changes ...func(*aws.Options)) *aws.AWS {
	l.t.Helper()
	o := l.options()
	for _, change := range changes {
		change(&o)
	}
	a, err := aws.New(o)
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

func (l *lab) arm(orders ...faults.Order) {
	l.t.Helper()
	if err := l.Board.Arm(orders...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) create(a *aws.AWS, want provider.Machine) provider.Instance {
	l.t.Helper()
	got, err := a.Create(context.Background(), want)
	if err != nil {
		l.t.Fatalf("creating %s: %v", want.Key, err)
	}
	return got
}

// counts returns how often each call was made since the last time.
func (l *lab) calls(operation string) int { return l.Log.Report(0).Counts[operation] }

func owner(name, uid string) provider.Owner {
	return provider.Owner{Installation: installation, Namespace: "team-a", Name: name, UID: uid}
}

func machine(name, uid string) provider.Machine {
	return provider.Machine{Key: "key-" + uid, Owner: owner(name, uid), Size: "t3.micro", Image: "debian-12"}
}

var refused = map[string]provider.Machine{
	"size":  {Size: "huge", Image: "debian-12"},
	"zone":  {Size: "t3.micro", Zone: "moon-1", Image: "debian-12"},
	"image": {Size: "t3.micro", Image: "minix"},
}

func TestConformance(t *testing.T) {
	for name, o := range map[string]ec2.Options{"prompt": {Unthrottled: true}, "lagging": {Unthrottled: true, Lag: 3 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject {
				l := newLab(t, o)
				return providertest.Subject{
					Open: func(_ *testing.T, installation string) provider.Provider {
						return l.open(func(o *aws.Options) { o.Installation = installation })
					},
					Pass:  func() { l.Clock.Move(time.Second) },
					Shape: provider.Machine{Size: "t3.small", Zone: "eu-west-1b", Image: "ubuntu-24.04"}, Refused: refused,
					Can:     []providertest.Ability{providertest.Power, providertest.Resize, providertest.Adopt, providertest.Catalogue, providertest.Batch, providertest.Prices},
					Resized: "t3.large", Tier: "gp3", NoNetwork: "subnet-0123456789abcdef0",
				}
			})
		})
	}
}
