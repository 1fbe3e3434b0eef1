package main

import (
	"cmp"
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/connect"
	"github.com/keelway/keelway/internal/provider/local/docker"
	"github.com/keelway/keelway/internal/provider/local/host"
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
