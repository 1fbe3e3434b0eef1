// Package children knows how a composite makes, raises, lists and deletes the objects that do its work: deterministic names,
// owner references, and never an object that is not its own. It must not know why a child is wanted or what it is for.
package children

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// Kinds are the kinds of children that a workflow has.
var Kinds = []string{"Server", "TaskService", "Run"}

// Children is the composites' only hand. All fields are required.
type Children struct {
	Client client.Client // reads come from the cache, writes go to the API server
	Live   client.Reader // reads that bypass the cache
	Owner  client.FieldOwner
}

// Ensure makes child, which carries its name, labels, annotations and anchor already, unless it exists. It adds the owner reference,
// the finalizer and order, the resourceVersion of the Checkpoint that recorded the wish. Calling it again is harmless.
//
//	nil                 it exists and is ours
//	Wait InProgress     an object of its name is on its way out, or outlived its workflow, or the whole namespace goes
//	Gone Orphaned       an object of its name and its labels has no owner: Adopt makes it ours
//	Terminal NameTaken  an object of its name is not ours
//	Terminal Invalid    the API server refuses it
func (c Children) Ensure(ctx context.Context, workflow *v1alpha1.BatchWorkflow, order string, child client.Object) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	claim(workflow, order, child)
	err = c.Client.Create(ctx, child, c.Owner)
	switch {
	case err == nil:
		return nil
	case apierrors.IsAlreadyExists(err):
		return c.recognise(ctx, workflow, kind, child)
	case namespaceGoes(err):
		return fault.Waiting(fault.ReasonInProgress, 0, "namespace %s is being deleted: no %s is made in it", child.GetNamespace(), kind)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return &fault.Error{Class: fault.Terminal, Reason: fault.ReasonInvalid, Doing: "creating " + kind + " " + child.GetName(), Err: err}
	}
	return fault.During(err, "creating %s %s", kind, child.GetName())
}

// claim makes the POST say whose the child is, so that no instant exists at which it is there and nobody's.
func claim(workflow *v1alpha1.BatchWorkflow, order string, child client.Object) {
	yes, anchor := true, anchorOf(child)
	child.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "BatchWorkflow", Name: workflow.Name, UID: workflow.UID,
		Controller: &yes, BlockOwnerDeletion: &yes,
	}})
	SetAnchor(child, anchor)
	child.SetFinalizers([]string{v1alpha1.Finalizer})
	annotations := map[string]string{}
	for key, value := range child.GetAnnotations() {
		annotations[key] = value
	}
	annotations[v1alpha1.AnnotationOrderedBy] = order
	child.SetAnnotations(annotations)
}

// recognise looks at the object that has the child's name.
func (c Children) recognise(ctx context.Context, workflow *v1alpha1.BatchWorkflow, kind string, child client.Object) error {
	found := Ref(kind, child.GetNamespace(), child.GetName(), "")
	if err := c.Live.Get(ctx, client.ObjectKeyFromObject(child), found); err != nil {
		return fault.During(err, "looking who has the name of %s %s", kind, child.GetName()) // gone again: the next look makes it
	}
	if !found.DeletionTimestamp.IsZero() {
		return fault.Waiting(fault.ReasonInProgress, 0, "%s %s is being deleted: it is made anew afterwards", kind, child.GetName())
	}
	if earlier(workflow, found) {
		return fault.Waiting(fault.ReasonInProgress, 0,
			"%s %s/%s belongs to an earlier BatchWorkflow of this name and goes with it: it is made anew afterwards", kind, found.Namespace, found.Name)
	}
	if loose(workflow, found, child) {
		return fault.New(fault.Gone, fault.ReasonOrphaned, "%s %s/%s has no owner", kind, found.Namespace, found.Name)
	}
	if !ours(workflow, found) {
		return fault.New(fault.Terminal, fault.ReasonNameTaken, "%s %s/%s exists and %s: delete it, or give this workflow another name",
			kind, found.Namespace, found.Name, whose(found))
	}
	if !sameInstance(found, child) {
		return fault.New(fault.Terminal, fault.ReasonNameTaken, "%s %s/%s belongs to operation %s, key %s, of this workflow, and operation %s, key %s, has the same name: rename one of them",
			kind, found.Namespace, found.Name, found.Labels[v1alpha1.LabelOperation], found.Labels[v1alpha1.LabelKey],
			child.GetLabels()[v1alpha1.LabelOperation], child.GetLabels()[v1alpha1.LabelKey])
	}
	return nil
}

func ours(workflow *v1alpha1.BatchWorkflow, obj metav1.Object) bool {
	owner := metav1.GetControllerOfNoCopy(obj)
	return owner != nil && owner.UID == workflow.UID
}

func sameInstance(a, b metav1.Object) bool {
	for _, label := range []string{v1alpha1.LabelOperation, v1alpha1.LabelKey} {
		if a.GetLabels()[label] != b.GetLabels()[label] {
			return false
		}
	}
	return true
}

// earlier reports whether the object's owner was a workflow of the same name, which is gone: the collector is about to take it.
func earlier(workflow *v1alpha1.BatchWorkflow, obj metav1.Object) bool {
	owner := metav1.GetControllerOfNoCopy(obj)
	return owner != nil && owner.UID != workflow.UID && owner.Kind == "BatchWorkflow" && owner.Name == workflow.Name
}

// whose says to whom an object belongs that is not the workflow's.
func whose(obj metav1.Object) string {
	if owner := metav1.GetControllerOfNoCopy(obj); owner != nil {
		return fmt.Sprintf("belongs to %s %s", owner.Kind, owner.Name)
	}
	return "belongs to no other object: somebody made it by hand, or its owner was deleted without it"
}

// namespaceGoes reports whether nothing can be made because the namespace is going or gone.
func namespaceGoes(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	status, ok := err.(apierrors.APIStatus) //nolint:errorlint // Create returns it bare
	return ok && apierrors.IsNotFound(err) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// Ref names an object of a kind in Kinds, for Raise, Delete and live reads of its metadata.
func Ref(kind, namespace, name string, uid types.UID) *metav1.PartialObjectMetadata {
	ref := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid}}
	ref.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	return ref
}

func (c Children) kindOf(obj client.Object) (string, error) {
	gvk, err := apiutil.GVKForObject(obj, c.Client.Scheme())
	if err != nil {
		return "", fmt.Errorf("naming the kind of a child: %w", err)
	}
	return gvk.Kind, nil
}
