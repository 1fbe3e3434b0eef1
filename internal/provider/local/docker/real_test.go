package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
	"github.com/keelway/keelway/internal/provider/local/docker"
	"github.com/keelway/keelway/internal/provider/providertest"
)

const (
	host  = "unix:///var/run/docker.sock"
	image = "keelway-sleeper:test"
)

// engine is the real one. An image of a single static program is enough here.
var engine = sync.OnceValues(func() (*client.Client, error) {
	c, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sleeper")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "sleeper")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n"), 0o600); err != nil {
		return nil, err
	}
	build := exec.Command("go", "build", "-o", binary, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, &os.PathError{Op: "building", Path: string(out), Err: err}
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	_ = w.WriteHeader(&tar.Header{Name: "sleeper", Mode: 0o755, Size: int64(len(program))})
	_, _ = w.Write(program)
	_ = w.Close()
	answer, err := c.ImageImport(context.Background(), client.ImageImportSource{Source: &archive, SourceName: "-"}, image, client.ImageImportOptions{Changes: []string{`CMD ["/sleeper"]`}})
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, answer)
	return c, err
})

func realEngine(t *testing.T) *client.Client {
	t.Helper()
	if !debian.Wanted() {
		t.Skip("SKIPPED: a real Docker Engine is for make test-real")
	}
	c, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// account is an installation's part of the Engine, emptied at the end.
func account(t *testing.T, installation string) *docker.Docker {
	t.Helper()
	d, err := docker.New(docker.Options{Host: host, Installation: installation})
	if err != nil {
		t.Fatal(err)
	}
	clear := func() {
		all, _ := d.List(context.Background(), provider.Owner{Installation: installation})
		for _, i := range all {
			_ = d.Delete(context.Background(), i.ID)
		}
	}
	clear()
	t.Cleanup(func() { clear(); _ = d.Close() })
	return d
}

func TestRealConformance(t *testing.T) {
	realEngine(t)
	providertest.Run(t, func(*testing.T) providertest.Subject {
		return providertest.Subject{
			Open: func(t *testing.T, installation string) provider.Provider {
				return account(t, installation).Shaped(docker.Shape{Image: image})
			},
			Pass:    func() { time.Sleep(10 * time.Millisecond) },
			Refused: map[string]provider.Machine{"size": {Size: "large"}, "zone": {Zone: "here"}, "image": {Image: "keelway-no-such-image:1"}},
			Can:     []providertest.Ability{providertest.Power},
		}
	})
}

func machine(name string) provider.Machine {
	return provider.Machine{Key: "key-" + name, Owner: provider.Owner{Installation: "real", Namespace: "team", Name: name, UID: "uid-" + name}}
}

// TestRealVolumes: the volumes that are a container's own go with it.
func TestRealVolumes(t *testing.T) {
	c := realEngine(t)
	p := account(t, "real").Shaped(docker.Shape{Image: image, Volumes: []docker.Volume{{Path: "/data"}}, Tmpfs: []string{"/run"}})
	count := func() int {
		all, err := c.VolumeList(t.Context(), client.VolumeListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return len(all.Items)
	}
	before := count()
	made, err := p.Create(t.Context(), machine("a"))
	if err != nil || made.State != provider.Running {
		t.Fatalf("%+v, %v", made, err)
	}
	if count() != before+1 {
		t.Fatal("it has no volume of its own")
	}
	if err := p.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if left := count(); left != before {
		t.Errorf("%d volumes are left behind", left-before)
	}
}

// TestRealTakenPort: a container that cannot start says why, and starts by itself once it can.
func TestRealTakenPort(t *testing.T) {
	realEngine(t)
	p := account(t, "real").Shaped(docker.Shape{Image: image, Ports: []docker.Port{{Container: 80, Host: 28080}}})
	first, err := p.Create(t.Context(), machine("a"))
	if err != nil || first.State != provider.Running {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := p.Create(t.Context(), machine("b"))
	if err != nil || second.State != provider.Pending || !bytes.Contains([]byte(second.Message), []byte("28080")) {
		t.Fatalf("%+v, %v", second, err)
	}
	if err := p.Delete(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if again, err := p.Get(t.Context(), second.ID); err == nil && again.State == provider.Running {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the port is free and it does not start")
}

// TestRealBadCommand: what never starts is Failed with the Engine's words, and can be removed.
func TestRealBadCommand(t *testing.T) {
	realEngine(t)
	p := account(t, "real").Shaped(docker.Shape{Image: image, Command: []string{"/no/such/program"}})
	made, err := p.Create(t.Context(), machine("a"))
	if err != nil || made.State != provider.Failed || !bytes.Contains([]byte(made.Message), []byte("/no/such/program")) {
		t.Fatalf("%+v, %v", made, err)
	}
	if err := p.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(t.Context(), made.ID); !fault.IsGone(err) {
		t.Error(err)
	}
}

// TestRealTorn: a maker that died between making and starting leaves a container that the next look starts; there is one.
func TestRealTorn(t *testing.T) {
	c := realEngine(t)
	d := account(t, "real")
	p := d.Shaped(docker.Shape{Image: image})
	made, err := p.Create(t.Context(), machine("a"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	torn, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: got.Container.Name[1:], Config: got.Container.Config, HostConfig: got.Container.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.List(t.Context(), provider.Owner{Installation: "real"})
	if err != nil || len(all) != 1 || all[0].ID != torn.ID || all[0].State != provider.Running {
		t.Fatalf("%+v, %v", all, err)
	}
	again, err := p.Create(t.Context(), machine("a"))
	if err != nil || again.ID != torn.ID {
		t.Fatalf("%+v, %v", again, err)
	}
}

func TestNoEngine(t *testing.T) {
	d, err := docker.New(docker.Options{Host: "unix:///nonexistent/docker.sock", Installation: "real"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Shaped(docker.Shape{Image: image}).Create(t.Context(), machine("a"))
	if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnreachable || !bytes.Contains([]byte(err.Error()), []byte("is it running?")) {
		t.Errorf("%v", err)
	}
}
