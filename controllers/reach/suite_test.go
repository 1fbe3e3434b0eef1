package reach_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
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
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestReach(t *testing.T) {
	lab.Shared(t) // skips here, with the reason, where there is no control plane
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(15 * time.Second)
	RunSpecs(t, "Process servers against a real API server")
}

// opener is what cmd/manager does: it puts the installation's settings beside the Provider's own.
type opener struct {
	*all.Opener
	spec all.Spec
}

func (o opener) Open(ctx context.Context, p *v1alpha1.Provider) (provider.Provider, provider.Account, error) {
	o.spec.Type, o.spec.Driver = string(p.Spec.Type), string(p.Spec.Local.Driver)
	return o.Opener.Open(ctx, o.spec)
}

var _ = Describe("A Process server", func() {
	var (
		l    *lab.Lab
		ns   string
		dir  string
		open opener
		got  *v1alpha1.Server
	)
	start := func(change func(*all.Spec), dial transports.Options) {
		GinkgoHelper()
		t := GinkgoTB()
		l, dir, got = lab.Shared(t), t.TempDir(), &v1alpha1.Server{}
		ns = l.Namespace(t)
		open = opener{all.NewOpener(mem.Options{}), all.Spec{Installation: ns, Admitted: []string{all.DriverProcess}, StateDir: filepath.Join(dir, "state")}}
		DeferCleanup(open.Close)
		change(&open.spec)
		l.Manager(t, ns, func(mgr ctrl.Manager) error {
			kit := reconcile.Kit{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("keelway"), Owner: "keelway", Now: time.Now}
			servers := server.New(kit, open, server.Options{Installation: ns})
			providers := providercontroller.New(kit, open, servers.Inventory, servers.Turnstile, connect.Connector{}, providercontroller.Options{})
			reaches := reach.New(kit, connect.Connector{Dialer: transports.New(dial)}, reach.Options{Interval: 300 * time.Millisecond})
			for _, c := range []interface{ SetupWithManager(ctrl.Manager) error }{servers, providers, reaches} {
				if err := c.SetupWithManager(mgr); err != nil {
					return err
				}
			}
			return mgr.Add(servers.Inventory)
		})
		for _, obj := range []client.Object{
			&v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Name: "here"}, Spec: v1alpha1.ProviderSpec{Type: v1alpha1.ProviderLocal, Local: &v1alpha1.LocalProvider{Driver: v1alpha1.DriverProcess}}},
			&v1alpha1.Server{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: v1alpha1.ServerSpec{ServerShape: v1alpha1.ServerShape{ProviderRef: v1alpha1.LocalRef{Name: "here"}}}},
		} {
			obj.SetNamespace(ns)
			Expect(l.Client.Create(context.Background(), obj)).To(Succeed())
		}
	}
	story := func(obj v1alpha1.Object, name, condition string) func() string {
		return func() string {
			err := l.Client.Get(context.Background(), client.ObjectKey{Namespace: ns, Name: name}, obj.(client.Object))
			if apierrors.IsNotFound(err) {
				return "gone"
			}
			if err != nil {
				return err.Error()
			}
			c := reconcile.Condition(obj, condition)
			if c == nil {
				return "untouched"
			}
			return string(c.Status) + " " + c.Reason + ": " + c.Message
		}
	}
	remove := func() {
		GinkgoHelper()
		Expect(l.Client.Delete(context.Background(), got)).To(Succeed())
		Eventually(story(&v1alpha1.Server{}, "a", v1alpha1.ReadyCondition)).Should(Equal("gone"))
	}
	asIs := func(*all.Spec) {}

	It("tells true facts, and goes with its directory", func() {
		start(asIs, transports.Options{Process: true})
		Eventually(story(got, "a", v1alpha1.ReadyCondition)).Should(HavePrefix("True Ready"))
		Expect(got.Status.Facts).NotTo(BeNil())
		Expect(got.Status.Facts.Arch).To(Equal(runtime.GOARCH))
		Expect(got.Status.Facts.Root).To(BeFalse(), "the machine is not the server's to own")
		Expect(got.Status.Facts.InitSystem).To(Equal("none"))
		Expect(got.Status.Access.Address).To(HavePrefix("127."))
		Expect(got.Status.Access.Target).To(BeADirectory())
		remove()
		Expect(got.Status.Access.Target).NotTo(BeAnExistingFile())
	})

	It("is unreachable while its directory is away, and comes back with it", func() {
		start(asIs, transports.Options{Process: true})
		Eventually(story(got, "a", v1alpha1.ReadyCondition)).Should(HavePrefix("True Ready"))
		facts, away := got.Status.Facts.DeepCopy(), filepath.Join(dir, "away")
		Expect(os.Rename(got.Status.Access.Target, away)).To(Succeed())
		Eventually(story(got, "a", v1alpha1.ReachableCondition)).WithTimeout(time.Minute).Should(HavePrefix("False Unreachable: dialling 127."))
		Expect(got.Status.Facts).To(Equal(facts), "what is known of the machine stays")
		Expect(os.Rename(away, got.Status.Access.Target)).To(Succeed())
		Eventually(story(got, "a", v1alpha1.ReadyCondition)).Should(HavePrefix("True Ready"))
		remove()
	})

	It("is refused where the installation does not admit it, and says what to do", func() {
		start(func(s *all.Spec) { s.Admitted = nil }, transports.Options{})
		Eventually(story(&v1alpha1.Provider{}, "here", v1alpha1.StalledCondition)).Should(And(HavePrefix("True DriverNotAllowed"), ContainSubstring("--local-drivers=Process")))
		Eventually(story(got, "a", v1alpha1.ReadyCondition)).Should(And(HavePrefix("False DependencyNotReady"), ContainSubstring("--local-drivers=Process")))
		remove() // nothing was ever made: nothing holds it
	})

	It("is not dialled where only its transport is not admitted", func() {
		start(asIs, transports.Options{})
		Eventually(story(got, "a", v1alpha1.StalledCondition)).Should(HavePrefix("True DriverNotAllowed: dialling 127."))
		Expect(got.Status.Phase).To(Equal(v1alpha1.ServerFailed))
		remove()
	})
})
