// Command controlplane builds and runs a real Kubernetes control plane on this machine; it knows the command line alone.
// It must not hold logic: that is package controlplane's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keelway/keelway/hack/controlplane"
)

const usage = `usage:
  controlplane build            fill the cache of binaries and print their paths
  controlplane up [flags] [-- flags of kube-apiserver]
                                run a control plane until SIGINT or SIGTERM

Binaries come from KUBEBUILDER_ASSETS when set, else from the cache (KEELWAY_CACHE, or keelway in the user's cache directory),
else from setup-envtest, else they are built with Go alone.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	switch verb {
	case "build":
		return build(ctx)
	case "up":
		return up(ctx, args)
	}
	fmt.Fprint(os.Stderr, usage)
	return flag.ErrHelp
}

// build prints one line a binary, for shells to read.
func build(ctx context.Context) error {
	assets, err := controlplane.Binaries(ctx, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Printf("etcd=%s\netcdctl=%s\nkube-apiserver=%s\nkube-controller-manager=%s\nkubectl=%s\n",
		assets.Etcd, assets.Etcdctl, assets.KubeAPIServer, assets.KubeControllerManager, assets.Kubectl)
	return nil
}

func up(ctx context.Context, args []string) error {
	var readyFile string
	options := controlplane.Options{Log: os.Stderr}
	flags := flag.NewFlagSet("controlplane up", flag.ContinueOnError)
	flags.StringVar(&options.Dir, "dir", "", "keep data, keys and logs here, and continue what is there (default: a temporary directory)")
	flags.StringVar(&readyFile, "ready-file", "", "write the kubeconfig's path here once ready, and remove the file at the end")
	flags.Func("crds", "install the CRDs of this file or directory first (may be repeated)", func(path string) error {
		options.CRDs = append(options.CRDs, path)
		return nil
	})
	flags.BoolVar(&options.NoControllerManager, "no-controller-manager", false, "leave kube-controller-manager out")
	flags.BoolVar(&options.AuditLog, "audit", false, "log every write to logs/audit.log in the directory")
	flags.BoolVar(&options.NoFsync, "no-fsync", false, "do not wait for the disk: quicker, and not for benchmarks")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options.APIServerArgs = flags.Args()

	plane, err := controlplane.Start(ctx, options)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", plane.Kubeconfig())
	err = announce(readyFile, plane.Kubeconfig())
	if err == nil {
		err = plane.Wait(ctx)
	}
	if readyFile != "" {
		_ = os.Remove(readyFile) // it may never have been written
	}
	if errors.Is(err, context.Canceled) { // asked to end: that is success
		err = nil
	}
	return errors.Join(err, plane.Stop())
}

// announce writes the ready file by a rename: a script that waits for the file reads it whole.
func announce(path, kubeconfig string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path+".partial", []byte(kubeconfig+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	return os.Rename(path+".partial", path)
}
