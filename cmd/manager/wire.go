package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keelway/keelway/controllers/batchworkflow"
	providercontroller "github.com/keelway/keelway/controllers/provider"
	"github.com/keelway/keelway/controllers/reach"
	"github.com/keelway/keelway/controllers/run"
	"github.com/keelway/keelway/controllers/server"
	"github.com/keelway/keelway/controllers/taskservice"
	"github.com/keelway/keelway/internal/account"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/connect"
	providers "github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	transports "github.com/keelway/keelway/internal/transport/all"
	"github.com/keelway/keelway/internal/transport/script"
)

// wire connects the controllers with their doors.
func wire(ctx context.Context, mgr ctrl.Manager, kit reconcile.Kit, s settings, installation string) error {
	recipes, err := catalog.Builtin()
	if err != nil {
		return fmt.Errorf("reading the built-in recipes: %w", err)
	}
	admitted := transports.Options{Process: slices.Contains(s.localDrivers, providers.DriverProcess)}
	if slices.Contains(s.localDrivers, providers.DriverMemory) || s.simulateMachines {
		admitted.Simulated = &script.Machines{}
	}
	if slices.Contains(s.localDrivers, providers.DriverDocker) {
		admitted.Docker = s.dockerHost
	}
	connector := connect.Connector{Dialer: transports.New(admitted), Keys: &connect.Keys{Live: kit.Live, Now: kit.Now}}
	doors := &account.Opener{
		Accounts: providers.NewOpener(mem.Options{Clock: kit.Now}), Connector: connector, Installation: installation,
		Admitted: s.localDrivers, EndpointAllow: s.endpointAllow, AmbientNamespaces: s.ambientNamespaces, StateDir: s.stateDir, DockerHost: s.dockerHost, SimulateMachines: s.simulateMachines,
	}

	servers := server.New(kit, doors, server.Options{Installation: installation, Workers: s.workers, Metrics: metrics.Registry})
	accounts := providercontroller.New(kit, doors, servers.Inventory, servers.Turnstile, connector, providercontroller.Options{})
	return errors.Join(
		children.Index(ctx, mgr.GetFieldIndexer()),
		mgr.Add(servers.Inventory),
		accounts.SetupWithManager(mgr),
		servers.SetupWithManager(mgr),
		reach.New(kit, connector, reach.Options{Workers: s.workers}).SetupWithManager(mgr),
		taskservice.SetupWithManager(ctx, mgr, taskservice.Options{Kit: kit, Catalog: recipes, Connector: connector, Workers: s.workers}),
		run.SetupWithManager(ctx, mgr, run.Options{Kit: kit, Connector: connector, CheckAllow: s.checkAllow, Workers: s.workers}),
		batchworkflow.SetupWithManager(mgr, batchworkflow.Options{Kit: kit, Recipes: recipes, Workers: s.workers, Metrics: metrics.Registry}),
	)
}
