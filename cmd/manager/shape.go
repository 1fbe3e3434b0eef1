package main

import (
	"strings"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/provider/local/docker"
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
