// Command manager is Keelway's operator. It knows how the rooms of the house are wired; it must hold no logic of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

func main() {
	err := operate(ctrl.SetupSignalHandler(), os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

func operate(ctx context.Context, args []string) error {
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	if s.version {
		fmt.Println(version())
		return nil
	}
	ctrl.SetLogger(logger(s.logFormat))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	config.ContentType, config.UserAgent = runtime.ContentTypeJSON, "keelway/"+version()
	options, lease, err := managerOptions(config, s)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, options)
	if err != nil {
		return fmt.Errorf("preparing the operator: %w", err)
	}
	installation := s.installation
	if installation == "" {
		if installation, err = installationID(ctx, mgr.GetAPIReader()); err != nil {
			return err
		}
	}
	kit := reconcile.Kit{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"),
		Owner: "keelway", Now: time.Now,
	}
	if lease != nil {
		kit.Until = lease.until
	}
	if err := errors.Join(wire(ctx, mgr, kit, s, installation),
		mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func managerOptions(config *rest.Config, s settings) (ctrl.Options, *lease, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return ctrl.Options{}, nil, err
	}
	renew, retry, term := renewTime, retryTime, leaseTime
	options := ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: s.metrics},
		HealthProbeBindAddress: s.health,
		PprofBindAddress:       s.profiles,
		Cache:                  cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		// Secrets are read one at a time when they are needed and never kept; Checkpoints have one reader, who reads them live.
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &v1alpha1.Checkpoint{}}}},
		LeaderElection:                s.leaderElect,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &term, RenewDeadline: &renew, RetryPeriod: &retry,
	}
	if s.watchNamespace != "" {
		options.Cache.DefaultNamespaces = map[string]cache.Config{s.watchNamespace: {}}
	}
	if !s.leaderElect {
		return options, nil, nil
	}
	namespace, err := s.leaseHome()
	if err != nil {
		return options, nil, err
	}
	lock, err := newLease(config, namespace)
	if err != nil {
		return options, nil, fmt.Errorf("preparing the lease: %w", err)
	}
	options.LeaderElectionResourceLockInterface = lock
	return options, lock, nil
}

// installationID is written onto everything that we make outside. It outlives the operator and its upgrades, and two clusters
// never share it.
func installationID(ctx context.Context, live client.Reader) (string, error) {
	var system corev1.Namespace
	if err := live.Get(ctx, types.NamespacedName{Name: "kube-system"}, &system); err != nil {
		return "", fmt.Errorf("reading the cluster's identity (namespace kube-system): %w", err)
	}
	return string(system.UID), nil
}

func logger(format string) logr.Logger {
	if format == "json" {
		return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, nil))
	}
	return logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil))
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
