package lab

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/reconcile"
)

func TestMain(m *testing.M) { Main(m) }

// witness takes the complaints of an inspection that is meant to find something.
type witness struct {
	testing.TB
	complaints []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
}
func (w *witness) Helper()        {}
func (w *witness) Cleanup(func()) {}

func (w *witness) says(words string) bool {
	return slices.ContainsFunc(w.complaints, func(c string) bool { return strings.Contains(c, words) })
}

func provider(namespace string) *v1alpha1.Provider {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}
	p.Spec.Type, p.Spec.Local = v1alpha1.ProviderLocal, &v1alpha1.LocalProvider{Driver: v1alpha1.DriverMemory}
	return p
}

func TestInspectionFindsBadConditionsAndSecrets(t *testing.T) {
	l := Shared(t)
	w := &witness{TB: t}
	namespace := l.Namespace(w) // its own inspection does not run: this test calls it
	secret := l.Canary(t, namespace)
	p := provider(namespace)
	p.Annotations = map[string]string{"note": "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret))}
	if err := l.Client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	l.inspect(w, namespace)
	if !w.says("Provider p shows a secret") || len(w.complaints) != 1 {
		t.Errorf("complaints: %q", w.complaints)
	}
	reconcile.Set(p, v1alpha1.ReadyCondition, metav1.ConditionTrue, "Ready", "", time.Now())
	reconcile.Set(p, v1alpha1.StalledCondition, metav1.ConditionTrue, "Invalid", "the secret is "+secret, time.Now())
	p.SetObservedGeneration(1)
	if err := l.Client.Status().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.complaints = nil
	l.inspect(w, namespace)
	for _, words := range []string{"Ready is True and Stalled is present", "kstatus reads Failed", "shows a secret"} {
		if !w.says(words) {
			t.Errorf("complaints: %q, want %q", w.complaints, words)
		}
	}
	w.complaints = nil
	l.Scan(w, namespace, "argv of 7", "sh -c "+secret)
	if !w.says("argv of 7 shows a secret") {
		t.Errorf("complaints: %q", w.complaints)
	}
}

// keeper makes every Provider ready, after having said a word in the log.
func keeper(word string) func(ctrl.Manager) error {
	return func(m ctrl.Manager) error {
		kit := reconcile.Kit{
			Client: m.GetClient(), Live: m.GetAPIReader(), Events: m.GetEventRecorder("keeper"), Owner: "keeper", Now: time.Now,
		}
		return ctrl.NewControllerManagedBy(m).Named("keeper").For(&v1alpha1.Provider{}).Complete(
			ctrlReconciler(func(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
				p := &v1alpha1.Provider{}
				if err := kit.Client.Get(ctx, request.NamespacedName, p); err != nil {
					return ctrl.Result{}, client.IgnoreNotFound(err)
				}
				return reconcile.Run(ctx, kit, p, nil, func(ctx context.Context, p *v1alpha1.Provider) error {
					ctrl.LoggerFrom(ctx).Info(word)
					if p.Spec.Limits.MaxInFlight == 1 {
						return fault.New(fault.Terminal, fault.ReasonInvalid, "one is not enough")
					}
					return nil
				})
			}))
	}
}

type ctrlReconciler func(context.Context, ctrl.Request) (ctrl.Result, error)

func (r ctrlReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r(ctx, request)
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

// TestManagerAndItsWrites carries the frame through a real API server: the events, the writes and the rest afterwards.
func TestManagerAndItsWrites(t *testing.T) {
	l := Shared(t)
	namespace := l.Namespace(t)
	p := provider(namespace)
	if err := l.Client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	m := l.Manager(t, namespace, keeper("hello"))
	ready := func(status metav1.ConditionStatus) func() bool {
		return func() bool {
			if err := l.Client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
				t.Fatal(err)
			}
			c := reconcile.Condition(p, v1alpha1.ReadyCondition)
			return c != nil && c.Status == status
		}
	}
	eventually(t, "Ready", ready(metav1.ConditionTrue))
	statuses := func() (n int) {
		for _, event := range l.Writes(t, m.UserAgent) {
			if event.ObjectRef.Subresource == "status" {
				n++
			}
		}
		return n
	}
	eventually(t, "one status write in the audit log", func() bool { return statuses() == 1 })
	p.Spec.Limits.MaxInFlight = 1
	if err := l.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not Ready", ready(metav1.ConditionFalse))
	eventually(t, "the events of both transitions", func() bool {
		return strings.Contains(l.Kubectl(t, "", "get", "events", "--namespace", namespace), "one is not enough")
	})
	p.Annotations = map[string]string{"poke": "it"} // wakes the controller, and changes nothing
	if err := l.Client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	m.Stop()
	if n := statuses(); n != 2 {
		t.Errorf("%d status writes for two transitions", n)
	}
	if counts := l.AuditCounts(t); counts[m.UserAgent] < 4 || counts["lab"] < 3 {
		t.Errorf("counts = %v: want the controller's two status writes and two events, and the test's own writes", counts)
	}
}

func TestLogsAreScanned(t *testing.T) {
	l := Shared(t)
	w := &witness{TB: t}
	namespace := l.Namespace(w)
	secret := l.Canary(t, namespace)
	p := provider(namespace)
	if err := l.Client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	m := l.Manager(t, namespace, keeper("the token is "+secret))
	eventually(t, "an event", func() bool {
		return strings.Contains(l.Kubectl(t, "", "get", "events", "--namespace", namespace), "Ready")
	})
	m.Stop()
	l.inspect(w, namespace)
	if !w.says("the log shows a secret") || len(w.complaints) != 1 {
		t.Errorf("complaints: %q", w.complaints)
	}
}

func TestEventsAreScanned(t *testing.T) {
	l := Shared(t)
	w := &witness{TB: t}
	namespace := l.Namespace(w)
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "e"}, Message: "password " + l.Canary(t, namespace)}
	event.InvolvedObject.Namespace = namespace
	if err := l.Client.Create(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	l.inspect(w, namespace)
	if !w.says("event e shows a secret") {
		t.Errorf("complaints: %q", w.complaints)
	}
}

func TestFormsAreFoundWhereverASecretBegins(t *testing.T) {
	const secret = "canary-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for before := range 7 {
		for after := range 4 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", before) + secret + strings.Repeat("b", after)))
			if !slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains(text, form) }) {
				t.Errorf("after %d and before %d bytes it is not found", before, after)
			}
		}
	}
}
