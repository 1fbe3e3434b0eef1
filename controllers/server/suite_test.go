package server_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	providercontroller "github.com/keelway/keelway/controllers/provider"
	"github.com/keelway/keelway/controllers/reach"
	"github.com/keelway/keelway/controllers/server"
	"github.com/keelway/keelway/hack/lab"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/all"
	"github.com/keelway/keelway/internal/provider/mem"
	"github.com/keelway/keelway/internal/reconcile"
	transports "github.com/keelway/keelway/internal/transport/all"
	"github.com/keelway/keelway/internal/transport/script"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestServers(t *testing.T) {
	lab.Shared(t) // skips here, with the reason, where there is no control plane
	RegisterFailHandler(Fail)
	RunSpecs(t, "Servers against a real API server")
}

// opener is what cmd/manager does: it puts the installation's settings beside the Provider's own.
type opener struct {
	*all.Opener
	installation string
}

func (o opener) Open(ctx context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
	return o.Opener.Open(ctx, all.Spec{
		Type: string(p.Spec.Type), Driver: string(p.Spec.Local.Driver), Endpoint: p.Spec.Local.Endpoint,
		Installation: o.installation, Admitted: []string{all.DriverMemory},
	})
}

// fleet is a namespace with the three controllers of machines at work over a cloud in memory. Its operator can be started anew.
type fleet struct {
	*lab.Lab
	ns      string
	opener  opener
	running *lab.Running
	servers *server.Reconciler
	agent   string
	look    time.Duration // between two looks at a machine
}

func newFleet(options mem.Options) *fleet {
	GinkgoHelper()
	f := prepared(options)
	f.start()
	return f
}

// prepared is a fleet whose operator has not started yet.
func prepared(options mem.Options) *fleet {
	GinkgoHelper()
	t := GinkgoTB()
	l := lab.Shared(t)
	f := &fleet{Lab: l, ns: l.Namespace(t), look: time.Minute}
	f.opener = opener{all.NewOpener(options), f.ns}
	DeferCleanup(f.opener.Close)
	return f
}

func (f *fleet) start() {
	GinkgoHelper()
	f.running = f.Manager(GinkgoTB(), f.ns, func(mgr ctrl.Manager) error {
		kit := reconcile.Kit{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
		f.servers = server.New(kit, f.opener, server.Options{Installation: f.ns, Settle: 200 * time.Millisecond})
		providers := providercontroller.New(kit, f.opener, f.servers.Inventory, f.servers.Turnstile, connect.Connector{}, providercontroller.Options{})
		reaches := reach.New(kit, connect.Connector{Dialer: transports.New(transports.Options{Simulated: &script.Machines{}})}, reach.Options{Interval: f.look})
		for _, c := range []interface{ SetupWithManager(ctrl.Manager) error }{f.servers, providers, reaches} {
			if err := c.SetupWithManager(mgr); err != nil {
				return err
			}
		}
		return mgr.Add(f.servers.Inventory)
	})
	f.agent = f.running.UserAgent
}

func (f *fleet) cloud() *mem.Cloud { return f.opener.Cloud(f.ns) }

func (f *fleet) create(objects ...client.Object) {
	GinkgoHelper()
	for _, obj := range objects {
		obj.SetNamespace(f.ns)
		Expect(f.Client.Create(context.Background(), obj)).To(Succeed())
	}
}

func (f *fleet) delete(objects ...client.Object) {
	GinkgoHelper()
	for _, obj := range objects {
		obj.SetNamespace(f.ns)
		Expect(f.Client.Delete(context.Background(), obj)).To(Succeed())
	}
}

func aProvider(maxInFlight int32) *v1alpha1.Provider {
	return &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Name: "mem"}, Spec: v1alpha1.ProviderSpec{Type: v1alpha1.ProviderLocal,
		Local: &v1alpha1.LocalProvider{Driver: v1alpha1.DriverMemory}, Limits: v1alpha1.ProviderLimits{MaxInFlight: maxInFlight}}}
}

// child is a Server as a workflow makes it: the finalizer is in the POST.
func child(name string) *v1alpha1.Server {
	return &v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{v1alpha1.Finalizer}},
		Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "mem"}}}}
}

func children(n int) (list []client.Object) {
	for i := range n {
		list = append(list, child(fmt.Sprintf("s-%03d", i)))
	}
	return list
}

// story returns what a Server's Ready condition says, as "reason: message", and "gone" when there is none.
func (f *fleet) story(name string) func() string { return f.storyOf(&v1alpha1.Server{}, name) }

func (f *fleet) storyOf(obj v1alpha1.Object, name string) func() string {
	return func() string {
		err := f.Client.Get(context.Background(), client.ObjectKey{Namespace: f.ns, Name: name}, obj.(client.Object))
		if apierrors.IsNotFound(err) {
			return "gone"
		}
		if err != nil {
			return err.Error()
		}
		c := reconcile.Condition(obj, v1alpha1.ReadyCondition)
		if c == nil {
			return "untouched"
		}
		return c.Reason + ": " + c.Message
	}
}

// ready counts the Servers that are, and all there are.
func (f *fleet) ready() (ready, total int) {
	list := &v1alpha1.ServerList{}
	Expect(f.Client.List(context.Background(), list, client.InNamespace(f.ns))).To(Succeed())
	for i := range list.Items {
		if list.Items[i].Status.Phase == v1alpha1.ServerReady {
			ready++
		}
	}
	return ready, len(list.Items)
}

func (f *fleet) allReady(n int) func() bool {
	return func() bool { ready, _ := f.ready(); return ready == n }
}

func (f *fleet) noneLeft() bool { _, total := f.ready(); return total == 0 }

// sound checks what the cloud saw.
func (f *fleet) sound(made, live int) {
	GinkgoHelper()
	report := f.cloud().Report()
	Expect(report.Violations).To(BeEmpty())
	Expect(report.Made).To(Equal(made), "machines ever made")
	Expect(report.Live).To(Equal(live), "machines alive")
}

const soon, patient = 10 * time.Second, 90 * time.Second

var _ = Describe("A Server", func() {
	It("comes up with two writes and goes down without a trace", func() {
		f := newFleet(mem.Options{})
		f.create(aProvider(20))
		Eventually(f.storyOf(&v1alpha1.Provider{}, "mem"), soon).Should(HavePrefix("Ready: "))
		f.create(child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
		s := &v1alpha1.Server{}
		Expect(f.Client.Get(context.Background(), client.ObjectKey{Namespace: f.ns, Name: "a"}, s)).To(Succeed())
		Expect(s.Status.ID).To(Equal("mem-000001"))
		Expect(s.Status.Facts).To(HaveValue(HaveField("OS", "debian")))
		Expect(s.Status.ObservedGeneration).To(Equal(s.Generation))
		writes := 0
		for _, w := range f.Writes(GinkgoTB(), f.agent) {
			if w.ObjectRef.Resource == "servers" {
				writes++
			}
		}
		Expect(writes).To(BeNumerically("<=", 2), "one of each half")
		GinkgoWriter.Println(f.Kubectl(GinkgoTB(), "", "get", "ksrv,kprov", "-n", f.ns, "-o", "wide"))
		f.delete(child("a"))
		Eventually(f.story("a"), soon).Should(Equal("gone"))
		f.sound(1, 0)
	})

	It("waits for a Provider that comes later, and is woken by it", func() {
		f := newFleet(mem.Options{})
		f.create(child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("ProviderNotFound: Provider mem does not exist"))
		f.create(aProvider(20))
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
	})

	It("tells that it is queued, and comes when its turn has come", func() {
		f := newFleet(mem.Options{BootTime: 1500 * time.Millisecond})
		f.create(aProvider(1), child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("InProgress: the provider makes machine"))
		f.create(child("b"))
		Eventually(f.story("b"), soon).Should(HavePrefix("Queued: waiting for a turn"))
		Eventually(f.allReady(2), soon).Should(BeTrue())
		Expect(f.cloud().Report().MostMaking).To(Equal(1))
	})

	It("stands still at a full quota and tries again when it is asked to", func() {
		f := newFleet(mem.Options{})
		f.cloud().Inject(mem.Order{Verb: mem.Create, What: mem.QuotaExceeded})
		f.create(aProvider(20), child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("QuotaExceeded: creating the machine"))
		Consistently(f.story("a"), time.Second).Should(HavePrefix("QuotaExceeded"))
		f.Kubectl(GinkgoTB(), "", "annotate", "ksrv", "a", "-n", f.ns, v1alpha1.AnnotationAttempt+"=1")
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
		f.sound(1, 1)
	})

	It("waits on its way out for who uses it, and is woken when that is gone", func() {
		f := newFleet(mem.Options{})
		f.create(aProvider(20), child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
		run := &v1alpha1.Run{ObjectMeta: metav1.ObjectMeta{Name: "check"}, Spec: v1alpha1.RunSpec{Action: v1alpha1.RunCommand,
			Target: &v1alpha1.RunTarget{ServerRef: v1alpha1.LocalRef{Name: "a"}}, Command: &v1alpha1.CommandScript{Script: "true"}}}
		service := &v1alpha1.TaskService{ObjectMeta: metav1.ObjectMeta{Name: "etcd"}, Spec: v1alpha1.TaskServiceSpec{Recipe: "etcd",
			Servers: v1alpha1.ServerTargets{Names: []string{"a"}}}}
		f.create(run, service)
		time.Sleep(200 * time.Millisecond) // for the cache: this is about the waking
		f.delete(child("a"))
		Eventually(f.story("a"), soon).Should(Equal("DeletionBlocked: in use by Run check, TaskService etcd: delete them first"))
		f.delete(run)
		Eventually(f.story("a"), soon).Should(Equal("DeletionBlocked: in use by TaskService etcd: delete it first"))
		f.sound(1, 1)
		f.delete(service)
		Eventually(f.story("a"), soon).Should(Equal("gone"))
		f.sound(1, 0)
	})

	It("holds its Provider until it is gone itself", func() {
		f := newFleet(mem.Options{})
		f.create(aProvider(20), child("a"))
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
		f.delete(aProvider(20))
		Eventually(f.storyOf(&v1alpha1.Provider{}, "mem"), soon).Should(HavePrefix("DeletionBlocked: in use by Server a"))
		f.delete(child("a"))
		Eventually(f.story("a"), soon).Should(Equal("gone"))
		Eventually(f.storyOf(&v1alpha1.Provider{}, "mem"), soon).Should(Equal("gone"))
		f.sound(1, 0)
	})

	It("is not deleted while it is protected, whoever asks", func() {
		f := newFleet(mem.Options{})
		text, err := os.ReadFile("../../config/policies/deletion-protection.yaml")
		Expect(err).NotTo(HaveOccurred())
		f.Kubectl(GinkgoTB(), string(text), "apply", "--server-side", "-f", "-")
		protected := child("a")
		protected.Spec.DeletionProtection = v1alpha1.SwitchEnabled
		f.create(aProvider(20), protected)
		Eventually(f.story("a"), soon).Should(HavePrefix("Ready: "))
		Eventually(func() string { // the API server takes a moment to know a policy
			err := f.Client.Delete(context.Background(), protected, client.DryRunAll)
			return fmt.Sprint(err)
		}, soon).Should(ContainSubstring("Server a is protected: set spec.deletionProtection to Disabled first"))
		Expect(apierrors.IsForbidden(f.Client.DeleteAllOf(context.Background(), &v1alpha1.Server{}, client.InNamespace(f.ns)))).To(BeTrue())
		f.Kubectl(GinkgoTB(), "", "patch", "ksrv", "a", "-n", f.ns, "--type=merge", "-p", `{"spec":{"deletionProtection":"Disabled"}}`)
		f.delete(child("a"))
		Eventually(f.story("a"), soon).Should(Equal("gone"))
		f.sound(1, 0)
	})

	It("goes with its namespace", func() {
		f := newFleet(mem.Options{DeleteTime: 50 * time.Millisecond})
		f.create(append(children(10), aProvider(20))...)
		Eventually(f.allReady(10), soon).Should(BeTrue())
		Expect(f.Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.ns}})).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(f.Client.Get(context.Background(), client.ObjectKey{Name: f.ns}, &corev1.Namespace{}))
		}, patient).Should(BeTrue())
		f.sound(10, 0)
	})
})

var _ = Describe("Many Servers", func() {
	It("are never more in the making than the limit allows, across restarts", func() {
		const n, limit = 300, 5
		f := newFleet(mem.Options{BootTime: 80 * time.Millisecond, LogLimit: 4 * n})
		f.create(aProvider(limit))
		f.create(children(n)...)
		stop := f.hurry()
		for _, some := range []int{n / 6, n / 2} {
			Eventually(func() int { ready, _ := f.ready(); return ready }, patient).Should(BeNumerically(">=", some))
			stop()
			f.running.Stop()
			f.start()
			stop = f.hurry()
		}
		Eventually(f.allReady(n), patient).Should(BeTrue())
		f.sound(n, n)
		Expect(f.cloud().Report().MostMaking).To(Equal(limit), "the limit is reached and never exceeded")
		Expect(f.Client.DeleteAllOf(context.Background(), &v1alpha1.Server{}, client.InNamespace(f.ns))).To(Succeed())
		Eventually(f.noneLeft, patient).Should(BeTrue())
		stop()
		f.sound(n, 0)
	})

	It("are not written at rest, although they are dialled all the time", func() {
		const n = 50
		f := prepared(mem.Options{})
		f.look = 200 * time.Millisecond
		f.start()
		f.create(append(children(n), aProvider(20))...)
		Eventually(f.allReady(n), patient).Should(BeTrue())
		Eventually(func() string {
			return f.Kubectl(GinkgoTB(), "", "get", "kprov", "mem", "-n", f.ns, "-o", "jsonpath={.status.servers}")
		}, soon).Should(Equal(fmt.Sprint(n)))
		time.Sleep(time.Second) // the last events are on their way
		before := len(f.Writes(GinkgoTB(), f.agent))
		time.Sleep(4 * time.Second) // about twenty looks at each machine
		writes := f.Writes(GinkgoTB(), f.agent)[before:]
		Expect(writes).To(BeEmpty())

		// A new operator finds all as it is.
		f.running.Stop()
		f.start()
		before = len(f.Writes(GinkgoTB(), f.agent))
		time.Sleep(3 * time.Second)
		Expect(f.Writes(GinkgoTB(), f.agent)[before:]).To(BeEmpty())
		f.sound(n, n)
	})

	It("cost the Provider few writes", func() {
		const n = 50
		f := newFleet(mem.Options{})
		f.create(aProvider(20))
		f.create(children(n)...)
		Eventually(f.allReady(n), patient).Should(BeTrue())
		Eventually(func() string {
			return f.Kubectl(GinkgoTB(), "", "get", "kprov", "mem", "-n", f.ns, "-o", "jsonpath={.status.servers}")
		}, soon).Should(Equal(fmt.Sprint(n)))
		writes := 0
		for _, w := range f.Writes(GinkgoTB(), f.agent) {
			if strings.HasPrefix(w.ObjectRef.Resource, "providers") {
				writes++
			}
		}
		Expect(writes).To(BeNumerically("<", 12), "the count is gathered, not followed")
	})
})

// hurry lists the account often: the inventory's own second a tick would make a test of it.
func (f *fleet) hurry() (stop func()) {
	done, inv := make(chan struct{}), f.servers.Inventory
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(40 * time.Millisecond):
				_, _ = inv.Refresh(context.Background(), "local/memory/"+f.ns, f.cloud(), time.Now())
			}
		}
	})
	return sync.OnceFunc(func() { close(done); ended.Wait() })
}
