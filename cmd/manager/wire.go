package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/batchworkflow"
	providercontroller "github.com/keelway/keelway/controllers/provider"
	"github.com/keelway/keelway/controllers/reach"
	"github.com/keelway/keelway/controllers/run"
	"github.com/keelway/keelway/controllers/server"
	"github.com/keelway/keelway/controllers/taskservice"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/provider"
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
	if slices.Contains(s.localDrivers, providers.DriverMemory) {
		admitted.Simulated = &script.Machines{}
	}
	if slices.Contains(s.localDrivers, providers.DriverDocker) {
		admitted.Docker = s.dockerHost
	}
	connector := connect.Connector{Dialer: transports.New(admitted), Keys: &connect.Keys{Live: kit.Live, Now: kit.Now}}
	doors := opener{accounts: providers.NewOpener(mem.Options{}), settings: s, installation: installation, connector: connector}

	servers := server.New(kit, doors, server.Options{Installation: installation, Workers: s.workers})
	accounts := providercontroller.New(kit, doors, servers.Inventory, servers.Turnstile, connector, providercontroller.Options{})
	return errors.Join(
		children.Index(ctx, mgr.GetFieldIndexer()),
		mgr.Add(servers.Inventory),
		accounts.SetupWithManager(mgr),
		servers.SetupWithManager(mgr),
		reach.New(kit, connector, reach.Options{Workers: s.workers}).SetupWithManager(mgr),
		taskservice.SetupWithManager(ctx, mgr, taskservice.Options{Kit: kit, Catalog: recipes, Connector: connector, Workers: s.workers}),
		run.SetupWithManager(ctx, mgr, run.Options{Kit: kit, Connector: connector, CheckAllow: s.checkAllow, Workers: s.workers}),
		batchworkflow.SetupWithManager(mgr, batchworkflow.Options{Kit: kit, Recipes: recipes, Workers: s.workers}),
	)
}

// opener translates a Provider object into the words of the providers, which know no objects.
type opener struct {
	accounts     *providers.Opener
	settings     settings
	installation string
	connector    connect.Connector
}

// Open opens the account that the object names.
func (o opener) Open(ctx context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
	spec := providers.Spec{
		Type: string(p.Spec.Type), Installation: o.installation, Admitted: o.settings.localDrivers, StateDir: o.settings.stateDir, DockerHost: o.settings.dockerHost,
	}
	if local := p.Spec.Local; local != nil {
		spec.Driver, spec.Endpoint, spec.Docker = string(local.Driver), local.Endpoint, shape(local.Docker)
	}
	if spec.Driver == providers.DriverHost {
		key, err := o.connector.Keys.Private(ctx, p.Namespace, connect.SecretOf(p))
		if err != nil {
			return nil, provider.Account{}, err
		}
		spec.Host = pool(p)
		spec.Host.PrivateKey, spec.Host.Dialer = key, o.connector.Dialer
	}
	return o.accounts.Open(ctx, spec)
}
