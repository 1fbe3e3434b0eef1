package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/internal/fault"
)

// ErrNoRecord says that Record was called outside of Run.
var ErrNoRecord = errors.New("reconcile: Record called outside of Run")

// record holds the object as it was last written or read: what a status write is compared with.
type record struct {
	kit   Kit
	base  client.Object
	first seen
}

type recordKey struct{}

func newRecord(kit Kit, obj Object) *record {
	return &record{kit: kit, base: obj.DeepCopyObject().(client.Object), first: see(obj)}
}

// Record writes the object's status now, compare-and-swap by resourceVersion: what a step is about to do is durable before it
// does it. It is a no-op when nothing changed. Its error must end the walk: the deed was not recorded. A conflict makes the frame
// look again shortly.
func Record(ctx context.Context, obj Object) error {
	r, ok := ctx.Value(recordKey{}).(*record)
	if !ok {
		return ErrNoRecord
	}
	return r.write(ctx, obj)
}

// write patches the status when it changed, and reports a change of anything else, which it does not write.
func (r *record) write(ctx context.Context, obj client.Object) error {
	if equality.Semantic.DeepEqual(r.base, obj) {
		return nil
	}
	status, strayed, err := r.changes(obj)
	if err != nil {
		return err
	}
	if status != nil {
		if err := r.patch(ctx, obj, status); err != nil {
			return err
		}
	}
	if len(strayed) > 0 {
		return fault.New(fault.Retry, fault.ReasonInternal,
			"a bug in keelway: a step changed %s of the object; only its status is written", strings.Join(strayed, " and "))
	}
	return nil
}

// changes returns the merge patch of the status, nil when it is the same, and the names of the other parts that changed.
func (r *record) changes(obj client.Object) (json.RawMessage, []string, error) {
	data, err := client.MergeFrom(r.base).Data(obj)
	if err != nil {
		return nil, nil, fmt.Errorf("comparing objects: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, nil, fmt.Errorf("comparing objects: %w", err)
	}
	status := parts["status"]
	delete(parts, "status")
	return status, slices.Sorted(maps.Keys(parts)), nil
}

func (r *record) patch(ctx context.Context, obj client.Object, status json.RawMessage) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": r.base.GetResourceVersion()},
		"status":   status,
	})
	if err != nil {
		return fmt.Errorf("writing a patch: %w", err)
	}
	answer := obj.DeepCopyObject().(client.Object)
	if err := r.kit.Client.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), r.kit.Owner); err != nil {
		return err
	}
	r.base = obj.DeepCopyObject().(client.Object)
	r.base.SetResourceVersion(answer.GetResourceVersion())
	obj.SetResourceVersion(answer.GetResourceVersion())
	return nil
}

// restore makes obj again what was last written or read.
func (r *record) restore(obj client.Object) {
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(r.base.DeepCopyObject()).Elem())
}
