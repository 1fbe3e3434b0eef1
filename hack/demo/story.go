package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
	"github.com/keelway/keelway/internal/view"
)

// story is one run of the demo, from an empty machine to an empty machine.
type story struct {
	out    *screen
	wanted settings
	root   string // of the checkout

	home     *home
	ground   ground
	cluster  *cluster
	mirror   *mirror
	operator *operator
	lost     chan error // what the control plane died of

	saboteur *saboteur // nil without CRASH=1
	witness  *witness
	journal  *view.Journal
	laps     []lap
	told     bool // what went wrong has been explained
}

// lap is how long a part took.
type lap struct {
	name string
	took time.Duration
}

func newStory(out *screen, wanted settings) *story {
	t := &story{out: out, wanted: wanted, witness: newWitness(), lost: make(chan error, 1)}
	if wanted.crash {
		t.saboteur = &saboteur{left: moments(wanted.fail)}
	}
	return t
}

// longest is the time that everything may take once the control plane is up.
const longest = 10 * time.Minute

var errTooLong = fmt.Errorf("not done after %.0f minutes", longest.Minutes())

// run tells the story and clears up, however it ends. What went wrong has been said when it returns.
func (t *story) run(ctx context.Context) (err error) {
	t.introduce()
	defer func() {
		if err != nil {
			t.explain(ctx, err)
		}
		if cleared := t.clearUp(); cleared != nil {
			t.out.failure(cleared)
			err = errors.Join(err, cleared)
		}
		if err == nil {
			t.out.say(t.timing())
		}
	}()
	if err := t.set(ctx); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeoutCause(ctx, longest, errTooLong)
	defer cancel()
	err = t.play(bounded)
	if t.wanted.keep && ctx.Err() == nil {
		if err != nil {
			t.explain(ctx, err)
		}
		t.stay(ctx)
		ctx = context.WithoutCancel(ctx) // Ctrl-C is how this part is meant to end
	}
	if ctx.Err() != nil || err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	bounded, cancel = context.WithTimeoutCause(ctx, longest, errTooLong)
	defer cancel()
	return t.remove(bounded)
}

func (t *story) introduce() {
	t.out.say(view.Line{view.Bold.Of("Keelway: three servers, an etcd cluster across them, and a check that writes through one member and reads through all.")})
	t.out.say(view.Line{view.Dim.Of(groundOf(t.wanted.driver, "").introduction())})
	switch {
	case t.wanted.crash && t.wanted.fail:
		t.out.say(view.Line{view.Yellow.Of("CRASH=1 FAIL=1: etcd is broken, and the operator is killed (SIGKILL) in every phase on the way there and back.")})
	case t.wanted.crash:
		t.out.say(view.Line{view.Yellow.Of("CRASH=1: the operator is killed (SIGKILL) in every phase and started again. The end must be the same.")})
	case t.wanted.fail:
		t.out.say(view.Line{view.Yellow.Of("FAIL=1: the etcd that is offered does not run. The workflow must say so and undo what it made.")})
	}
	t.out.say(view.Line{})
}

// set puts everything in place: control plane, mirror, operator.
func (t *story) set(ctx context.Context) (err error) {
	if t.root, err = findRoot(); err != nil {
		return err
	}
	binary, err := findOperator(t.root)
	if err != nil {
		return err
	}
	if t.home, err = makeHome(); err != nil {
		return err
	}
	begun := time.Now()
	ground := groundOf(t.wanted.driver, t.home.dir)
	if err := ground.prepare(ctx, &feed{screen: t.out, who: "servers"}); err != nil {
		return err
	}
	t.ground = ground
	log := &feed{screen: t.out, who: "control plane"}
	defer log.move()()
	if err := os.Chdir(t.root); err != nil { // where the control plane looks for its versions
		return err
	}
	assets, err := controlplane.Binaries(ctx, log)
	if err != nil {
		return err
	}
	begun = t.lap("binaries", begun)
	var kubeconfig string
	if t.cluster, kubeconfig, err = openCluster(ctx, assets, t.root, filepath.Join(t.home.dir, "controlplane"), log); err != nil {
		return err
	}
	go func() {
		if err := t.cluster.plane.Wait(context.WithoutCancel(ctx)); err != nil {
			t.lost <- lostPlane{err}
		}
	}()
	begun = t.lap("control plane", begun)
	if err := t.settle(ctx); err != nil {
		return err
	}
	host, err := t.ground.mirrorHost(ctx)
	if err != nil {
		return err
	}
	if t.mirror, err = openMirror(ctx, assets, host, t.home.dir, t.wanted.fail); err != nil {
		return err
	}
	t.out.note("mirror", "%s serves %s, sha256 %.12s…", t.mirror.url, t.mirror.archive, t.mirror.sum)
	t.lap("mirror", begun)
	t.operator = &operator{binary: binary, home: t.home.dir, kubeconfig: kubeconfig, flags: t.ground.flags()}
	if err := t.operator.start(); err != nil {
		return err
	}
	t.out.note("operator", "pid %d, as user %s with the rights of config/rbac", t.operator.pid(), managerUser)
	return nil
}

// settle tells the ground whose servers it will carry: the operator names them by the cluster's identity.
func (t *story) settle(ctx context.Context) error {
	uid, err := t.cluster.plane.Kubectl(ctx, strings.NewReader(""), "get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}")
	if err != nil {
		return fmt.Errorf("asking for the cluster's identity: %w", err)
	}
	return t.ground.settle(strings.TrimSpace(uid))
}

// lostPlane is the end of the control plane before its time.
type lostPlane struct{ error }

// findRoot looks for the checkout above the working directory and above this program.
func findRoot() (string, error) {
	self, _ := os.Executable()
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for _, start := range []string{at, filepath.Dir(self)} {
		for dir := start; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "examples", "demo", "workflow.yaml")); err == nil {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("no examples/demo above %s: run this inside a checkout of keelway", at)
}

// findOperator returns the operator beside this program, or in the checkout's bin.
func findOperator(root string) (string, error) {
	self, _ := os.Executable()
	for _, dir := range []string{filepath.Dir(self), filepath.Join(root, "bin")} {
		path := filepath.Join(dir, "manager")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", errors.New("the operator is not built: run `make demo`, or `make build` first")
}

func (t *story) lap(name string, begun time.Time) time.Time {
	now := time.Now()
	t.laps = append(t.laps, lap{name, now.Sub(begun)})
	return now
}

func (t *story) timing() view.Line {
	var text strings.Builder
	var all time.Duration
	for _, p := range t.laps {
		all += p.took
		fmt.Fprintf(&text, "%s %.1f s, ", p.name, p.took.Seconds())
	}
	return view.Line{view.Dim.Of("took "), view.Dim.Of(fmt.Sprintf("%sin all %.1f s", text.String(), all.Seconds()))}
}
