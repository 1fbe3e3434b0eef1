package reconcile

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/keelway/keelway/api/v1alpha1"
)

func TestConfirm(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	live := fake.NewClientBuilder().WithScheme(scheme).Build()
	one := &v1alpha1.Run{ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: "ns", UID: "u"}}
	if err := live.Create(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	kit, old := Kit{Live: live}, one.DeepCopy()
	if err := Confirm(t.Context(), kit, one); err != nil {
		t.Errorf("the newest copy is refused: %v", err)
	}
	base := one.DeepCopy()
	one.Labels = map[string]string{"changed": "yes"}
	if err := live.Patch(t.Context(), one, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	if err := Confirm(t.Context(), kit, old); !apierrors.IsConflict(err) {
		t.Errorf("an old copy gives %v, want a conflict, which makes the frame look again", err)
	}
	other := one.DeepCopy()
	other.UID = "another object of the same name"
	if err := Confirm(t.Context(), kit, other); !apierrors.IsConflict(err) {
		t.Errorf("another object gives %v", err)
	}
	if err := live.Delete(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	if err := Confirm(t.Context(), kit, one); err == nil {
		t.Error("an object that is gone is confirmed")
	}
}
