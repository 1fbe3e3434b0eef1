// Command democlouds shows one workflow over two simulated clouds and this machine, with the operator killed in the middle. It knows
// how these are started, watched and cleared away; it must not do any of the operator's work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo-clouds:", err)
		os.Exit(1)
	}
}

// longest is the time that everything may take once the control plane is up.
const longest = 6 * time.Minute

func run(ctx context.Context) (err error) {
	home, err := os.MkdirTemp("", "keelway-demo-clouds-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	assets, err := controlplane.Binaries(ctx, os.Stderr)
	if err != nil {
		return err
	}
	say("starting a control plane, and simulated clouds: EC2, UpCloud and a local one")
	plane, err := controlplane.Start(ctx, controlplane.Options{Dir: filepath.Join(home, "controlplane"), Assets: assets, CRDs: []string{"config/crd/bases"}, NoFsync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	sky, err := openSky()
	if err != nil {
		return err
	}
	defer sky.close()
	p := &play{plane: plane, sky: sky, home: home}
	defer p.end()
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("not done after %s", longest))
	defer cancel()
	if err := p.all(ctx); err != nil {
		return errors.Join(err, p.explain())
	}
	return nil
}

// play is one run of the demo.
type play struct {
	plane    *controlplane.ControlPlane
	sky      *sky
	home     string
	operator *operator
}

func (p *play) all(ctx context.Context) error {
	if err := p.set(ctx); err != nil {
		return err
	}
	heading("Applying examples/clouds")
	if err := p.kubectl(ctx, "", "apply", "--server-side", "-f", "examples/clouds/workflow.yaml"); err != nil {
		return err
	}
	if err := p.kill(ctx, "some machines are recorded and others are not", func(s state) bool { return s.ids > 0 && s.ids < s.servers }); err != nil {
		return err
	}
	end, err := p.until(ctx, "the workflow has ended", func(s state) bool { return ended(s.phase) })
	if err != nil {
		return err
	}
	if end.phase != "Succeeded" {
		return fmt.Errorf("the workflow ended %s", end.phase)
	}
	heading("What there is now")
	for _, args := range [][]string{
		{"get", "kprov"}, {"get", "bwf", "-o", "wide"},
		{"get", "ksrv", "-o", "custom-columns=NAME:.metadata.name,PROVIDER:.spec.providerRef.name,ID:.status.id,SIZE:.spec.size,PHASE:.status.phase,CURRENCY:.status.cost.currency,COST/MO:.status.cost.monthly"},
		{"get", "ktsv"},
	} {
		if err := p.kubectl(ctx, "", args...); err != nil {
			return err
		}
	}
	if err := p.sky.made(end.servers); err != nil {
		return err
	}
	say("the clouds made %d machines for %d Servers: none twice, although the operator was killed", end.servers, end.servers)
	return p.remove(ctx)
}

// remove deletes the workflow, kills the operator once more, and looks whether the clouds are empty.
func (p *play) remove(ctx context.Context) error {
	heading("Deleting the workflow")
	if err := p.kubectl(ctx, "", "delete", "bwf", "clouds", "--wait=false"); err != nil {
		return err
	}
	if err := p.kill(ctx, "the servers are being deleted", func(s state) bool { return s.deleting > 0 }); err != nil {
		return err
	}
	if _, err := p.until(ctx, "everything is gone", func(s state) bool { return s.phase == "" && s.servers == 0 }); err != nil {
		return err
	}
	if err := p.kubectl(ctx, "", "delete", "kprov", "--all"); err != nil {
		return err
	}
	if err := p.sky.empty(); err != nil {
		return err
	}
	say("the clouds are empty: no machine, no disk is left")
	return nil
}

// set puts the operator and the Providers in place.
func (p *play) set(ctx context.Context) error {
	role, err := os.ReadFile("config/rbac/role.yaml")
	if err != nil {
		return err
	}
	binding := "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: keelway-demo}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keelway-manager}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: keelway-manager}]\n"
	if _, err := p.plane.Kubectl(ctx, strings.NewReader(string(role)+binding), "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	kubeconfig, err := p.plane.KubeconfigFor("keelway-manager")
	if err != nil {
		return err
	}
	p.operator = &operator{home: p.home, kubeconfig: kubeconfig}
	if err := p.operator.start(); err != nil {
		return err
	}
	for _, secret := range p.sky.secrets() {
		if _, err := p.plane.Kubectl(ctx, strings.NewReader(""), secret...); err != nil {
			return err
		}
	}
	providers, err := p.sky.providers()
	if err != nil {
		return err
	}
	if err := p.kubectl(ctx, providers, "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	_, err = p.plane.Kubectl(ctx, strings.NewReader(""), "wait", "kprov", "--all", "--for=condition=Ready", "--timeout=60s")
	return err
}

func (p *play) end() {
	if p.operator != nil {
		p.operator.stop()
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func heading(text string) { fmt.Printf("\n\033[1m%s\033[0m\n", text) }
