package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServerPhase is a Server's state in one word, derived from its conditions.
type ServerPhase string

const (
	ServerPending  ServerPhase = "Pending"  // nothing was asked of the provider yet
	ServerCreating ServerPhase = "Creating" // the provider makes the machine
	ServerBooting  ServerPhase = "Booting"  // the machine runs and does not answer yet
	ServerReady    ServerPhase = "Ready"
	ServerUpdating ServerPhase = "Updating" // a machine that ran is changed
	ServerStopped  ServerPhase = "Stopped"  // powered off, as wanted
	ServerDeleting ServerPhase = "Deleting"
	ServerFailed   ServerPhase = "Failed"
)

// ServerSpec is one machine.
// +kubebuilder:validation:XValidation:rule="self.providerRef == oldSelf.providerRef",message="providerRef cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.zone) == has(oldSelf.zone) && (!has(self.zone) || self.zone == oldSelf.zone)",message="zone cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.rootDisk) == has(oldSelf.rootDisk) && (!has(self.rootDisk) || self.rootDisk == oldSelf.rootDisk)",message="rootDisk cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.disks) == has(oldSelf.disks) && (!has(self.disks) || self.disks == oldSelf.disks)",message="disks cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.network) == has(oldSelf.network) && (!has(self.network) || self.network == oldSelf.network)",message="network cannot be changed: make another Server"
// +kubebuilder:validation:XValidation:rule="has(self.userDataFrom) == has(oldSelf.userDataFrom) && (!has(self.userDataFrom) || self.userDataFrom == oldSelf.userDataFrom)",message="userDataFrom cannot be changed: make another Server"
type ServerSpec struct {
	ServerShape    `json:",inline"`
	ServerPolicies `json:",inline"`

	// adopt takes a machine that exists already in place of making one. It is looked at only while status.id is empty.
	// +optional
	Adopt *Adoption `json:"adopt,omitempty"`
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
	// phase in one word: Pending, Creating, Booting, Ready, Updating, Stopped, Deleting or Failed.
	// +optional
	Phase ServerPhase `json:"phase,omitempty"`
	// id is the provider's own name for the machine. Once recorded only a replacement clears it.
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
	// launch is the request that makes the machine, written down before it is sent. Absent where the object's own key is enough.
	// +optional
	Launch *ServerLaunch `json:"launch,omitempty"`
	// applied is what the machine was made with or changed to. Another wish than this is a change; another machine than this drifted.
	// +optional
	Applied *ServerApplied `json:"applied,omitempty"`
	// labels are the keys of the labels that were written onto the machine, noted before they are: one that the object has no more is taken
	// off again, and one that somebody else wrote is not.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=317
	Labels []string `json:"labels,omitempty"`
	// replacing is the machine that ends to make room for another, until that one is recorded: a provider that lags may show it for a while.
	// +optional
	Replacing *ServerReplacement `json:"replacing,omitempty"`
	// cost of the machine as it is.
	// +optional
	Cost *ServerCost `json:"cost,omitempty"`
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
	// conditions: Ready, Provisioned, Reachable; Drifted, Reconciling and Stalled while they are True.
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
// +kubebuilder:printcolumn:name="Cost/mo",type=string,JSONPath=`.status.cost.monthly`
// +kubebuilder:printcolumn:name="ID",type=string,priority=1,JSONPath=`.status.id`
// +kubebuilder:printcolumn:name="Image",type=string,priority=1,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Drifted",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Drifted")].status`
// +kubebuilder:printcolumn:name="Protected",type=string,priority=1,JSONPath=`.spec.deletionProtection`
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
