package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/controllers/batchworkflow"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestMain(m *testing.M) { lab.Main(m) }

const spec = `
operations:
- {name: one, type: Wait, wait: {duration: 0s}}
- {name: go, type: Approval, approval: {}, dependsOn: [{operation: one}]}
- {name: two, type: ServerBatch, dependsOn: [{operation: go}], serverBatch: {count: 3, template: {spec: {providerRef: {name: p}}}}}
`

// TestPlanReadsAlone: whoever may only read can make a plan; it is the one that the operator makes, and none of its calls changes
// anything.
func TestPlanReadsAlone(t *testing.T) {
	l := lab.Shared(t)
	ctx, namespace := t.Context(), l.Namespace(t)
	w := &v1alpha1.BatchWorkflow{}
	w.Namespace, w.Name = namespace, "w"
	if err := yaml.UnmarshalStrict([]byte(spec), &w.Spec); err != nil {
		t.Fatal(err)
	}
	reader := &counting{Reader: l.Client}
	first, err := Plan(ctx, reader, w, nil)
	if err != nil || first.Summary() != "+3 ~0 -0" || first.Run != 1 {
		t.Fatalf("a new workflow: %+v, %v", first, err)
	}
	w.Spec.Mode = v1alpha1.ModeApplyAfterApproval
	if err := l.Client.Create(ctx, w); err != nil {
		t.Fatal(err)
	}
	l.Manager(t, namespace, func(mgr ctrl.Manager) error {
		if err := children.Index(context.Background(), mgr.GetFieldIndexer()); err != nil {
			return err
		}
		return batchworkflow.SetupWithManager(mgr, batchworkflow.Options{Kit: reconcile.Kit{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}})
	})
	eventually(t, func() error {
		if err := l.Client.Get(ctx, client.ObjectKeyFromObject(w), w); err != nil || w.Status.Plan == nil {
			return errors.Join(err, errors.New("no plan yet"))
		}
		return nil
	})
	writes := len(l.Writes(t, "lab"))
	again, err := Plan(ctx, reader, w, nil)
	if err != nil || again.Hash != w.Status.Plan.Hash {
		t.Errorf("planned here: %+v, by the operator: %+v: %v", again, w.Status.Plan, err)
	}
	kept, err := Planned(ctx, reader, w)
	if err != nil || kept == nil || kept.Hash != again.Hash {
		t.Errorf("the plan on record is %v: %v", kept, err)
	}
	time.Sleep(300 * time.Millisecond) // the line of a write may be missing for a moment
	if after := len(l.Writes(t, "lab")); after != writes {
		t.Errorf("%d mutating calls while planning", after-writes)
	}
	if reader.reads == 0 {
		t.Error("nothing was read: the test is broken")
	}

	w.Spec.Operations[2].ServerBatch.Template.Spec.ProviderRef.Name = ""
	w.Spec.Operations[0].DependsOn = []v1alpha1.Dependency{{Operation: "two"}}
	if _, err := Plan(ctx, reader, w, nil); err == nil || !strings.Contains(err.Error(), "two → go → one") {
		t.Errorf("a cycle: %v", err)
	}
	missing := &v1alpha1.BatchWorkflow{}
	missing.Namespace, missing.Name = namespace, "nobody"
	if kept, err := Planned(ctx, reader, missing); kept != nil || err != nil {
		t.Errorf("of nobody: %v, %v", kept, err)
	}
}

// counting counts reads. It can do nothing else.
type counting struct {
	client.Reader
	reads int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	c.reads++
	return c.Reader.Get(ctx, key, o, options...)
}

func (c *counting) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.reads++
	return c.Reader.List(ctx, list, options...)
}

func eventually(t *testing.T, done func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = done(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
