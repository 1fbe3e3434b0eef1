package docker_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/docker"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

func TestRealContainer(t *testing.T) {
	if os.Getenv("KEELWAY_REAL") == "" {
		t.Skip("x")
	}
	out, err := exec.Command("docker", "run", "-d", "--rm", "kw-debian:12", "sleep", "1000").CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
	id := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", id).Run() })
	engine, err := docker.NewEngine("unix:///var/run/docker.sock")
	if err != nil {
		t.Fatal(err)
	}
	transporttest.Run(t, func(t *testing.T) transport.Transport {
		tr, err := engine.Open(id)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	})
}
