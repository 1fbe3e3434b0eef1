// Package v1alpha1 knows the shape of Keelway's API objects: their fields, bounds, defaults and the words of their conditions.
// It must not know what is done with them: it imports apimachinery and controller-runtime's scheme builder, nothing of ours.
// +kubebuilder:object:generate=true
// +groupName=keelway.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is keelway.dev/v1alpha1.
	GroupVersion = schema.GroupVersion{Group: "keelway.dev", Version: "v1alpha1"}

	// SchemeBuilder collects the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Provider{}, &ProviderList{},
		&Server{}, &ServerList{},
		&TaskService{}, &TaskServiceList{},
		&Run{}, &RunList{},
		&BatchWorkflow{}, &BatchWorkflowList{},
		&Checkpoint{}, &CheckpointList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
