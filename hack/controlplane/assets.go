// Package controlplane runs a real etcd, kube-apiserver and kube-controller-manager on this machine's loopback address, for
// tests and the demo; it knows where their binaries come from, how they are started and how they are stopped. It must not
// know what is tested against them: no kind of ours, no operator, nothing but the standard library.
package controlplane

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Assets are the paths of the control plane's binaries.
type Assets struct {
	Etcd                  string
	Etcdctl               string
	KubeAPIServer         string
	KubeControllerManager string
	Kubectl               string
}

// binary is one program of the control plane: how to build it and what to tell people who wait for that.
type binary struct {
	name     string
	pkg      string
	takes    string // the first time, on two cores
	envtest  bool   // setup-envtest has it, and we take it from there
	required bool   // a directory named by KUBEBUILDER_ASSETS must hold it
	path     func(*Assets) *string
}

// binaries is every program we need, in building order: the longest first, so that the others find most packages compiled.
// etcd is never taken from setup-envtest, so that etcd and etcdctl are always of the same release.
var binaries = []binary{
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "6 min", true, true,
		func(a *Assets) *string { return &a.KubeAPIServer }},
	{"etcd", "go.etcd.io/etcd/server/v3", "30 s", false, true,
		func(a *Assets) *string { return &a.Etcd }},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl", "1 min", true, true,
		func(a *Assets) *string { return &a.Kubectl }},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "3 min", false, false,
		func(a *Assets) *string { return &a.KubeControllerManager }},
	{"etcdctl", "go.etcd.io/etcd/etcdctl/v3", "15 s", false, false,
		func(a *Assets) *string { return &a.Etcdctl }},
}

// Binaries finds the control plane's binaries or makes them: KUBEBUILDER_ASSETS when set, else the cache, else setup-envtest's
// download, else a build from Go modules. What was made is kept in the cache, one binary at a time: an interrupted call goes
// on where it stopped, and two processes at once do the work once. Progress goes to log.
func Binaries(ctx context.Context, log io.Writer) (Assets, error) {
	log = quietIfNil(log)
	var assets Assets
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		if err := assets.takeGiven(dir); err != nil {
			return Assets{}, err
		}
	}
	if len(assets.missing()) == 0 {
		return assets, nil
	}
	src, err := findSource()
	if err != nil {
		return Assets{}, err
	}
	store, err := openCache(src)
	if err != nil {
		return Assets{}, err
	}
	assets.take(store.bin)
	if len(assets.missing()) == 0 {
		return assets, nil
	}
	return assets, store.fill(ctx, log, &assets)
}

// take fills the paths that are still empty from dir.
func (a *Assets) take(dir string) {
	for _, b := range a.missing() {
		if path := filepath.Join(dir, b.name); isExecutable(path) {
			*b.path(a) = path
		}
	}
}

// takeGiven takes what a person named by KUBEBUILDER_ASSETS. An incomplete directory is an error and not a reason to look
// elsewhere: whoever set the variable meant those binaries.
func (a *Assets) takeGiven(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolving KUBEBUILDER_ASSETS: %w", err)
	}
	a.take(dir)
	var lacking []string
	for _, b := range a.missing() {
		if b.required {
			lacking = append(lacking, b.name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("KUBEBUILDER_ASSETS=%s lacks %s: complete that directory, or unset the variable to use the cache",
			dir, strings.Join(lacking, ", "))
	}
	return nil
}

// missing lists the binaries whose path is not known yet.
func (a *Assets) missing() []binary {
	var out []binary
	for _, b := range binaries {
		if *b.path(a) == "" {
			out = append(out, b)
		}
	}
	return out
}

// EtcdVersion asks the etcd binary for its release, such as "3.7.3", without a leading v.
func (a Assets) EtcdVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, a.Etcd, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking etcd for its version: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if version, found := strings.CutPrefix(line, "etcd Version:"); found {
			return strings.TrimSpace(version), nil
		}
	}
	return "", fmt.Errorf("asking etcd for its version: no version in %q", limit(string(out), 200))
}

// isExecutable tells whether path is a file that may be run.
func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
