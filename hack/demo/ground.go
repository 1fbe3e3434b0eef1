package main

import (
	"context"
	"io"

	"github.com/keelway/keelway/api/v1alpha1"
)

// ground is what the demo's servers stand on: what differs between a driver and another, and nothing else.
type ground interface {
	// prepare makes what servers need, before anything is started. It fails with what to install.
	prepare(ctx context.Context, log io.Writer) error
	// settle is told the cluster's identity, which the operator writes onto servers.
	settle(installation string) error
	introduction() string
	mirrorHost(ctx context.Context) (string, error) // the address that servers reach this machine at
	flags() []string                                // of the operator
	provider(root string) (string, error)           // the Provider as YAML
	homes() []string                                // of servers that exist, each by its machine's id
	noun() string                                   // for a home, as server directory
	residents() []resident
	daemon(access *v1alpha1.ServerAccess) string // which etcd runs there; "" when none does
	tour() string                                // a command that shows the servers from outside
	clear() error
}

// groundOf returns the ground of a driver.
func groundOf(driver, home string) ground {
	if driver == "Docker" {
		return &containers{home: home}
	}
	return &processes{state: home + "/servers"}
}
