package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServerShape is what a machine is made of.
type ServerShape struct {
	// providerRef names the Provider that makes the machine.
	// +required
	ProviderRef LocalRef `json:"providerRef"`
	// size is the provider's own name for a machine's cpus and memory. Absent: the provider's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Size string `json:"size,omitempty"`
	// zone within the provider. Absent: the provider's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// image that the machine starts from. Absent: the provider's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`
	// rootDisk is what the machine starts from a copy of its image on. Absent: the provider's default.
	// +optional
	RootDisk *Disk `json:"rootDisk,omitempty"`
	// disks of the machine besides the root disk.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=15
	Disks []NamedDisk `json:"disks,omitempty"`
	// network that the machine is attached to. Absent: the provider's default.
	// +optional
	Network *ServerNetwork `json:"network,omitempty"`
	// userDataFrom is what cloud-init on the machine is given.
	// +optional
	UserDataFrom *UserDataSource `json:"userDataFrom,omitempty"`
}

// Disk is one disk of a machine.
type Disk struct {
	// sizeGiB of the disk. Absent: the provider's default.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	SizeGiB int32 `json:"sizeGiB,omitempty"`
	// tier is the provider's own name for a kind of disk, such as gp3 or maxiops. Absent: the provider's default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Tier string `json:"tier,omitempty"`
	// encryption of what the disk holds, by the provider. Absent: the provider's default.
	// +optional
	Encryption Switch `json:"encryption,omitempty"`
}

// NamedDisk is a disk besides the root disk.
type NamedDisk struct {
	// name of the disk, unique in its Server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`
	Disk `json:",inline"`
}

// Switch says whether something is wanted.
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

const (
	SwitchEnabled  Switch = "Enabled"
	SwitchDisabled Switch = "Disabled"
)

// ServerNetwork is what a machine is attached to.
type ServerNetwork struct {
	// publicIPv4 address of the machine. Absent: the provider's default.
	// +optional
	PublicIPv4 Switch `json:"publicIPv4,omitempty"`
	// publicIPv6 address of the machine. Absent: the provider's default.
	// +optional
	PublicIPv6 Switch `json:"publicIPv6,omitempty"`
	// privateNetworks that the machine is attached to, in order of its interfaces.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	PrivateNetworks []PrivateNetwork `json:"privateNetworks,omitempty"`
}

// PrivateNetwork is a network of the account.
type PrivateNetwork struct {
	// id is the provider's own name for the network or subnet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id"`
}

// UserDataSource is where the user data of a machine is.
type UserDataSource struct {
	// secretRef names a Secret; its key userData is what cloud-init is given, at most 16 KiB.
	// +required
	SecretRef LocalRef `json:"secretRef"`
}

// UserDataKey is the key of a Secret that holds user data.
const UserDataKey = "userData"

// ServerLaunch is one request for one machine, or for many of one shape.
type ServerLaunch struct {
	// token makes the request idempotent where the cloud has such a thing.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Token string `json:"token"`
	// index of this Server among those of the request, from 0.
	// +optional
	Index int32 `json:"index"`
	// of how many Servers the request is.
	// +optional
	Of int32 `json:"of"`
	// shape is a digest of all that was asked for: the same token never goes with another.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Shape string `json:"shape,omitempty"`
}

// ServerApplied is what a machine was made with or changed to. What is absent was left to the provider.
type ServerApplied struct {
	// size of the machine.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Size string `json:"size,omitempty"`
	// image of the machine.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`
	// power of the machine.
	// +optional
	Power Power `json:"power,omitempty"`
}

// ServerReplacement is a machine that makes room for another.
type ServerReplacement struct {
	// id of the machine that ends.
	// +required
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id"`
	// reason for people.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Reason string `json:"reason,omitempty"`
}

// CostUnknown stands where an amount would, and nobody knows it. It is never 0.
const CostUnknown = "unknown"

// ServerCost is what a machine costs.
type ServerCost struct {
	// currency as in ISO 4217.
	// +optional
	// +kubebuilder:validation:MaxLength=8
	Currency string `json:"currency,omitempty"`
	// hourly amount, a decimal number, or unknown.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Hourly string `json:"hourly"`
	// monthly amount of 730 hours, with two decimals, or unknown.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Monthly string `json:"monthly"`
	// components that the amount is the sum of.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=24
	Components []CostComponent `json:"components,omitempty"`
	// source of the prices, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Source string `json:"source,omitempty"`
	// asOf is when these prices were first read there.
	// +optional
	AsOf *metav1.Time `json:"asOf,omitempty"`
}

// CostComponent is a part of a cost.
type CostComponent struct {
	// name of the part, such as a size or a disk.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// hourly amount, a decimal number, or unknown.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Hourly string `json:"hourly"`
}
