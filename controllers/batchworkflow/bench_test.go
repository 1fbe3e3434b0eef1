package batchworkflow

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/reconcile"
)

// bench is a namespace with the controller and leaves that are played.
type bench struct {
	*lab.Lab
	namespace string
	leaves    *leaves
	running   *lab.Running
}

func newBench() *bench {
	b := &bench{Lab: lab.Shared(GinkgoTB()), leaves: newLeaves()}
	b.namespace = b.Namespace(GinkgoTB())
	b.Witness(GinkgoTB(), b.namespace, "BatchWorkflow")
	b.running = b.start(b.leaves.setup)
	return b
}

// start runs a manager with the controller under test.
func (b *bench) start(more ...func(ctrl.Manager) error) *lab.Running {
	return b.Manager(GinkgoTB(), b.namespace, func(mgr ctrl.Manager) error {
		if err := children.Index(context.Background(), mgr.GetFieldIndexer()); err != nil {
			return err
		}
		for _, setup := range more {
			if err := setup(mgr); err != nil {
				return err
			}
		}
		return SetupWithManager(mgr, Options{Kit: kit(mgr)})
	})
}

func kit(mgr ctrl.Manager) reconcile.Kit {
	return reconcile.Kit{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
}

// apply creates the workflow `w` with the given spec in YAML.
func (b *bench) apply(spec string) *v1alpha1.BatchWorkflow {
	w := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "w"}}
	ExpectWithOffset(1, yaml.UnmarshalStrict([]byte(spec), &w.Spec)).To(Succeed())
	ExpectWithOffset(1, b.Client.Create(context.Background(), w)).To(Succeed())
	return w
}

// read reads a spec.
func (b *bench) read(spec string) (out v1alpha1.BatchWorkflowSpec) {
	ExpectWithOffset(1, yaml.UnmarshalStrict([]byte(spec), &out)).To(Succeed())
	return out
}

func (b *bench) get() *v1alpha1.BatchWorkflow {
	w := &v1alpha1.BatchWorkflow{}
	Expect(b.Client.Get(context.Background(), client.ObjectKey{Namespace: b.namespace, Name: "w"}, w)).To(Succeed())
	return w
}

// phase is that of the workflow as it is written now: none as long as nobody has looked at an edit.
func (b *bench) phase() v1alpha1.WorkflowPhase {
	w := b.get()
	if w.Status.ObservedGeneration != w.Generation {
		return ""
	}
	return w.Status.Phase
}

// ask annotates the workflow as kubectl would.
func (b *bench) ask(verb, value string) {
	w := b.get()
	base := w.DeepCopy()
	if w.Annotations == nil {
		w.Annotations = map[string]string{}
	}
	w.Annotations[v1alpha1.VerbPrefix+verb] = value
	ExpectWithOffset(1, b.Client.Patch(context.Background(), w, client.MergeFrom(base))).To(Succeed())
}

func (b *bench) message() string { return b.ready().Message }

func (b *bench) reason() string { return b.ready().Reason }

// ready is the condition Ready, and an empty one until there is one: a child may be there before any condition is written.
func (b *bench) ready() metav1.Condition {
	if ready := reconcile.Condition(b.get(), v1alpha1.ReadyCondition); ready != nil {
		return *ready
	}
	return metav1.Condition{}
}

func (b *bench) servers() (items []v1alpha1.Server) {
	var list v1alpha1.ServerList
	Expect(b.Client.List(context.Background(), &list, client.InNamespace(b.namespace))).To(Succeed())
	return list.Items
}

func (b *bench) edit(change func(*v1alpha1.BatchWorkflow)) {
	w := b.get()
	base := w.DeepCopy()
	change(w)
	ExpectWithOffset(1, b.Client.Patch(context.Background(), w, client.MergeFrom(base))).To(Succeed())
}

// batch is an operation of n servers.
func batch(name string, n int, more string) string {
	return fmt.Sprintf("- {name: %s, type: ServerBatch, serverBatch: {count: %d, template: {spec: {providerRef: {name: p}}}}%s}\n", name, n, more)
}
