package v1alpha1

// Credentials say where the credentials of a cloud's account are.
type Credentials struct {
	// secretRef names a Secret. UpCloud: its key token, or username and password. AWS: accessKeyID, secretAccessKey and, for temporary
	// credentials, sessionToken.
	// +required
	SecretRef LocalRef `json:"secretRef"`
}

// AWSProvider configures type AWS: one account in one region.
// +kubebuilder:validation:XValidation:rule="self.region == oldSelf.region && has(self.endpoint) == has(oldSelf.endpoint) && (!has(self.endpoint) || self.endpoint == oldSelf.endpoint)",message="region and endpoint cannot be changed: make another Provider"
type AWSProvider struct {
	// region such as eu-west-1.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`
	// +kubebuilder:validation:MaxLength=32
	Region string `json:"region"`
	// endpoint of all AWS services at once, for private clouds and tests. The installation must admit addresses of its own machine and
	// network, and plain http (--endpoint-allow). Absent: AWS's own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Endpoint string `json:"endpoint,omitempty"`
	// assumeRole is taken on by means of the credentials.
	// +optional
	AssumeRole *AssumeRole `json:"assumeRole,omitempty"`
	// network of machines.
	// +optional
	Network *AWSNetwork `json:"network,omitempty"`
	// capacity that new machines are: OnDemand, or Spot, which AWS may end at any time.
	// +optional
	// +kubebuilder:default=OnDemand
	Capacity Capacity `json:"capacity,omitempty"`
}

// Capacity is how machines of AWS are paid for.
// +kubebuilder:validation:Enum=OnDemand;Spot
type Capacity string

const (
	CapacityOnDemand Capacity = "OnDemand"
	CapacitySpot     Capacity = "Spot"
)

// AssumeRole is an IAM role to act as.
type AssumeRole struct {
	// arn of the role.
	// +required
	// +kubebuilder:validation:Pattern=`^arn:[a-z-]+:iam::[0-9]{12}:role/.+$`
	// +kubebuilder:validation:MaxLength=512
	ARN string `json:"arn"`
	// externalID that the role's trust policy asks for.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=1224
	ExternalID string `json:"externalID,omitempty"`
}

// AWSNetwork is where machines of AWS are attached.
// +kubebuilder:validation:XValidation:rule="!has(self.sshFrom) || !has(self.securityGroupIDs)",message="sshFrom is for a security group that Keelway makes: with securityGroupIDs leave it out"
type AWSNetwork struct {
	// subnetIDs for machines that name no private network: each gets the first one that is in its zone, and the first of all where it
	// names no zone. Absent: a subnet of the default VPC in the machine's zone.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^subnet-[0-9a-f]+$`
	// +kubebuilder:validation:items:MaxLength=64
	SubnetIDs []string `json:"subnetIDs,omitempty"`
	// securityGroupIDs of every machine. Absent: one that Keelway makes where sshFrom is given, else the VPC's default group.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^sg-[0-9a-f]+$`
	// +kubebuilder:validation:items:MaxLength=64
	SecurityGroupIDs []string `json:"securityGroupIDs,omitempty"`
	// sshFrom are networks, as 192.0.2.0/24, that may reach SSH: Keelway makes a security group that lets them in, and nobody else.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=64
	SSHFrom []string `json:"sshFrom,omitempty"`
}

// UpCloudProvider configures type UpCloud.
// +kubebuilder:validation:XValidation:rule="has(self.endpoint) == has(oldSelf.endpoint) && (!has(self.endpoint) || self.endpoint == oldSelf.endpoint)",message="endpoint cannot be changed: make another Provider"
type UpCloudProvider struct {
	// zone of Servers that name none, such as fi-hel1.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9-]+$`
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// endpoint of the API, for tests. The installation must admit addresses of its own machine and network, and plain http
	// (--endpoint-allow). Absent: UpCloud's own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Endpoint string `json:"endpoint,omitempty"`
	// serverGroup is the UUID of a server group that new machines join, so that they stand on different hosts.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	// +kubebuilder:validation:MaxLength=36
	ServerGroup string `json:"serverGroup,omitempty"`
	// firewall lets through to new machines what these rules name and nothing else. Absent: their firewall is off.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	Firewall []FirewallRule `json:"firewall,omitempty"`
}

// FirewallRule lets connections through to a machine.
type FirewallRule struct {
	// protocol: TCP, UDP or ICMP. Absent: any.
	// +optional
	Protocol FirewallProtocol `json:"protocol,omitempty"`
	// from an address, or a network as 192.0.2.0/24. Absent: anywhere.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	From string `json:"from,omitempty"`
	// fromPorts at the other end, as 53: for the answers of name servers and the like. Absent: any.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9]{1,5}(-[0-9]{1,5})?$`
	// +kubebuilder:validation:MaxLength=11
	FromPorts string `json:"fromPorts,omitempty"`
	// ports of the machine, as 22 or 8000-8100. Absent: all.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9]{1,5}(-[0-9]{1,5})?$`
	// +kubebuilder:validation:MaxLength=11
	Ports string `json:"ports,omitempty"`
	// comment for people.
	// +optional
	// +kubebuilder:validation:MaxLength=250
	Comment string `json:"comment,omitempty"`
}

// FirewallProtocol is what a firewall rule speaks of.
// +kubebuilder:validation:Enum=TCP;UDP;ICMP
type FirewallProtocol string
