package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keelway/keelway/internal/fault"
)

// Node is one server of a service.
type Node struct {
	Name    string // DNS label of the server
	Address string // where its services listen and its peers find it: an IP address or a host name
	Facts   Facts
}

// Facts is what was found on a machine. The zero value of a field means that it is not known.
type Facts struct {
	OS         string // ID of os-release: debian, rocky
	OSVersion  string
	Arch       string // as Go names it: amd64, arm64
	CPUs       int
	MemoryMiB  int
	InitSystem string // systemd, or none
	Root       bool   // commands run as root there, and on the whole machine (never true on a Process server)
}

// families maps the ID of os-release to the family whose packages and paths it shares.
var families = map[string]string{
	"debian": "debian", "ubuntu": "debian", "raspbian": "debian",
	"rhel": "rhel", "rocky": "rhel", "almalinux": "rhel", "centos": "rhel", "fedora": "rhel", "ol": "rhel", "amzn": "rhel",
}

// Fits returns nil when the recipe can run on the machine, and otherwise a Terminal PlatformUnsuitable error that lists every need
// of the recipe that the machine does not meet, with what was found. Memory that is not known is not held against a machine.
func (r *Recipe) Fits(n Node) error {
	var lacks []string
	need := func(met bool, want, found string) {
		if !met {
			lacks = append(lacks, fmt.Sprintf("%s (found %s)", want, found))
		}
	}
	need(!r.Needs.Root || n.Facts.Root, "root", "an unprivileged user")
	need(r.Needs.InitSystem != "systemd" || n.Facts.InitSystem == "systemd", "init system systemd", known(n.Facts.InitSystem))
	need(n.Facts.MemoryMiB == 0 || n.Facts.MemoryMiB >= r.Needs.MemoryMiB,
		fmt.Sprintf("%d MiB of memory", r.Needs.MemoryMiB), fmt.Sprintf("%d MiB", n.Facts.MemoryMiB))
	need(r.runsOn(n.Facts.OS), "an operating system of family "+strings.Join(r.families(), " or "), known(n.Facts.OS))
	for _, artifact := range r.Artifacts {
		if artifact.SHA256 != nil {
			_, ok := artifact.SHA256[n.Facts.Arch]
			need(ok, "an architecture that artifact "+artifact.Name+" exists for", known(n.Facts.Arch))
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return fault.New(fault.Terminal, fault.ReasonPlatform, "server %s does not suit recipe %s: it needs %s; choose other servers or another recipe",
		n.Name, r.Name, strings.Join(lacks, ", "))
}

func (r *Recipe) families() []string {
	names := make([]string, 0, len(r.Platforms))
	for _, p := range r.Platforms {
		names = append(names, p.Family)
	}
	return names
}

func (r *Recipe) runsOn(os string) bool {
	names := r.families()
	return slices.Contains(names, "any") || slices.Contains(names, families[os])
}

func known(found string) string {
	if found == "" {
		return "nothing known"
	}
	return clip(found)
}
