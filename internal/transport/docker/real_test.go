package docker_test

import (
	"testing"

	"github.com/keelway/keelway/hack/debian"
	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/transport"
	"github.com/keelway/keelway/internal/transport/docker"
	"github.com/keelway/keelway/internal/transport/transporttest"
)

const host = "unix:///var/run/docker.sock"

func TestRealContainer(t *testing.T) {
	machine := debian.Start(t)
	engine, err := docker.NewEngine(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	open := func(t *testing.T) transport.Transport {
		tr, err := engine.Open(machine.ID)
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	transporttest.Run(t, open)
	t.Run("true facts", func(t *testing.T) {
		facts, err := transport.ReadFacts(t.Context(), open(t))
		if err != nil || facts.InitSystem != "systemd" || facts.PackageManager != "apt" || facts.OS != "debian" || facts.OSVersion != "12" || !facts.Root {
			t.Errorf("%+v, %v", facts, err)
		}
	})
	t.Run("paused", func(t *testing.T) {
		machine.Pause(t)
		_, err := open(t).Exec(t.Context(), transport.Command{Argv: []string{"true"}})
		machine.Unpause(t)
		if fault.ClassOf(err) != fault.Retry || fault.ReasonOf(err) != fault.ReasonUnreachable {
			t.Errorf("%v", err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		machine.Kill(t)
		_, err := open(t).Exec(t.Context(), transport.Command{Argv: []string{"true"}})
		if fault.ReasonOf(err) != fault.ReasonUnreachable {
			t.Errorf("%v", err)
		}
	})
	t.Run("never there", func(t *testing.T) {
		tr, err := engine.Open("0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"true"}}); !fault.IsGone(err) {
			t.Errorf("%v", err)
		}
	})
}

func TestNoEngine(t *testing.T) {
	engine, err := docker.NewEngine("unix:///nonexistent/docker.sock")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := engine.Open("0123")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Exec(t.Context(), transport.Command{Argv: []string{"true"}}); fault.ReasonOf(err) != fault.ReasonUnreachable || fault.ClassOf(err) != fault.Retry {
		t.Errorf("%v", err)
	}
}
