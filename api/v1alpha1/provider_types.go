package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ProviderType is the kind of place that machines come from.
// +kubebuilder:validation:Enum=AWS;UpCloud;Local
type ProviderType string

const (
	// ProviderAWS makes EC2 instances.
	ProviderAWS ProviderType = "AWS"
	// ProviderUpCloud makes servers of UpCloud.
	ProviderUpCloud ProviderType = "UpCloud"
	// ProviderLocal makes machines on the host that the operator runs on, or takes them from a pool.
	ProviderLocal ProviderType = "Local"
)

// LocalDriver says how a local machine is made.
// +kubebuilder:validation:Enum=Process;Memory;Docker;Host
type LocalDriver string

const (
	// DriverProcess makes a private directory and an own loopback address of a machine and runs commands there as the
	// operator's own user. It isolates nothing: for demos and tests on a machine that you trust.
	DriverProcess LocalDriver = "Process"
	// DriverMemory simulates machines that exist only in memory: for tests, benchmarks and trying out workflows.
	DriverMemory LocalDriver = "Memory"
	// DriverDocker makes a container of a Docker Engine a machine.
	DriverDocker LocalDriver = "Docker"
	// DriverHost takes machines that exist already, reached over SSH, out of the pool in local.hosts and gives them back.
	DriverHost LocalDriver = "Host"
)

// LocalProvider configures type Local.
// +kubebuilder:validation:XValidation:rule="self.driver == oldSelf.driver && has(self.endpoint) == has(oldSelf.endpoint) && (!has(self.endpoint) || self.endpoint == oldSelf.endpoint)",message="driver and endpoint cannot be changed: make another Provider"
// +kubebuilder:validation:XValidation:rule="!has(self.endpoint) || self.driver == 'Memory'",message="endpoint is only for the driver Memory"
// +kubebuilder:validation:XValidation:rule="!has(self.docker) || self.driver == 'Docker'",message="docker is only for the driver Docker"
// +kubebuilder:validation:XValidation:rule="has(self.hosts) == (self.driver == 'Host')",message="hosts is needed by the driver Host and only there"
type LocalProvider struct {
	// driver says how machines are made. The installation must admit it (--local-drivers).
	// +required
	Driver LocalDriver `json:"driver"`
	// endpoint of a simulated cloud that runs in another process; a loopback HTTP URL. Absent: in the operator's own memory.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^http://127\.[0-9.]+:[0-9]+$`
	Endpoint string `json:"endpoint,omitempty"`
	// docker says what containers of the driver Docker are like. A change is for servers made later.
	// +optional
	Docker *DockerMachines `json:"docker,omitempty"`
	// hosts is the pool of the driver Host. A host that carries a server must not be taken out of the list.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Hosts []Host `json:"hosts,omitempty"`
}

// ProviderLimits bound what is asked of the account at once.
type ProviderLimits struct {
	// maxInFlight is how many machines may be in the making at once.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxInFlight int32 `json:"maxInFlight,omitempty"`
	// requestsPerSecond is the most requests that the account is sent. Absent: 20 for AWS, 10 for UpCloud. Fewer are sent while the
	// cloud itself asks for that.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`
}

// Mirror replaces the beginning of a download's address.
type Mirror struct {
	// prefix of addresses that are rewritten; the longest one that matches wins.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Prefix string `json:"prefix"`
	// url that takes the place of the prefix.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^(https?|file)://`
	URL string `json:"url"`
}

// ProviderSpec says where machines come from.
// +kubebuilder:validation:XValidation:rule="(self.type == 'Local') == has(self.local) && (self.type == 'AWS') == has(self.aws) && (self.type == 'UpCloud' || !has(self.upCloud))",message="type Local needs the section local and type AWS the section aws, and there is none of another type"
// +kubebuilder:validation:XValidation:rule="self.type != 'UpCloud' || has(self.credentials)",message="type UpCloud needs credentials"
// +kubebuilder:validation:XValidation:rule="self.type != 'Local' || !has(self.credentials)",message="type Local has no credentials"
// +kubebuilder:validation:XValidation:rule="self.type != 'Local' || !has(self.limits) || !has(self.limits.requestsPerSecond)",message="type Local has no limits.requestsPerSecond: nothing is sent to a cloud"
type ProviderSpec struct {
	// type of the provider. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="type cannot be changed: make another Provider"
	Type ProviderType `json:"type"`
	// credentials of the account. Absent with type AWS: those of the operator itself, from its environment, shared files, web identity
	// or machine, in the namespaces that the installation admits (--aws-ambient-namespaces).
	// +optional
	Credentials *Credentials `json:"credentials,omitempty"`
	// aws configures type AWS.
	// +optional
	AWS *AWSProvider `json:"aws,omitempty"`
	// upCloud configures type UpCloud.
	// +optional
	UpCloud *UpCloudProvider `json:"upCloud,omitempty"`
	// local configures type Local.
	// +optional
	Local *LocalProvider `json:"local,omitempty"`
	// limits of the account. Providers that reach the same account share them; the smallest one holds.
	// +optional
	// +kubebuilder:default={}
	Limits ProviderLimits `json:"limits,omitzero"`
	// access says how servers of this provider are reached over SSH.
	// +optional
	Access *AccessPolicy `json:"access,omitempty"`
	// mirrors for the downloads of recipes on this provider's servers.
	// +optional
	// +listType=map
	// +listMapKey=prefix
	// +kubebuilder:validation:MaxItems=32
	Mirrors []Mirror `json:"mirrors,omitempty"`
}

// ProviderStatus is what was found.
type ProviderStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// account that the provider turned out to reach.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Account string `json:"account,omitempty"`
	// location of the account, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Location string `json:"location,omitempty"`
	// publicKey is the public half of the SSH key that servers of this provider are reached with, as a line of authorized_keys.
	// Absent where no SSH is used.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	PublicKey string `json:"publicKey,omitempty"`
	// hosts of the driver Host with the keys that they showed on first contact, where spec.local.hosts names none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Hosts []KnownHost `json:"hosts,omitempty"`
	// orphans are machines at the account that carry this installation's labels and belong to no Server. They are reported and left alone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Orphans []Orphan `json:"orphans,omitempty"`
	// servers is the number of Servers that refer to this provider.
	// +optional
	Servers int32 `json:"servers"`
	// conditions: Ready; Reconciling and Stalled while they are True.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Orphan is a machine that belongs to no Server.
type Orphan struct {
	// id of the machine at the provider.
	// +required
	// +kubebuilder:validation:MaxLength=128
	ID string `json:"id"`
	// server that it was made for, as namespace/name.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Server string `json:"server,omitempty"`
	// size of the machine.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Size string `json:"size,omitempty"`
	// createdAt is when it was made.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`
}

// KnownHost is a host with the keys that it is known by.
type KnownHost struct {
	// address of the host.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Address string `json:"address"`
	// port of its SSH server.
	// +optional
	Port int32 `json:"port,omitempty"`
	// hostKeys that it is known by, one line an algorithm.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	HostKeys []string `json:"hostKeys,omitempty"`
}

// Provider is a place that machines come from.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=kprov,categories=keelway
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Location",type=string,JSONPath=`.status.location`
// +kubebuilder:printcolumn:name="Servers",type=integer,JSONPath=`.status.servers`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Provider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec ProviderSpec `json:"spec"`
	// status is what was found.
	// +optional
	// +kubebuilder:default={observedGeneration:-1,servers:0}
	Status ProviderStatus `json:"status,omitempty"`
}

// ProviderList is a list of Providers.
// +kubebuilder:object:root=true
type ProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Provider `json:"items"`
}

// GetConditions returns status.conditions.
func (p *Provider) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions replaces status.conditions.
func (p *Provider) SetConditions(c []metav1.Condition) { p.Status.Conditions = c }

// GetObservedGeneration returns status.observedGeneration.
func (p *Provider) GetObservedGeneration() int64 { return p.Status.ObservedGeneration }

// SetObservedGeneration sets status.observedGeneration.
func (p *Provider) SetObservedGeneration(g int64) { p.Status.ObservedGeneration = g }
