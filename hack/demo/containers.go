package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/debian"
)

// containers are real Debian servers with systemd, in containers of a Docker Engine.
type containers struct {
	home         string
	image        string
	engine       *debian.Engine
	installation string
	asked        map[string]answer // of daemon, for a moment: asking is not free
}

type answer struct {
	said string
	at   time.Time
}

// label finds our containers. It is kept in a file too, for the guard that clears up when we cannot.
const (
	installationLabel = "keelway.dev/installation"
	labelFile         = "containers"
)

func (c *containers) prepare(ctx context.Context, log io.Writer) (err error) {
	file, err := os.OpenFile(filepath.Join(c.home, "dockerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if c.engine, err = debian.StartEngine(ctx, file); err != nil {
		return err
	}
	c.image, err = debian.Image(ctx, log)
	return err
}

func (c *containers) settle(installation string) error {
	c.installation = installation
	return os.WriteFile(filepath.Join(c.home, labelFile), []byte(installation), 0o600)
}

func (c *containers) introduction() string {
	return "The servers are Debian 12 with systemd, in containers of the Docker Engine on this machine (driver Docker). At the end all is torn down."
}

// mirrorHost is the address of this machine on the Engine's bridge.
func (c *containers) mirrorHost(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`).Output()
	if err != nil {
		return "", fmt.Errorf("asking the Docker Engine for its bridge: %w", err)
	}
	bridge, err := net.InterfaceByName(strings.TrimSpace(string(out)))
	if err != nil {
		return "", fmt.Errorf("the Docker Engine's bridge %q is not on this machine: %w", strings.TrimSpace(string(out)), err)
	}
	addresses, err := bridge.Addrs()
	for _, a := range addresses {
		if prefix, perr := netip.ParsePrefix(a.String()); perr == nil && prefix.Addr().Is4() {
			return prefix.Addr().String(), nil
		}
	}
	return "", errors.Join(fmt.Errorf("the Docker Engine's bridge %s has no address", bridge.Name), err)
}

func (c *containers) flags() []string { return []string{"--local-drivers=Docker"} }

func (c *containers) provider(string) (string, error) {
	s := debian.Shape
	shape := &v1alpha1.DockerMachines{
		Image: c.image, Command: s.Command, Environment: s.Environment, SecurityOptions: s.SecurityOptions, CgroupNamespace: "Host", Tmpfs: s.Tmpfs,
		Capabilities: &v1alpha1.ContainerCapabilities{Add: s.AddCapabilities, Drop: s.DropCapabilities},
	}
	for path, source := range s.Volumes {
		shape.Volumes = append(shape.Volumes, v1alpha1.ContainerVolume{Path: path, HostPath: source})
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Provider", "metadata": map[string]any{"name": demoName},
		"spec": v1alpha1.ProviderSpec{Type: v1alpha1.ProviderLocal, Local: &v1alpha1.LocalProvider{Driver: v1alpha1.DriverDocker, Docker: shape}, Limits: v1alpha1.ProviderLimits{MaxInFlight: 20}},
	})
	return string(text), err
}

func (c *containers) homes() []string { return containersOf(c.installation) }

func containersOf(installation string) []string {
	if installation == "" {
		return nil
	}
	out, _ := exec.Command("docker", "ps", "-a", "-q", "--no-trunc", "--filter", "label="+installationLabel+"="+installation).Output()
	return strings.Fields(string(out))
}

func (c *containers) noun() string { return "containers" }

// residents are the processes of etcd: a container is full of others, which are its own business.
func (c *containers) residents() (found []resident) {
	for _, id := range c.homes() {
		out, err := exec.Command("docker", "top", id, "-o", "pid,comm").Output()
		if err != nil {
			continue // it does not run any more
		}
		for text := range strings.Lines(string(out)) {
			fields := strings.Fields(text)
			if len(fields) == 2 && fields[1] == "etcd" {
				pid, _ := strconv.Atoi(fields[0])
				found = append(found, resident{pid: pid, server: id, name: "etcd"})
			}
		}
	}
	return found
}

// daemon asks systemd on the server which etcd it runs, at most every second.
func (c *containers) daemon(access *v1alpha1.ServerAccess) string {
	known, ok := c.asked[access.Target]
	if ok && time.Since(known.at) < time.Second {
		return known.said
	}
	if c.asked == nil {
		c.asked = map[string]answer{}
	}
	out, _ := exec.Command("docker", "exec", access.Target, "systemctl", "show", "etcd", "--property=MainPID", "--property=ExecMainStartTimestampMonotonic", "--value").Output()
	fields := strings.Fields(string(out))
	said := ""
	if len(fields) == 2 && fields[0] != "0" && fields[1] != "0" {
		said = fmt.Sprintf("pid %s (started at %s µs)", fields[0], fields[1])
	}
	c.asked[access.Target] = answer{said, time.Now()}
	return said
}

func (c *containers) tour() string { return "docker ps --filter label=" + installationLabel }

func (c *containers) clear() error {
	err := clearContainers(c.home)
	if c.engine != nil {
		c.engine.Stop()
	}
	return err
}

// clearContainers removes the containers of the demo in that directory. It is a no-op where none were made.
func clearContainers(home string) error {
	installation, err := os.ReadFile(filepath.Join(home, labelFile))
	if err != nil {
		return nil
	}
	left := containersOf(string(installation))
	for _, id := range left {
		_ = exec.Command("docker", "rm", "-f", "-v", id).Run()
	}
	if left = containersOf(string(installation)); len(left) > 0 {
		return errors.New("containers of the demo cannot be removed: " + strings.Join(left, ", "))
	}
	return nil
}
