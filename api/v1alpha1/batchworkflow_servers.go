package v1alpha1

// ServerBatch makes Servers: count of them by number, or one for each entry of forEach, or of the list that forEachFrom refers to, by its key.
// +kubebuilder:validation:XValidation:rule="has(self.forEachFrom) ? !has(self.count) && !has(self.forEach) : has(self.count) != has(self.forEach)",message="exactly one of count, forEach and forEachFrom is needed"
type ServerBatch struct {
	// count of Servers; their keys are 0, 1, 2, …
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Count *int32 `json:"count,omitempty"`
	// forEach makes one Server an entry.
	// +optional
	// +listType=map
	// +listMapKey=key
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	ForEach []ServerItem `json:"forEach,omitempty"`
	// forEachFrom is an output of an earlier operation, ${operations.NAME.outputs.KEY}, that lists the entries: keys with commas between
	// them, or a JSON array of keys, or of objects with the fields of forEach. It is expanded once, when the batch could start.
	// +optional
	// +kubebuilder:validation:MaxLength=160
	// +kubebuilder:validation:Pattern=`^\$\{operations\.[a-z0-9-]+\.outputs\.[A-Za-z0-9_-]+\}$`
	ForEachFrom string `json:"forEachFrom,omitempty"`
	// template of the Servers.
	// +required
	Template ServerTemplate `json:"template"`
}

// ServerItem is one entry of forEach: its key, and what differs from the template.
type ServerItem struct {
	// key of the instance, unique in the operation.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Key string `json:"key"`
	// size in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Size string `json:"size,omitempty"`
	// zone in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// image in place of the template's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`
}

// ServerTemplate is what the Servers of a batch look like.
type ServerTemplate struct {
	// labels of the Servers, besides those that the workflow sets. Keys of keelway.dev are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keelway.dev/'))",message="labels of keelway.dev are set by the operator"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="the key of a label is at most 63 letters, digits, dashes, underscores and dots, after a domain and a slash if need be"
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// spec of the Servers.
	// +required
	Spec ServerTemplateSpec `json:"spec"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`
type LabelValue string

// ServerTemplateSpec is the spec of a templated Server, without the rules that hold between an old and a new one.
type ServerTemplateSpec struct {
	ServerShape    `json:",inline"`
	ServerPolicies `json:",inline"`
}
