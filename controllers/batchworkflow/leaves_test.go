package batchworkflow

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/reconcile"
)

// leaves play the leaf kinds: a child becomes Ready at once, unless the test says otherwise for its operation.
type leaves struct {
	client client.Client

	mu           sync.Mutex
	fails        map[string]int32 // operation → attempts that fail
	holds        map[string]bool  // operation → never answers
	keeps        map[string]bool  // operation → deletion does not end
	holdsServers bool             // a Server waits for the services on it, as Servers do
	made         map[string]int   // child name → how many objects of it were seen, by UID
	seen         map[string]bool
	most         int // most children alive and not ready at one time
	answer       map[string]bool
}

func newLeaves() *leaves {
	return &leaves{fails: map[string]int32{}, holds: map[string]bool{}, keeps: map[string]bool{}, made: map[string]int{}, seen: map[string]bool{}, answer: map[string]bool{}}
}

func (l *leaves) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// setup registers one small controller a kind.
func (l *leaves) setup(mgr ctrl.Manager) error {
	l.client = mgr.GetClient()
	for _, empty := range []func() client.Object{
		func() client.Object { return &v1alpha1.Server{} },
		func() client.Object { return &v1alpha1.TaskService{} },
		func() client.Object { return &v1alpha1.Run{} },
	} {
		err := ctrl.NewControllerManagedBy(mgr).For(empty()).Complete(reconcilerFunc(func(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
			child := empty()
			if err := l.client.Get(ctx, req.NamespacedName, child); err != nil {
				return ctrl.Result{}, client.IgnoreNotFound(err)
			}
			return ctrl.Result{}, client.IgnoreNotFound(l.play(ctx, child))
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

type reconcilerFunc func(context.Context, ctrl.Request) (ctrl.Result, error)

func (f reconcilerFunc) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return f(ctx, req)
}

func (l *leaves) play(ctx context.Context, child client.Object) error {
	l.mu.Lock()
	operation := child.GetLabels()[v1alpha1.LabelOperation]
	if !l.seen[string(child.GetUID())] {
		l.seen[string(child.GetUID())] = true
		l.made[child.GetName()]++
	}
	holds, keeps, fails := l.holds[operation], l.keeps[operation], l.fails[operation]
	l.mu.Unlock()
	if child.GetDeletionTimestamp() != nil {
		if keeps {
			return nil
		}
		if l.inUse(ctx, child) {
			return errors.New("somebody uses it: it is looked at again")
		}
		base := child.DeepCopyObject().(client.Object)
		controllerutil.RemoveFinalizer(child, v1alpha1.Finalizer)
		return l.client.Patch(ctx, child, client.MergeFrom(base))
	}
	if holds {
		return nil
	}
	return l.answerFor(ctx, child, fails)
}

// inUse reports whether a service is on a Server that goes.
func (l *leaves) inUse(ctx context.Context, child client.Object) bool {
	var services v1alpha1.TaskServiceList
	if _, server := child.(*v1alpha1.Server); !server || !l.holdsServers || l.client.List(ctx, &services, client.InNamespace(child.GetNamespace())) != nil {
		return false
	}
	return slices.ContainsFunc(services.Items, func(t v1alpha1.TaskService) bool { return slices.Contains(t.Spec.Servers.Names, child.GetName()) })
}

func (l *leaves) answerFor(ctx context.Context, child client.Object, fails int32) error {
	attempt64, _ := strconv.ParseInt(child.GetAnnotations()[v1alpha1.AnnotationAttempt], 10, 32)
	attempt := int32(attempt64)
	base := child.DeepCopyObject().(client.Object)
	object := child.(v1alpha1.Object)
	bad := attempt <= fails
	status, reason, message := metav1.ConditionTrue, v1alpha1.ReasonReady, ""
	if bad {
		status, reason, message = metav1.ConditionFalse, "ScriptFailed", "the leaf's own words"
	}
	now := metav1.Now().Time
	reconcile.Set(object, v1alpha1.ReadyCondition, status, reason, message, now)
	reconcile.Flag(object, v1alpha1.StalledCondition, bad, reason, message, now)
	object.SetObservedGeneration(child.GetGeneration())
	switch c := child.(type) {
	case *v1alpha1.Server:
		c.Status.Attempt, c.Status.Access = attempt, &v1alpha1.ServerAccess{Transport: "Script", Address: "127.9.9.9"}
	case *v1alpha1.TaskService:
		c.Status.Attempt, c.Status.Outputs = attempt, map[string]string{"endpoints": `http://a"; rm -rf /`}
	case *v1alpha1.Run:
		c.Status.Attempt, c.Status.Outputs = attempt, map[string]string{"machines": "blue,green"}
		reconcile.Set(object, v1alpha1.SucceededCondition, status, reason, message, now)
	}
	return l.client.Status().Patch(ctx, child, client.MergeFrom(base))
}
