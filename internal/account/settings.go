package account

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/aws"
	"github.com/keelway/keelway/internal/provider/local/docker"
	"github.com/keelway/keelway/internal/provider/local/host"
	"github.com/keelway/keelway/internal/provider/upcloud"
	"github.com/keelway/keelway/internal/transport"
)

// shape translates what the API says of containers into the driver's words.
func shape(m *v1alpha1.DockerMachines) docker.Shape {
	if m == nil {
		return docker.Shape{}
	}
	s := docker.Shape{
		Image: m.Image, Command: m.Command, Environment: m.Environment, SecurityOptions: m.SecurityOptions,
		CgroupNamespace: strings.ToLower(string(m.CgroupNamespace)), Tmpfs: m.Tmpfs, Network: m.Network,
	}
	if m.Capabilities != nil {
		s.AddCapabilities, s.DropCapabilities = m.Capabilities.Add, m.Capabilities.Drop
	}
	for _, v := range m.Volumes {
		s.Volumes = append(s.Volumes, docker.Volume{Path: v.Path, HostPath: v.HostPath})
	}
	for _, p := range m.Ports {
		s.Ports = append(s.Ports, docker.Port{Container: uint16(p.Port), Host: uint16(p.HostPort)})
	}
	return s
}

// pool translates what the API says of hosts. Those whose keys nobody knows yet have none.
func pool(p *v1alpha1.Provider) host.Options {
	o := host.Options{Name: p.Namespace + "/" + p.Name, Secret: connect.SecretOf(p)}
	access := p.Spec.Access
	if access == nil {
		access = &v1alpha1.AccessPolicy{}
	}
	if j := access.Jump; j != nil {
		o.Jump = &transport.Hop{Host: j.Address, Port: j.Port, User: j.User, HostKeys: j.HostKeys}
	}
	for _, h := range p.Spec.Local.Hosts {
		user := cmp.Or(h.User, access.User, "root")
		o.Machines = append(o.Machines, host.Machine{
			Address: h.Address, Port: h.Port, User: user, Sudo: access.Become == v1alpha1.BecomeSudo && user != "root",
			Zone: h.Zone, ServiceAddress: h.ServiceAddress, HostKeys: connect.KnownHost(p, h),
		})
	}
	return o
}

// ofAWS translates what the API says of an AWS account. secret is nil where the operator's own credentials count.
func (o *Opener) ofAWS(p *v1alpha1.Provider, secret map[string][]byte) (aws.Options, error) {
	section := p.Spec.AWS
	if section == nil {
		return aws.Options{}, fault.New(fault.Terminal, fault.ReasonInvalid, "type AWS needs the section aws")
	}
	out := aws.Options{
		Region: section.Region, Endpoint: section.Endpoint, Spot: section.Capacity == v1alpha1.CapacitySpot,
		Transport: o.simulated(section.Endpoint),
	}
	if p.Spec.Credentials == nil && !slices.Contains(o.AmbientNamespaces, p.Namespace) && !slices.Contains(o.AmbientNamespaces, "*") {
		return aws.Options{}, fault.New(fault.Terminal, fault.ReasonNotAllowed,
			"credentials: there are none, and Providers of namespace %s may not act with the operator's own: name a Secret, or start the operator with --aws-ambient-namespaces=%[1]s", p.Namespace)
	}
	if p.Spec.Credentials == nil && !provider.NamedEndpoint(section.Endpoint, o.EndpointAllow) { // it would get the token of web identity itself
		return aws.Options{}, fault.New(fault.Terminal, fault.ReasonNotAllowed,
			"credentials: there are none, and the operator's own go to no endpoint that the installation does not name: name a Secret, or start the operator with --endpoint-allow for %.128s", section.Endpoint)
	}
	if p.Spec.Credentials != nil {
		out.Credentials = aws.Credentials{AccessKeyID: text(secret, "accessKeyID"), SecretAccessKey: text(secret, "secretAccessKey"), SessionToken: text(secret, "sessionToken")}
		if out.Credentials.AccessKeyID == "" || out.Credentials.SecretAccessKey == "" {
			return aws.Options{}, lacks(p, "accessKeyID and secretAccessKey")
		}
	}
	if role := section.AssumeRole; role != nil {
		out.AssumeRole = &aws.AssumeRole{ARN: role.ARN, ExternalID: role.ExternalID}
	}
	if n := section.Network; n != nil {
		out.SubnetIDs, out.SecurityGroupIDs, out.SSHFrom = n.SubnetIDs, n.SecurityGroupIDs, n.SSHFrom
	}
	return out, nil
}

// ofUpCloud translates what the API says of an UpCloud account.
func (o *Opener) ofUpCloud(p *v1alpha1.Provider, secret map[string][]byte) (upcloud.Options, error) {
	section := p.Spec.UpCloud
	if section == nil {
		section = &v1alpha1.UpCloudProvider{}
	}
	out := upcloud.Options{
		Zone: section.Zone, Endpoint: section.Endpoint, ServerGroup: section.ServerGroup, Transport: o.simulated(section.Endpoint),
		Token: text(secret, "token"), Username: text(secret, "username"), Password: text(secret, "password"),
	}
	if out.Token == "" && (out.Username == "" || out.Password == "") {
		return upcloud.Options{}, lacks(p, "token, or username and password")
	}
	if out.Token != "" {
		out.Username, out.Password = "", ""
	}
	if p.Spec.Access != nil {
		out.User = p.Spec.Access.User
	}
	for _, r := range section.Firewall {
		out.Firewall = append(out.Firewall, upcloud.Rule{Protocol: strings.ToLower(string(r.Protocol)), From: r.From, FromPorts: r.FromPorts, Ports: r.Ports, Comment: r.Comment})
	}
	return out, nil
}

// simulated is the transport of machines of a cloud with an endpoint of its own: none that is real, where the installation says so.
func (o *Opener) simulated(endpoint string) string {
	if o.SimulateMachines && endpoint != "" {
		return transport.Script
	}
	return ""
}

// text is a value of a Secret without the line end that editors leave behind it.
func text(secret map[string][]byte, key string) string { return strings.TrimSpace(string(secret[key])) }

func lacks(p *v1alpha1.Provider, keys string) error {
	return fault.Waiting(fault.ReasonSecretNotFound, 0, "Secret %s lacks the credentials of type %s: it needs the keys %s", p.Spec.Credentials.SecretRef.Name, p.Spec.Type, keys)
}
