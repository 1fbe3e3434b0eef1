package batchworkflow

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

const gated = "operations:\n- {name: gate, type: Approval, approval: {message: 'go on?'}}\n" + `
- {name: one, type: ServerBatch, dependsOn: [{operation: gate}], serverBatch: {count: 1, template: {spec: {providerRef: {name: p}}}}}
`

// policies installs the admission policies that we ship, until the spec has ended, and waits until they act.
func (b *bench) policies() {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "policies", "approvals.yaml"))
	Expect(err).NotTo(HaveOccurred())
	b.Kubectl(GinkgoTB(), string(text), "apply", "--server-side", "--filename=-")
	DeferCleanup(func() {
		_, err := b.ControlPlane.Kubectl(context.Background(), nil, "delete", "--wait=false", "validatingadmissionpolicybinding/keelway-approve", "mutatingadmissionpolicybinding/keelway-approved-by",
			"validatingadmissionpolicy/keelway-approve", "mutatingadmissionpolicy/keelway-approved-by", "clusterrole/keelway-approver")
		Expect(err).NotTo(HaveOccurred())
		Eventually(b.writtenBy).Should(BeEmpty(), "the API server forgets them a little later")
	})
	Eventually(b.writtenBy).Should(Equal("admin")) // both of them act, for whoever may do anything
	Eventually(func() error { return b.forge(b.Client, "somebody", client.DryRunAll) }).Should(MatchError(ContainSubstring("keelway-approve")))
}

// writtenBy is whom the policies write into an approval, or what they say against it; "" when none acts.
func (b *bench) writtenBy() string {
	probe := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "probe", Annotations: map[string]string{"keelway.dev/approve": "x"}}}
	probe.Spec.Operations = []v1alpha1.Operation{{Name: "w", Type: v1alpha1.OperationWait, Wait: &v1alpha1.Wait{}}}
	if err := b.Client.Create(context.Background(), probe, client.DryRunAll); err != nil {
		return err.Error()
	}
	return probe.Annotations[v1alpha1.AnnotationApprovedBy]
}

// user is a client of somebody who has the given ClusterRoles in the namespace.
func (b *bench) user(name string, rules ...rbacv1.PolicyRule) client.Client {
	ctx := context.Background()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name}, Rules: rules}
	Expect(b.Client.Create(ctx, role)).To(Succeed())
	b.bind(name, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name})
	path, err := b.KubeconfigFor(name)
	Expect(err).NotTo(HaveOccurred())
	config, err := clientcmd.BuildConfigFromFlags("", path)
	Expect(err).NotTo(HaveOccurred())
	c, err := client.New(config, client.Options{Scheme: b.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func (b *bench) bind(user string, role rbacv1.RoleRef) {
	Expect(b.Client.Create(context.Background(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: user + "-" + role.Name}, RoleRef: role,
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})).To(Succeed())
}

// annotate is what somebody does with kubectl annotate.
func (b *bench) annotate(as client.Client, annotations map[string]string, options ...client.PatchOption) error {
	w := b.get()
	base := w.DeepCopy()
	if w.Annotations == nil {
		w.Annotations = map[string]string{}
	}
	for key, value := range annotations {
		w.Annotations[key] = value
	}
	return as.Patch(context.Background(), w, client.MergeFrom(base), options...)
}

// forge writes by hand who approved.
func (b *bench) forge(as client.Client, name string, options ...client.PatchOption) error {
	return b.annotate(as, map[string]string{v1alpha1.AnnotationApprovedBy: name}, options...)
}

// approving is the phase; what is awaited on the way is approved.
func (b *bench) approving() v1alpha1.WorkflowPhase {
	w := b.get()
	if p := w.Status.Plan; p != nil && p.ApprovedAt == nil {
		b.ask("approve", p.Hash)
	}
	for _, op := range w.Status.Operations {
		if op.Phase == string(v1alpha1.WorkflowAwaitingApproval) {
			b.ask("approve", op.Name+"@"+w.ResourceVersion)
		}
	}
	return w.Status.Phase
}

var _ = Describe("an approval", func() {
	var edit = rbacv1.PolicyRule{APIGroups: []string{"keelway.dev"}, Resources: []string{"batchworkflows"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch"}}

	It("is given by who has the verb approve, and by nobody else; the policies write who it was", func() {
		b := newBench()
		b.apply(gated)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval))
		b.policies()
		joe := b.user("joe", edit)
		jane := b.user("jane", edit)
		b.bind("jane", rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "keelway-approver"})

		err := b.annotate(joe, map[string]string{"keelway.dev/approve": "gate"})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring(`user "joe" may not approve`), ContainSubstring("keelway-approver"))))
		Expect(b.forge(joe, "jane")).To(MatchError(ContainSubstring("keelway-approved-by")), "a name written by hand")
		Expect(b.annotate(joe, map[string]string{"keelway.dev/retry": "all"})).To(Succeed(), "other verbs need no more than the right to change the workflow")
		Consistently(b.phase, "500ms").Should(Equal(v1alpha1.WorkflowAwaitingApproval))

		Eventually(func() error { // the authorizer learns of new bindings a little later
			return b.annotate(jane, map[string]string{"keelway.dev/approve": "gate", v1alpha1.AnnotationApprovedBy: "joe"})
		}).Should(Succeed())
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		w := b.get()
		Expect(w.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationApprovedBy, "jane"), "what she wrote there herself does not count")
		Expect(w.Status.Operations[0].ApprovedBy).To(Equal("jane"))
		Expect(w.Status.Operations[0].FinishedAt.Time).To(BeTemporally("~", time.Now(), time.Minute))
		Expect(b.forge(jane, "joe")).To(MatchError(ContainSubstring("leave it out")))
		Expect(b.annotate(joe, map[string]string{"other": "x"})).To(Succeed(), "an approval that is there already is nobody's new one")

		other := &v1alpha1.BatchWorkflow{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "other", Annotations: map[string]string{"keelway.dev/approve": "gate"}}, Spec: w.Spec}
		Expect(apierrors.IsForbidden(joe.Create(context.Background(), other))).To(BeTrue(), "nor does he bring one along")
		other.Annotations = map[string]string{v1alpha1.AnnotationApprovedBy: "jane"}
		Expect(joe.Create(context.Background(), other)).To(MatchError(ContainSubstring("keelway-approved-by")))
	})

	It("reads unverified where the policies are not installed", func() {
		b := newBench()
		b.apply(gated)
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval))
		Expect(b.annotate(b.Client, map[string]string{"keelway.dev/approve": "gate", v1alpha1.AnnotationApprovedBy: "jane"})).To(Succeed())
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
		Expect(b.get().Status.Operations[0].ApprovedBy).To(Equal("unverified"))
	})

	It("says what is wrong with one that cannot be given", func() {
		b := newBench()
		b.leaves.set(func() { b.leaves.holds["one"] = true })
		b.apply("operations:\n" + batch("one", 1, "") + "- {name: gate, type: Approval, approval: {}, dependsOn: [{operation: one}]}\n")
		Eventually(b.servers).Should(HaveLen(1))
		b.ask("approve", "gate")
		Eventually(b.message).Should(ContainSubstring(`"gate" is not awaited yet`))
		b.ask("approve", "00112233445566778899aabbccddeeff")
		Eventually(b.message).Should(ContainSubstring("no approval is awaited"))
		b.ask("approve", "one")
		Eventually(b.message).Should(ContainSubstring(`no operation of type Approval that is called "one"`))
		b.leaves.set(func() { b.leaves.holds["one"] = false })
		server := b.servers()[0]
		Expect(b.leaves.play(context.Background(), &server)).To(Succeed())
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowAwaitingApproval))
		b.ask("approve", "gate@2")
		Eventually(b.phase).Should(Equal(v1alpha1.WorkflowSucceeded))
	})
})
