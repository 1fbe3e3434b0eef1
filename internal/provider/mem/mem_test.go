package mem_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/provider/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that moves only when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) Move(by time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(by) }

func slow(c *clock) mem.Options {
	return mem.Options{Clock: c.Now, BootTime: 30 * time.Second, DeleteTime: 20 * time.Second}
}

// served puts a cloud behind HTTP for the time of a test.
func served(t *testing.T, cloud *mem.Cloud) *mem.Client {
	t.Helper()
	server := httptest.NewServer(mem.Handler(cloud))
	client, err := mem.Dial(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client
}

var refused = map[string]provider.Machine{"size": {Size: "huge"}, "zone": {Zone: "moon-1"}, "image": {Image: "minix"}}

func TestConformance(t *testing.T) {
	for name, options := range map[string]func(*clock) mem.Options{"slow": slow, "instant": func(c *clock) mem.Options { return mem.Options{Clock: c.Now} }} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject {
				c := newClock()
				cloud := &mem.Wide{Cloud: mem.New(options(c)), Currency: "EUR", AsOf: c.Now(), Prices: map[string]string{"medium": "0.012"}}
				return providertest.Subject{
					Open: func(*testing.T, string) provider.Provider { return cloud },
					Pass: func() { c.Move(time.Second) }, Shape: provider.Machine{Size: "medium", Zone: "zone-2"}, Refused: refused,
					Can:     []providertest.Ability{providertest.Power, providertest.Resize, providertest.Adopt, providertest.Catalogue, providertest.Batch, providertest.Prices},
					Resized: "large", Tier: "fast", NoNetwork: "net-9", Stray: func(*testing.T) string { return cloud.Foreign(provider.Machine{}).ID },
				}
			})
		})
	}
}

func TestConformanceOverHTTP(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		c := newClock()
		client := served(t, mem.New(slow(c)))
		return providertest.Subject{
			Open: func(*testing.T, string) provider.Provider { return client },
			Pass: func() { c.Move(time.Second) }, Refused: refused,
			Can:     []providertest.Ability{providertest.Power, providertest.Resize, providertest.Adopt},
			Resized: "large", Tier: "fast", NoNetwork: "net-9",
		}
	})
}

func machine(name, uid string) provider.Machine {
	return provider.Machine{Key: "key-" + uid, Owner: provider.Owner{Installation: "i", Namespace: "n", Name: name, UID: uid}}
}

func mustCreate(t *testing.T, p provider.Provider, want provider.Machine) provider.Instance {
	t.Helper()
	got, err := p.Create(context.Background(), want)
	if err != nil {
		t.Fatalf("creating %s: %v", want.Key, err)
	}
	return got
}
