package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/catalog"
	"github.com/keelway/keelway/internal/view"
)

// play applies the example, follows it to its end and judges that.
func (t *story) play(ctx context.Context) error {
	t.out.heading("Applying the example")
	if err := t.apply(ctx); err != nil {
		return err
	}
	begun := time.Now()
	t.journal = view.NewJournal(begun)
	t.out.say(view.Line{})
	end, err := t.follow(ctx, func(s *snapshot) bool { return s.Workflow != nil && ended(s.Workflow.Status.Phase) }, t.show)
	if err != nil {
		return err
	}
	t.out.keep(end.Picture(time.Now(), t.out.width()))
	t.lap("workflow", begun)
	if t.wanted.fail {
		err = t.expectUndo(ctx, end)
	} else {
		err = t.expectSuccess(ctx, end)
	}
	if t.saboteur != nil {
		err = errors.Join(err, t.testify(ctx, end))
	}
	return err
}

func ended(phase v1alpha1.WorkflowPhase) bool {
	switch phase {
	case v1alpha1.WorkflowSucceeded, v1alpha1.WorkflowFailed, v1alpha1.WorkflowRolledBack, v1alpha1.WorkflowRollbackFailed:
		return true
	}
	return false
}

// apply does what a reader of the examples would type, and tells the provider about our mirror.
func (t *story) apply(ctx context.Context) error {
	provider, err := t.ground.provider(t.root)
	if err != nil {
		return err
	}
	if err := t.kubectl(ctx, provider, "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	mirrors, err := json.Marshal(map[string]any{"spec": map[string]any{
		"mirrors": []v1alpha1.Mirror{{Prefix: "https://github.com/", URL: t.mirror.url}},
	}})
	if err != nil {
		return err
	}
	if err := t.kubectl(ctx, "", "patch", "kprov", demoName, "--type=merge", "-p", string(mirrors)); err != nil {
		return err
	}
	workflow, err := t.ownVersion()
	if err != nil {
		return err
	}
	if workflow == "" {
		return t.kubectl(ctx, "", "apply", "--server-side", "-f", "examples/demo/workflow.yaml")
	}
	t.out.note("version", "the mirror has etcd %s, so the workflow asks for that instead of the recipe's own choice", t.mirror.version)
	return t.kubectl(ctx, workflow, "apply", "--server-side", "-f", "-")
}

// ownVersion returns the workflow with the mirror's version of etcd, or "" when the recipe chooses that by itself.
func (t *story) ownVersion() (string, error) {
	recipes, err := catalog.Builtin()
	if err != nil {
		return "", err
	}
	recipe, err := recipes.Get("etcd")
	if err != nil || recipe.Versions.Default == t.mirror.version {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(t.root, "examples", "demo", "workflow.yaml"))
	if err != nil {
		return "", err
	}
	var w v1alpha1.BatchWorkflow
	if err := yaml.UnmarshalStrict(text, &w); err != nil {
		return "", err
	}
	for i := range w.Spec.Operations {
		if batch := w.Spec.Operations[i].TaskServiceBatch; batch != nil {
			batch.Recipes[0].Version = t.mirror.version
		}
	}
	changed, err := yaml.Marshal(&w)
	return string(changed), err
}

// kubectl shows a command and what it printed.
func (t *story) kubectl(ctx context.Context, stdin string, args ...string) error {
	out, err := t.cluster.plane.Kubectl(ctx, strings.NewReader(stdin), args...)
	t.out.command(args...)
	if out == "" && err == nil && args[0] == "get" {
		out = "(nothing found)"
	}
	t.out.text(out)
	return err
}

// Times between two looks. With CRASH=1 short phases must not be missed.
const (
	glance     = 200 * time.Millisecond
	closeLook  = 10 * time.Millisecond
	blindFor   = 15 * time.Second // how long the API server may fail to answer
	memberLook = time.Second
)

// follow looks again and again, shows what it sees and kills the operator where that is asked for, until a snapshot is final.
func (t *story) follow(ctx context.Context, final func(*snapshot) bool, show func(*snapshot)) (*snapshot, error) {
	pause := glance
	if t.saboteur != nil {
		pause = closeLook
	}
	seen, asked := time.Now(), time.Time{}
	for {
		s, err := t.cluster.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil && time.Since(seen) > blindFor:
			return nil, fmt.Errorf("looking at the workflow: %w", err)
		case err == nil:
			seen = time.Now()
			if show != nil {
				show(s)
			}
			if t.saboteur != nil {
				if asked, err = t.sabotage(ctx, s, asked); err != nil {
					return nil, err
				}
			}
			if final(s) {
				return s, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case err := <-t.lost:
			return nil, err
		case <-time.After(pause):
		}
		if err := t.operator.died(); err != nil {
			return nil, err
		}
	}
}

// show draws a snapshot, or tells what is new in it.
func (t *story) show(s *snapshot) {
	now := time.Now()
	if s.Workflow == nil {
		return
	}
	if t.out.live {
		t.out.picture(s.Picture(now, t.out.width()), now)
	} else {
		t.out.say(t.journal.Lines(&s.Snapshot, now)...)
	}
}

// sabotage writes down who is there, and kills the operator when a moment for that has come.
func (t *story) sabotage(ctx context.Context, s *snapshot, asked time.Time) (time.Time, error) {
	t.witness.observe(s, t.ground, t.saboteur.kills)
	m := t.saboteur.strike(s)
	if m == nil {
		if inPhase(v1alpha1.ServiceReady)(s) && time.Since(asked) > memberLook && t.witness.count(sawMember) < 3 {
			t.witness.observeMembers(ctx, t.cluster.plane.Assets().Etcdctl, s, t.saboteur.kills)
			asked = time.Now()
		}
		return asked, nil
	}
	before := t.operator.pid()
	t.operator.kill()
	if after, err := t.cluster.look(ctx); err == nil { // a write may have been on its way
		t.saboteur.seal = after.seal()
	}
	if err := t.operator.start(); err != nil {
		return asked, err
	}
	t.out.say(view.Line{
		view.Red.Of(fmt.Sprintf("kill %d  ", t.saboteur.kills)),
		view.Plain.Of(fmt.Sprintf("SIGKILL to the operator, pid %d, while %s; started again as pid %d", before, m.while, t.operator.pid())),
	})
	return asked, nil
}
