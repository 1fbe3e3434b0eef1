package batchworkflow

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/children"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/plan"
	"github.com/keelway/keelway/internal/reconcile"
)

const orphaning = "deletionPolicy: Orphan\n"

// ground is the UID of the bench's Namespace.
func (b *bench) ground() types.UID {
	ns := &corev1.Namespace{}
	Expect(b.Client.Get(context.Background(), types.NamespacedName{Name: b.namespace}, ns)).To(Succeed())
	return ns.UID
}

// deleted deletes the workflow in that way and waits until it is gone.
func (b *bench) deleted(way metav1.DeletionPropagation) {
	w := b.get()
	ExpectWithOffset(1, b.Client.Delete(context.Background(), w, client.PropagationPolicy(way))).To(Succeed())
	EventuallyWithOffset(1, func() bool {
		return apierrors.IsNotFound(b.Client.Get(context.Background(), client.ObjectKeyFromObject(w), &v1alpha1.BatchWorkflow{}))
	}).Should(BeTrue())
}

// deaf is a reader that may not read Namespaces, until it is told that it may.
type deaf struct {
	client.Reader
	may *atomic.Bool
}

func (d deaf) Get(ctx context.Context, key client.ObjectKey, obj client.Object, o ...client.GetOption) error {
	if obj.GetObjectKind().GroupVersionKind().Kind == "Namespace" && !d.may.Load() {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, key.Name, errors.New(http.StatusText(http.StatusForbidden)))
	}
	return d.Reader.Get(ctx, key, obj, o...)
}

// posts counts the Servers that are made without an anchor: the next look would give them one, and a deletion may come before it.
type posts struct {
	client.Client
	bare *atomic.Int32
}

func (p posts) Create(ctx context.Context, obj client.Object, o ...client.CreateOption) error {
	if _, server := obj.(*v1alpha1.Server); server && children.Anchored(obj, "") {
		p.bare.Add(1)
	}
	return p.Client.Create(ctx, obj, o...)
}

// with is a bench whose controller has another way to the API server.
func with(change func(*reconcile.Kit)) *bench {
	b := &bench{Lab: lab.Shared(GinkgoTB()), leaves: newLeaves()}
	b.namespace = b.Namespace(GinkgoTB())
	b.running = b.Manager(GinkgoTB(), b.namespace, func(mgr ctrl.Manager) error {
		k := kit(mgr)
		change(&k)
		return errors.Join(children.Index(context.Background(), mgr.GetFieldIndexer()), b.leaves.setup(mgr), SetupWithManager(mgr, Options{Kit: k}))
	})
	return b
}

var _ = Describe("deletionPolicy", func() {
	for _, way := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationBackground} {
		It("Orphan leaves the children in place, and another workflow of the name takes them up: "+string(way), func() {
			b := newBench()
			b.apply(orphaning + two + service + last)
			b.ended(1, v1alpha1.WorkflowSucceeded)
			before, command := b.servers(), b.child(&v1alpha1.Run{}, "last", "0")
			b.deleted(way)
			Consistently(func(g Gomega) {
				g.Expect(b.servers()).To(HaveLen(2))
				for _, s := range b.servers() {
					g.Expect(s.DeletionTimestamp).To(BeNil())
				}
				g.Expect(b.service().DeletionTimestamp).To(BeNil())
			}, "500ms").Should(Succeed())
			Expect(metav1.GetControllerOf(&b.servers()[0])).To(BeNil())
			b.apply(two + service + last) // it wants them to go with it
			b.ended(1, v1alpha1.WorkflowSucceeded)
			var run v1alpha1.Run
			Expect(b.child(&run, "last", "0")).To(And(Equal(command), Not(BeEmpty())))
			Expect(run.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationAttempt, "1"), "what has run is not asked again")
			for i, s := range b.servers() {
				Expect(s.UID).To(Equal(before[i].UID))
				Expect(s.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationEffect, "Adopted"))
				Expect(children.Anchored(&s, "")).To(BeTrue(), "%v", s.OwnerReferences)
			}
			b.deleted(metav1.DeletePropagationBackground)
			Eventually(b.servers).Should(BeEmpty())
		})
	}

	It("Orphan lets what is under way go on, and makes nothing of what had not begun", func() {
		bare := &atomic.Int32{}
		b := with(func(k *reconcile.Kit) { k.Client = posts{k.Client, bare} })
		b.leaves.set(func() { b.leaves.holds["servers"] = true })
		b.apply(orphaning + two + service)
		Eventually(b.servers).Should(HaveLen(2))
		Expect(bare.Load()).To(BeZero(), "a child has its second owner from the write that makes it")
		b.deleted(metav1.DeletePropagationBackground)
		b.leaves.set(func() { b.leaves.holds["servers"] = false })
		for _, s := range b.servers() {
			Expect(s.DeletionTimestamp).To(BeNil())
			Expect(b.leaves.play(context.Background(), &s)).To(Succeed())
		}
		var services v1alpha1.TaskServiceList
		Consistently(func() []v1alpha1.TaskService {
			Expect(b.Client.List(context.Background(), &services, client.InNamespace(b.namespace))).To(Succeed())
			return services.Items
		}, "500ms").Should(BeEmpty())
		Expect(b.leaves.made).To(HaveLen(2))
	})

	It("Orphan takes nothing back up of what the garbage collector has cut loose before we hear of the deletion", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["servers"] = true })
		before := b.apply(orphaning + two)
		Eventually(b.servers).Should(HaveLen(2))
		b.running.Stop() // its finalizer holds the workflow
		before = b.get()
		Expect(b.Client.Delete(context.Background(), before.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		Eventually(func() bool { return metav1.GetControllerOf(&b.servers()[0]) == nil }).Should(BeTrue())
		loose := b.servers()[0]
		child := &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: loose.Name, Labels: loose.Labels}, Spec: loose.Spec}
		late := b.second()
		l := &look{Reconciler: late, memory: late.shelf.take(before.UID)}
		err := l.do(context.Background(), before, plan.ChildAction{Do: plan.Ensure, Kind: "Server", Name: loose.Name, Child: child})
		Expect(fault.IsWait(err)).To(BeTrue(), "%v", err)
		Expect(b.servers()[0].ResourceVersion).To(Equal(loose.ResourceVersion))
		b.start(b.leaves.setup)
		Eventually(func() bool {
			return apierrors.IsNotFound(b.Client.Get(context.Background(), client.ObjectKeyFromObject(before), &v1alpha1.BatchWorkflow{}))
		}).Should(BeTrue())
		Expect(b.servers()).To(HaveLen(2))
	})

	It("is about the workflow's deletion alone: a failed run is undone all the same", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.fails["last"] = 9 })
		b.apply(orphaning + two + service + last)
		b.ended(1, v1alpha1.WorkflowRolledBack)
		Expect(b.servers()).To(BeEmpty())
	})

	It("acts on a workflow that is over, by one write a child, before the status says so", func() {
		b := newBench()
		b.apply(two)
		b.ended(1, v1alpha1.WorkflowSucceeded)
		for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionOrphan, v1alpha1.DeletionDelete, v1alpha1.DeletionOrphan} {
			uid, before := types.UID(""), b.servers()
			if policy == v1alpha1.DeletionOrphan {
				uid = b.ground()
			}
			b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.DeletionPolicy = policy })
			b.ended(1, v1alpha1.WorkflowSucceeded)
			after := b.servers() // not Eventually: the status has said so
			for i := range after {
				Expect(children.Anchored(&after[i], uid)).To(BeTrue(), "%s: %v", policy, after[i].OwnerReferences)
				Expect(after[i].UID).To(Equal(before[i].UID))
				Expect(after[i].Generation).To(Equal(before[i].Generation))
			}
			Consistently(b.servers, "500ms").Should(Equal(after), "one write is all")
		}
		Expect(b.get().Status.Run.Number).To(BeEquivalentTo(1))
		b.deleted(metav1.DeletePropagationForeground)
		Expect(b.servers()).To(HaveLen(2))
	})

	It("Orphan makes nothing where the operator may not read the Namespace, and says what it needs", func() {
		may := &atomic.Bool{}
		b := with(func(k *reconcile.Kit) { k.Live = deaf{k.Live, may} })
		b.apply(orphaning + two)
		Eventually(b.reason).Should(Equal("Unauthorized"))
		Expect(b.message()).To(And(ContainSubstring("spec.deletionPolicy is Orphan"), ContainSubstring("Namespace "+b.namespace),
			ContainSubstring("`get` namespaces"), ContainSubstring("deletionPolicy: Delete")))
		Expect(reconcile.Condition(b.get(), v1alpha1.StalledCondition)).NotTo(BeNil())
		Consistently(b.servers, "300ms").Should(BeEmpty())
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
		b.ended(1, v1alpha1.WorkflowSucceeded)
		b.edit(func(w *v1alpha1.BatchWorkflow) { w.Spec.DeletionPolicy = v1alpha1.DeletionOrphan })
		Eventually(b.reason).Should(Equal("Unauthorized"))
		Expect(reconcile.Condition(b.get(), v1alpha1.SucceededCondition)).To(BeNil())
		may.Store(true)
		b.ask("looked", "at") // any event; without one it is looked at again after a while
		b.ended(1, v1alpha1.WorkflowSucceeded)
		Expect(children.Anchored(&b.servers()[0], b.ground())).To(BeTrue())
	})
})
