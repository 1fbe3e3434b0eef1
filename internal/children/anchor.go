package children

import (
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// An anchor is an object's second owner, beside its workflow: the Namespace that it is in. The garbage collector deletes what has lost its
// last owner, and in a foreground deletion also what has no other owner than the one that goes; of what has another one it takes the
// reference alone. So an anchored child outlives its workflow, however that is deleted, and goes with its namespace as everything does.

// SetAnchor gives an object the anchor, or takes it away where uid, that of its Namespace, is empty. It changes no other owner.
func SetAnchor(obj metav1.Object, uid types.UID) {
	if Anchored(obj, uid) {
		return
	}
	owners := slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), isAnchor)
	if uid != "" {
		owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: obj.GetNamespace(), UID: uid})
	}
	obj.SetOwnerReferences(owners)
}

// Anchored reports whether an object has exactly this anchor, or none where uid is empty.
func Anchored(obj metav1.Object, uid types.UID) bool {
	return anchorOf(obj) == uid
}

func anchorOf(obj metav1.Object) (uid types.UID) {
	for _, owner := range obj.GetOwnerReferences() {
		if isAnchor(owner) {
			return owner.UID
		}
	}
	return ""
}

func isAnchor(owner metav1.OwnerReference) bool {
	return owner.APIVersion == "v1" && owner.Kind == "Namespace"
}

// Anchor gives a child the anchor, or takes it away, by one write. child need hold no more than its metadata, and may be of a cache that is
// behind: what has changed since is Conflict. Gone: it exists no longer.
func (c Children) Anchor(ctx context.Context, child client.Object, uid types.UID) error {
	return c.own(ctx, child, "anchoring", func(next *metav1.PartialObjectMetadata) { SetAnchor(next, uid) })
}

// Release lets a child go as it is: from then on it belongs to no workflow. The errors are those of Anchor.
func (c Children) Release(ctx context.Context, workflow *v1alpha1.BatchWorkflow, child client.Object) error {
	return c.own(ctx, child, "releasing", func(next *metav1.PartialObjectMetadata) {
		next.SetOwnerReferences(slices.DeleteFunc(next.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == workflow.UID }))
	})
}

// own writes other owners of a child, and nothing else. The resourceVersion that was seen is part of it: the list is replaced as a whole,
// and the garbage collector writes it too.
func (c Children) own(ctx context.Context, child client.Object, doing string, change func(*metav1.PartialObjectMetadata)) error {
	kind, err := c.kindOf(child)
	if err != nil {
		return err
	}
	next := Ref(kind, child.GetNamespace(), child.GetName(), child.GetUID())
	next.SetOwnerReferences(slices.Clone(child.GetOwnerReferences()))
	change(next)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": child.GetUID(), "resourceVersion": child.GetResourceVersion(), "ownerReferences": next.GetOwnerReferences(),
	}})
	if err != nil {
		return err
	}
	err = c.Client.Patch(ctx, next, client.RawPatch(types.MergePatchType, patch), c.Owner)
	if apierrors.IsNotFound(err) {
		return fault.New(fault.Gone, fault.ReasonNotFound, "%s %s exists no longer", kind, child.GetName())
	}
	return fault.During(err, "%s %s %s", doing, kind, child.GetName())
}
