package v1alpha1

// CgroupNamespace says which cgroups a container sees.
// +kubebuilder:validation:Enum=Private;Host
type CgroupNamespace string

// DockerMachines says what the containers of the driver Docker are like. Every one has the label keelway.dev/installation.
type DockerMachines struct {
	// image of servers that name none, as the Engine has it: nothing is pulled.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Image string `json:"image,omitempty"`
	// command that the container runs; it has to stay. Absent: the image's own. /sbin/init where systemd shall run.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Command []string `json:"command,omitempty"`
	// environment of the container: container=docker for systemd. Not for secrets.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Environment map[string]string `json:"environment,omitempty"`
	// capabilities that the container has more or fewer than the Engine's default.
	// +optional
	Capabilities *ContainerCapabilities `json:"capabilities,omitempty"`
	// securityOptions such as seccomp=unconfined.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=253
	SecurityOptions []string `json:"securityOptions,omitempty"`
	// cgroupNamespace of the container. Absent: the Engine's default.
	// +optional
	CgroupNamespace CgroupNamespace `json:"cgroupNamespace,omitempty"`
	// tmpfs are directories of the container that are kept in memory.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^/[^:,]*$`
	// +kubebuilder:validation:items:MaxLength=253
	Tmpfs []string `json:"tmpfs,omitempty"`
	// volumes of the container. Those without hostPath are its own and are deleted with it.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=16
	Volumes []ContainerVolume `json:"volumes,omitempty"`
	// ports of the container that are published on 127.0.0.1.
	// +optional
	// +listType=map
	// +listMapKey=port
	// +kubebuilder:validation:MaxItems=32
	Ports []PublishedPort `json:"ports,omitempty"`
	// network that the container joins. Absent: the Engine's default bridge.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Network string `json:"network,omitempty"`
}

// ContainerCapabilities are Linux capabilities by name, as SYS_ADMIN, or ALL.
type ContainerCapabilities struct {
	// add capabilities.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[A-Z_]{1,40}$`
	Add []string `json:"add,omitempty"`
	// drop capabilities.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Pattern=`^[A-Z_]{1,40}$`
	Drop []string `json:"drop,omitempty"`
}

// ContainerVolume is a directory of a container that is not part of its image's layers.
type ContainerVolume struct {
	// path in the container.
	// +required
	// +kubebuilder:validation:Pattern=`^/[^:,]+$`
	// +kubebuilder:validation:MaxLength=253
	Path string `json:"path"`
	// hostPath is a directory of the Engine's machine to show there. Absent: a volume of the container's own.
	// +optional
	// +kubebuilder:validation:Pattern=`^/[^:,]*$`
	// +kubebuilder:validation:MaxLength=253
	HostPath string `json:"hostPath,omitempty"`
}

// PublishedPort is a TCP port of a container that the Engine's machine answers on 127.0.0.1.
type PublishedPort struct {
	// port in the container.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// hostPort on 127.0.0.1. Absent: a free one. A fixed one fits one server only.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	HostPort int32 `json:"hostPort,omitempty"`
}

// Host is one machine of the driver Host's pool.
type Host struct {
	// address of the host: an IP address or a DNS name.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`
	// +kubebuilder:validation:MaxLength=253
	Address string `json:"address"`
	// port of its SSH server.
	// +optional
	// +kubebuilder:default=22
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// user to log in as. Absent: that of spec.access.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	// +kubebuilder:validation:MaxLength=64
	User string `json:"user,omitempty"`
	// zone that Servers may ask for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Zone string `json:"zone,omitempty"`
	// serviceAddress that services on the host listen on and others find them at. Absent: address.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`
	// +kubebuilder:validation:MaxLength=253
	ServiceAddress string `json:"serviceAddress,omitempty"`
	// hostKeys that the host is known by, as lines "ssh-ed25519 AAAA…". Absent: those that it shows on first contact.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$`
	HostKeys []string `json:"hostKeys,omitempty"`
}

// Become says how a user who is not root gets root's rights.
// +kubebuilder:validation:Enum=None;Sudo
type Become string

const (
	BecomeNone Become = "None" // commands run as the user
	BecomeSudo Become = "Sudo" // commands run through sudo, which must not ask for a password
)

// AccessPolicy says how servers are reached over SSH.
type AccessPolicy struct {
	// user to log in as.
	// +optional
	// +kubebuilder:default=root
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	// +kubebuilder:validation:MaxLength=64
	User string `json:"user,omitempty"`
	// become root by sudo, where user is not root.
	// +optional
	// +kubebuilder:default=None
	Become Become `json:"become,omitempty"`
	// secretRef names the Secret with the private key under ssh-privatekey (type kubernetes.io/ssh-auth). It is made when it is
	// absent. Default: <name of the provider>-ssh.
	// +optional
	SecretRef *LocalRef `json:"secretRef,omitempty"`
	// jump is a host that connections go through, with the same key.
	// +optional
	Jump *JumpHost `json:"jump,omitempty"`
}

// JumpHost is an SSH server that forwards connections.
type JumpHost struct {
	// address of the jump host.
	// +required
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$`
	// +kubebuilder:validation:MaxLength=253
	Address string `json:"address"`
	// port of its SSH server.
	// +optional
	// +kubebuilder:default=22
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// user to log in as.
	// +optional
	// +kubebuilder:default=root
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_.-]*$`
	// +kubebuilder:validation:MaxLength=64
	User string `json:"user,omitempty"`
	// hostKeys that the jump host is known by: nobody is there to pin them on first contact.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$`
	HostKeys []string `json:"hostKeys"`
}
