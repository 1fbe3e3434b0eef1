package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeletionPolicy says what becomes of the machine when its Server is deleted.
// +kubebuilder:validation:Enum=Delete;Orphan
type DeletionPolicy string

const (
	// DeletionDelete ends the machine with its Server.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionOrphan leaves the machine running; status.id said which it is.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// ServerPhase is a Server's state in one word, derived from its conditions.
type ServerPhase string

const (
	ServerPending  ServerPhase = "Pending"  // nothing was asked of the provider yet
	ServerCreating ServerPhase = "Creating" // the provider makes the machine
	ServerBooting  ServerPhase = "Booting"  // the machine runs and does not answer yet
	ServerReady    ServerPhase = "Ready"
	ServerDeleting ServerPhase = "Deleting"
	ServerFailed   ServerPhase = "Failed"
)

// ServerSpec is one machine. What a machine is made of cannot be changed: make another Server.
// +kubebuilder:validation:XValidation:rule="self.providerRef == oldSelf.providerRef",message="providerRef cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.size) == has(oldSelf.size) && (!has(self.size) || self.size == oldSelf.size)",message="size cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.zone) == has(oldSelf.zone) && (!has(self.zone) || self.zone == oldSelf.zone)",message="zone cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.image) == has(oldSelf.image) && (!has(self.image) || self.image == oldSelf.image)",message="image cannot be changed: make another Server"
type ServerSpec struct {
	ServerShape `json:",inline"`

	// deletionPolicy says what becomes of the machine when this object is deleted.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

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
}

// ServerAddress is one network address of a machine.
type ServerAddress struct {
	// type of the address: PublicIPv4, PublicIPv6, PrivateIPv4 or LoopbackIP.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Type string `json:"type"`
	// address in its usual form.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Address string `json:"address"`
}

// ServerAccess says how a machine is reached. The provider's side publishes it; nobody downstream asks for the provider's type.
type ServerAccess struct {
	// transport that reaches the machine: Process, Script, Docker or SSH.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Transport string `json:"transport"`
	// target within the transport.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target,omitempty"`
	// address that the machine's services listen on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Address string `json:"address,omitempty"`
	// host that SSH connects to. Absent: address.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
	// port of the SSH server.
	// +optional
	Port int32 `json:"port,omitempty"`
	// user to log in as.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	User string `json:"user,omitempty"`
	// become root by sudo.
	// +optional
	Become Become `json:"become,omitempty"`
	// secretRef names the Secret with the SSH key.
	// +optional
	SecretRef *LocalRef `json:"secretRef,omitempty"`
	// hostKeys that the provider knows the machine by, before anybody talked to it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	HostKeys []string `json:"hostKeys,omitempty"`
	// jump is a host that connections go through.
	// +optional
	Jump *JumpHost `json:"jump,omitempty"`
}

// ServerFacts are what the machine said of itself.
type ServerFacts struct {
	// os is the distribution's id, such as debian.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	OS string `json:"os,omitempty"`
	// osVersion is the distribution's version, such as 12.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	OSVersion string `json:"osVersion,omitempty"`
	// arch in Go's words: amd64, arm64.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Arch string `json:"arch,omitempty"`
	// cpus that the machine has.
	// +optional
	CPUs int32 `json:"cpus,omitempty"`
	// memoryMiB that the machine has.
	// +optional
	MemoryMiB int64 `json:"memoryMiB,omitempty"`
	// addresses of the machine's own interfaces, without loopback and link-local ones.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	Addresses []string `json:"addresses,omitempty"`
	// initSystem: systemd or none.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	InitSystem string `json:"initSystem,omitempty"`
	// packageManager: apt, dnf, apk or none.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	PackageManager string `json:"packageManager,omitempty"`
	// root says whether commands run with the rights to change the whole machine.
	// +optional
	Root bool `json:"root,omitempty"`
}

// ServerStatus is what was found. hostKeys, facts and the condition Reachable belong to the reach side, the rest to the provider's.
type ServerStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase in one word: Pending, Creating, Booting, Ready, Deleting or Failed.
	// +optional
	Phase ServerPhase `json:"phase,omitempty"`
	// id is the provider's own name for the machine. Once recorded it is never cleared or replaced.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id,omitempty"`
	// account that holds the machine.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Account string `json:"account,omitempty"`
	// attempt is the value of the annotation keelway.dev/attempt that this status answers.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`
	// addresses of the machine.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Addresses []ServerAddress `json:"addresses,omitempty"`
	// access says how the machine is reached.
	// +optional
	Access *ServerAccess `json:"access,omitempty"`
	// hostKeys that the machine is known by over SSH, one line an algorithm. They were known before or pinned on first contact.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	HostKeys []string `json:"hostKeys,omitempty"`
	// facts that the machine told.
	// +optional
	Facts *ServerFacts `json:"facts,omitempty"`
	// conditions: Ready, Provisioned, Reachable; Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Server is one machine.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ksrv,categories=keelway
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.providerRef.name`
// +kubebuilder:printcolumn:name="Size",type=string,JSONPath=`.spec.size`
// +kubebuilder:printcolumn:name="Zone",type=string,JSONPath=`.spec.zone`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.access.address`
// +kubebuilder:printcolumn:name="ID",type=string,priority=1,JSONPath=`.status.id`
// +kubebuilder:printcolumn:name="Image",type=string,priority=1,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Server struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec ServerSpec `json:"spec"`
	// status is what was found.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status ServerStatus `json:"status,omitempty"`
}

// ServerList is a list of Servers.
// +kubebuilder:object:root=true
type ServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Server `json:"items"`
}

// GetConditions returns status.conditions.
func (s *Server) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces status.conditions.
func (s *Server) SetConditions(c []metav1.Condition) { s.Status.Conditions = c }

// GetObservedGeneration returns status.observedGeneration.
func (s *Server) GetObservedGeneration() int64 { return s.Status.ObservedGeneration }

// SetObservedGeneration sets status.observedGeneration.
func (s *Server) SetObservedGeneration(g int64) { s.Status.ObservedGeneration = g }
