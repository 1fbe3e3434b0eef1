package batchworkflow

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
)

// second returns a reconciler beside the running one: an operator that believes to be the leader, too.
func (b *bench) second() *Reconciler {
	var r *Reconciler
	b.Manager(GinkgoTB(), b.namespace, func(mgr ctrl.Manager) error {
		if err := children.Index(context.Background(), mgr.GetFieldIndexer()); err != nil {
			return err
		}
		k := kit(mgr)
		r = &Reconciler{kit: k, children: children.Children{Client: k.Client, Live: k.Live, Owner: k.Owner}, pulse: newPulse()}
		return nil
	})
	return r
}

func (b *bench) request() ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: b.namespace, Name: "w"}}
}

var _ = Describe("the ledger", func() {
	It("TestStaleLedgerIsRefused: a stale operator's record is not accepted, and it does nothing", func() {
		b := newBench()
		stale := b.second()
		b.leaves.set(func() { b.leaves.fails["one"] = 99; b.leaves.holds["one"] = true })
		b.apply("onFailure: Rollback\noperations:\n" + batch("one", 2, ""))
		Eventually(b.servers).Should(HaveLen(2))
		Eventually(func() error { _, err := stale.Reconcile(context.Background(), b.request()); return err }).Should(Succeed())
		Expect(stale.shelf.take(b.get().UID).ledger).NotTo(BeNil(), "the stale operator knows the ledger as of now")
		frozen := *stale.shelf.take(b.get().UID)

		b.leaves.set(func() { b.leaves.holds["one"] = false }) // the running operator goes on alone, to the end
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		checkpoint := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, checkpoint)).To(Succeed())

		*stale.shelf.take(b.get().UID) = frozen // let go, with what it believed when it was frozen; its children are gone
		l := &look{Reconciler: stale, memory: stale.shelf.take(b.get().UID)}
		w := b.get()
		Expect(l.compile(context.Background(), w)).To(Succeed())
		Expect(l.load(context.Background(), w)).To(Succeed())
		Expect(l.observe(context.Background(), w)).To(Succeed())
		l.next = l.memory.ledger.Clone()
		Expect(l.next.Undo(0, time.Now().Unix())).NotTo(Succeed())
		Expect(l.next.Settle(0, 3, time.Now().Unix(), "", "")).To(Succeed()) // any step that it might have recorded
		Expect(l.record(context.Background(), w)).To(MatchError(ContainSubstring("the object has been modified")))
		Expect(l.memory.ledger).To(BeNil(), "it reads anew instead of acting on what it believed")

		after := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, after)).To(Succeed())
		Expect(after.ResourceVersion).To(Equal(checkpoint.ResourceVersion))
	})

	It("finds and reverses a stale operator's deed", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["one"] = 99 })
		w := b.apply("onFailure: Rollback\noperations:\n" + batch("one", 1, ""))
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowRolledBack))
		yes := true
		late := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: v1alpha1.ChildName("w", "one", "0"),
			Labels:          map[string]string{v1alpha1.LabelWorkflow: "w", v1alpha1.LabelOperation: "one", v1alpha1.LabelKey: "0"},
			Finalizers:      []string{v1alpha1.Finalizer},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BatchWorkflow", Name: "w", UID: w.UID, Controller: &yes}}},
			Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "p"}}}}
		Expect(b.Client.Create(context.Background(), late)).To(Succeed())
		Eventually(b.servers).Should(BeEmpty())
		Expect(b.phase()).To(Equal(v1alpha1.WorkflowRolledBack))
	})

	It("is refused and left as it is when its codec is not known", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.servers).Should(HaveLen(1))
		b.running.Stop()
		c := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, c)).To(Succeed())
		c.Status.Data[1] = 200 // the version of a codec that is yet to come
		Expect(b.Client.Status().Update(context.Background(), c)).To(Succeed())
		b.start()
		Eventually(b.reason).Should(Equal(string(fault.ReasonCodecUnknown)))
		after := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, after)).To(Succeed())
		Expect(after.Status.Data).To(Equal(c.Status.Data))
		Expect(b.message()).To(ContainSubstring("written in codec 200, and this release reads 1 to 2: use the release that wrote it"))
	})

	It("is refused and left as it is when a bit has flipped, and made anew when it is taken away as the message says", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("operations:\n" + batch("one", 1, ""))
		Eventually(b.servers).Should(HaveLen(1))
		b.running.Stop()
		c := &v1alpha1.Checkpoint{}
		Expect(b.Client.Get(context.Background(), b.request().NamespacedName, c)).To(Succeed())
		c.Status.Data[len(c.Status.Data)/2] ^= 0x10
		Expect(b.Client.Status().Update(context.Background(), c)).To(Succeed())
		b.start(b.leaves.setup)
		Eventually(b.reason).Should(Equal(string(fault.ReasonCodecUnknown)))
		Expect(b.message()).To(And(ContainSubstring("checkpoint w"), ContainSubstring("damaged"), ContainSubstring("left as it is"), ContainSubstring("take the Checkpoint away together with its finalizer")))
		b.leaves.set(func() { b.leaves.holds["one"] = false })
		Expect(b.Client.Delete(context.Background(), c)).To(Succeed())
		Expect(b.Client.Patch(context.Background(), c, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		for _, s := range b.servers() {
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.leaves.made).To(HaveEach(1))
	})
})
