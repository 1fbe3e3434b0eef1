package children

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/fault"
)

// ByOwner is the cache's index of children by the UID of the object that controls them, see OwnerUID.
const ByOwner = "keelway.dev/owner"

// Index adds the index that List reads by. It is called once, before the cache starts.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	for _, obj := range []client.Object{&v1alpha1.Server{}, &v1alpha1.TaskService{}, &v1alpha1.Run{}} {
		if err := indexer.IndexField(ctx, obj, ByOwner, OwnerUID); err != nil {
			return fmt.Errorf("indexing children by their owner: %w", err)
		}
	}
	return nil
}

// OwnerUID is the function of the index: the UID of the object's controller, or nothing.
func OwnerUID(obj client.Object) []string {
	if owner := metav1.GetControllerOfNoCopy(obj); owner != nil {
		return []string{string(owner.UID)}
	}
	return nil
}

// Family is a workflow's children as the cache shows them, by name. The objects are the cache's own: nobody may change them.
type Family struct {
	Servers      map[string]*v1alpha1.Server
	TaskServices map[string]*v1alpha1.TaskService
	Runs         map[string]*v1alpha1.Run
}

// List reads a workflow's children from the cache, which may be behind. It copies none of them: ten thousand take 5 ms.
func (c Children) List(ctx context.Context, workflow *v1alpha1.BatchWorkflow) (Family, error) {
	var servers v1alpha1.ServerList
	var services v1alpha1.TaskServiceList
	var runs v1alpha1.RunList
	for _, list := range []client.ObjectList{&servers, &services, &runs} {
		err := c.Client.List(ctx, list, client.InNamespace(workflow.Namespace),
			client.MatchingFields{ByOwner: string(workflow.UID)}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return Family{}, fault.During(err, "listing children of workflow %s", workflow.Name)
		}
	}
	return Family{
		Servers:      byName(servers.Items, func(o *v1alpha1.Server) string { return o.Name }),
		TaskServices: byName(services.Items, func(o *v1alpha1.TaskService) string { return o.Name }),
		Runs:         byName(runs.Items, func(o *v1alpha1.Run) string { return o.Name }),
	}, nil
}

func byName[T any](items []T, name func(*T) string) map[string]*T {
	out := make(map[string]*T, len(items))
	for i := range items {
		out[name(&items[i])] = &items[i]
	}
	return out
}

// page bounds one answer of the API server.
const page = 1000

// ListLive asks the API server itself for the metadata of a workflow's children: the proof that a list is complete, or empty.
// Each knows its kind. Objects that carry the workflow's label and belong to another owner are not among them.
func (c Children) ListLive(ctx context.Context, workflow *v1alpha1.BatchWorkflow) ([]*metav1.PartialObjectMetadata, error) {
	var out []*metav1.PartialObjectMetadata
	for _, kind := range Kinds {
		next := ""
		for more := true; more; more = next != "" {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
			err := c.Live.List(ctx, list, client.InNamespace(workflow.Namespace),
				client.MatchingLabels{v1alpha1.LabelWorkflow: workflow.Name}, client.Limit(page), client.Continue(next))
			if err != nil {
				return nil, fault.During(err, "listing %ss of workflow %s", kind, workflow.Name)
			}
			for i := range list.Items {
				if item := &list.Items[i]; ours(workflow, item) {
					item.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
					out = append(out, item)
				}
			}
			next = list.Continue
		}
	}
	return out, nil
}

// ReadLive shows every child as the API server itself has it, a page at a time, so that a large family is never held as a whole.
func (c Children) ReadLive(ctx context.Context, workflow *v1alpha1.BatchWorkflow, see func(client.Object)) error {
	for kind, empty := range map[string]func() client.ObjectList{
		"Server":      func() client.ObjectList { return &v1alpha1.ServerList{} },
		"TaskService": func() client.ObjectList { return &v1alpha1.TaskServiceList{} },
		"Run":         func() client.ObjectList { return &v1alpha1.RunList{} },
	} {
		for next, more := "", true; more; more = next != "" {
			list := empty()
			err := c.Live.List(ctx, list, client.InNamespace(workflow.Namespace),
				client.MatchingLabels{v1alpha1.LabelWorkflow: workflow.Name}, client.Limit(page), client.Continue(next))
			if err != nil {
				return fault.During(err, "reading %ss of workflow %s", kind, workflow.Name)
			}
			err = meta.EachListItem(list, func(item runtime.Object) error {
				if child, ok := item.(client.Object); ok && ours(workflow, child) {
					see(child)
				}
				return nil
			})
			if err != nil {
				return err
			}
			next = list.GetContinue()
		}
	}
	return nil
}

// GetLive returns the metadata of a child as the API server itself has it, or nil when the workflow has no child of that name.
func (c Children) GetLive(ctx context.Context, workflow *v1alpha1.BatchWorkflow, kind, name string) (*metav1.PartialObjectMetadata, error) {
	found := Ref(kind, workflow.Namespace, name, "")
	err := c.Live.Get(ctx, client.ObjectKeyFromObject(found), found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fault.During(err, "looking whether %s %s is gone", kind, name)
	case !ours(workflow, found):
		return nil, nil
	}
	return found, nil
}

// GetServer returns a Server of the workflow as the API server itself has it, or nil when the workflow has none of that name.
func (c Children) GetServer(ctx context.Context, workflow *v1alpha1.BatchWorkflow, name string) (*v1alpha1.Server, error) {
	var found v1alpha1.Server
	err := c.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fault.During(err, "looking at Server %s", name)
	case !ours(workflow, &found):
		return nil, nil
	}
	return &found, nil
}
