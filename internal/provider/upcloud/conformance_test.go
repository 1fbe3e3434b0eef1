package upcloud_test

import (
	"testing"
	"time"

	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/providertest"
	"github.com/keelway/keelway/internal/provider/upcloud"
)

var refused = map[string]provider.Machine{
	"size": {Size: "2xCPU-4GBB"}, "zone": {Zone: "fi-hel9"}, "image": {Image: "minix"},
}

func TestConformance(t *testing.T) {
	for name, change := range map[string]func(*upcloud.Options){
		"token":    func(*upcloud.Options) {},
		"password": func(o *upcloud.Options) { o.Token, o.Username, o.Password = "", "fake", "fake" },
		"firewall": func(o *upcloud.Options) {
			o.Firewall = []upcloud.Rule{{Protocol: "tcp", Ports: "22", From: "192.0.2.0/24"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Subject {
				r := newRig(t)
				return providertest.Subject{
					Open: func(t *testing.T, installation string) provider.Provider {
						return r.open(change, func(o *upcloud.Options) { o.Installation = installation })
					},
					Pass: func() { r.pass(time.Second) }, Shape: provider.Machine{Size: "1xCPU-1GB", Zone: "de-fra1", Image: "ubuntu-24.04"}, Refused: refused,
					Can:     []providertest.Ability{providertest.Power, providertest.Resize, providertest.Adopt, providertest.Catalogue, providertest.Prices},
					Resized: "2xCPU-4GB", Tier: "maxiops", NoNetwork: "03000000-0000-4000-8000-0000000000ff", Stray: func(*testing.T) string { return r.stranger() },
				}
			})
		})
	}
}
