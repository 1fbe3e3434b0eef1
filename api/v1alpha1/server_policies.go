package v1alpha1

// DeletionPolicy says what becomes of what an object made when it is deleted: of a Server's machine, of a workflow's children.
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	// DeletionDelete ends the machine with its Server, and deletes the children with their workflow.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionOrphan leaves the machine running, status.id said which it is; and the children in place, which belong to nobody then.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// Power is whether a machine is wanted running.
// +kubebuilder:validation:Enum=Running;Stopped
type Power string

const (
	PowerRunning Power = "Running"
	PowerStopped Power = "Stopped"
)

// UpdatePolicy says how far a change of the spec may go.
// +kubebuilder:validation:Enum=InPlaceOnly;ReplaceAllowed
type UpdatePolicy string

const (
	// UpdateInPlaceOnly changes the machine that there is, or nothing.
	UpdateInPlaceOnly UpdatePolicy = "InPlaceOnly"
	// UpdateReplaceAllowed ends the machine and makes another where it cannot be changed in place, or where it ended by another hand.
	UpdateReplaceAllowed UpdatePolicy = "ReplaceAllowed"
)

// ServerField is a field of a Server that can drift.
// +kubebuilder:validation:Enum=size;zone;image;rootDisk;disks;power;labels
type ServerField string

const (
	FieldSize     ServerField = "size"
	FieldZone     ServerField = "zone"
	FieldImage    ServerField = "image"
	FieldRootDisk ServerField = "rootDisk"
	FieldDisks    ServerField = "disks"
	FieldPower    ServerField = "power"
	FieldLabels   ServerField = "labels" // of metadata, as far as the machine carries them
)

// ServerPolicies say what is wanted of a machine besides its shape. All of them may be changed.
type ServerPolicies struct {
	// power says whether the machine is wanted running.
	// +optional
	// +kubebuilder:default=Running
	Power Power `json:"power,omitempty"`
	// updatePolicy says whether another machine may take the place of this one when it cannot be changed in place.
	// +optional
	// +kubebuilder:default=InPlaceOnly
	UpdatePolicy UpdatePolicy `json:"updatePolicy,omitempty"`
	// driftPolicy says what is done when another hand changed the machine: Correct changes it back where that can be done in place.
	// +optional
	// +kubebuilder:default=Correct
	DriftPolicy DriftPolicy `json:"driftPolicy,omitempty"`
	// ignoreFields are not compared with the machine once it is there, nor changed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=7
	IgnoreFields []ServerField `json:"ignoreFields,omitempty"`
	// deletionPolicy says what becomes of the machine when this object is deleted.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// deletionProtection refuses the deletion of this object, and the end of its machine for a replacement.
	// +optional
	// +kubebuilder:default=Disabled
	DeletionProtection Switch `json:"deletionProtection,omitempty"`
}

// Adoption names a machine that exists already.
type Adoption struct {
	// id is the provider's own name for the machine.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id"`
}
