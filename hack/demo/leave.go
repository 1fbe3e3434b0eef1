package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/view"
)

// stay leaves everything running until Ctrl-C.
func (t *story) stay(ctx context.Context) {
	t.out.heading("KEEP=1: everything goes on until Ctrl-C. In another terminal:")
	for _, try := range []struct{ command, why string }{
		{"export KUBECONFIG=" + t.cluster.plane.Kubeconfig(), ""},
		{"export PATH=$PATH:" + filepath.Dir(t.cluster.plane.Assets().Kubectl), "kubectl and etcdctl"},
		{"kubectl get keelway", "everything, by its category"},
		{"kubectl describe bwf " + demoName, "what happened, and its events"},
		{"kubectl get ksrv -o wide", ""},
		{"kubectl get ktsv -o yaml", "the service and its state on each server"},
		{"kubectl delete bwf " + demoName, "the servers go with it"},
		{"tail -f " + t.operator.logPath(), "the operator"},
		{t.ground.tour(), "the servers from outside"},
	} {
		row := view.Line{view.Plain.Of("  " + try.command)}
		if try.why != "" {
			row = append(row, view.Dim.Of("  # "+try.why))
		}
		t.out.raw(row)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-t.lost:
			t.out.failure(err)
			return
		case <-time.After(time.Second):
			if err := t.operator.died(); err != nil {
				t.out.failure(err)
				return
			}
		}
	}
}

// remove deletes what was applied and proves that the machine is as it was before.
func (t *story) remove(ctx context.Context) error {
	begun := time.Now()
	t.out.heading("Deleting it")
	if t.saboteur != nil && !t.wanted.fail {
		t.saboteur.left = []moment{{"the servers are being deleted", func(s *snapshot) bool {
			for i := range s.Servers {
				if s.Servers[i].Status.Phase == v1alpha1.ServerDeleting {
					return true
				}
			}
			return false
		}}}
	}
	dirs, here := len(t.ground.homes()), len(t.ground.residents())
	for _, kind := range []string{"bwf", "kprov"} {
		remove := []string{"delete", kind, demoName}
		if kind == "bwf" {
			remove = append(remove, "--wait=false") // we watch instead
		}
		if t.wanted.keep { // somebody may have deleted it meanwhile
			remove = append(remove, "--ignore-not-found")
		}
		if err := t.kubectl(ctx, "", remove...); err != nil {
			return err
		}
		if kind == "bwf" {
			if err := t.watchLeaving(ctx); err != nil {
				return err
			}
		}
	}
	if err := t.kubectl(ctx, "", "get", "keelway"); err != nil {
		return err
	}
	t.lap("deletion", begun)
	dirsLeft, hereLeft := len(t.ground.homes()), len(t.ground.residents())
	good := dirsLeft == 0 && hereLeft == 0
	t.out.verdict(good, "%s: %d before, %d now; processes on servers: %d before, %d now", t.ground.noun(), dirs, dirsLeft, here, hereLeft)
	if !good {
		return errUnexpected
	}
	return nil
}

// watchLeaving shows what is still there until nothing is.
func (t *story) watchLeaving(ctx context.Context) error {
	said := ""
	_, err := t.follow(ctx, func(s *snapshot) bool {
		text := s.remaining()
		left := view.Line{view.Dim.Of("  still there: "), view.Plain.Of(text)}
		if held := s.held(); held != "" {
			left = append(left, view.Dim.Of("; "+held))
		}
		switch {
		case t.out.live:
			t.out.picture([]view.Line{left}, time.Now())
		case text != "" && text != said:
			t.out.say(left)
		}
		said = text
		return text == ""
	}, nil)
	return err
}

// explain says what went wrong and, where nothing else does, how things stand.
func (t *story) explain(ctx context.Context, err error) {
	if by := (interrupted{}); errors.As(context.Cause(ctx), &by) {
		t.out.say(view.Line{}, view.Line{view.Yellow.Of("interrupted: clearing up …")})
		return
	}
	if t.told {
		return
	}
	t.told = true
	t.out.say(view.Line{})
	t.out.failure(err)
	if _, lost := errors.AsType[lostPlane](err); lost || t.cluster == nil || t.operator == nil {
		return // nobody is left to ask
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	t.diagnose(ctx)
}

// diagnose shows what is not ready and the operator's last words.
func (t *story) diagnose(ctx context.Context) {
	t.out.heading("How things stand")
	const most = 4 // objects that are described
	named := []string{"bwf/" + demoName}
	if s, err := t.cluster.look(ctx); err == nil {
		for i := range s.Services {
			named = append(named, "ktsv/"+s.Services[i].Name)
		}
		for i := range s.Servers {
			if s.Servers[i].Status.Phase != v1alpha1.ServerReady {
				named = append(named, "ksrv/"+s.Servers[i].Name)
			}
		}
		for i := range s.Runs {
			if s.Runs[i].Status.Phase != v1alpha1.RunSucceeded {
				named = append(named, "krun/"+s.Runs[i].Name)
			}
		}
	}
	_ = t.kubectl(ctx, "", "get", "keelway", "-o", "wide") // what kubectl cannot tell, the log may
	if t.operator.died() != nil {
		return // it is not the objects that are wrong, and its log has been quoted
	}
	_ = t.kubectl(ctx, "", append([]string{"describe"}, named[:min(most, len(named))]...)...)
	t.out.heading("The end of the operator's log")
	t.out.text(t.operator.tail(25))
}

// clearUp ends everything, the last first. It needs no operator and no API server: they may be what failed.
func (t *story) clearUp() error {
	begun := time.Now()
	var faults []error
	if t.operator != nil {
		t.operator.stop()
	}
	if t.mirror != nil {
		t.mirror.close()
	}
	if t.cluster != nil {
		faults = append(faults, t.cluster.plane.Stop())
	}
	if t.ground != nil {
		faults = append(faults, t.ground.clear())
	}
	if t.home != nil {
		faults = append(faults, t.home.leave())
		t.lap("tear-down", begun)
	}
	err := errors.Join(faults...)
	if err == nil && t.home != nil {
		t.out.verdict(true, "torn down: no process of the demo runs, and %s is gone", t.home.dir)
	}
	return err
}
