package controlplane

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func sh(t *testing.T, script string) *process {
	t.Helper()
	p, err := launch("script", "/bin/sh", []string{"-c", script}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(0) })
	return p
}

func TestStopInsists(t *testing.T) {
	p := sh(t, `trap "" TERM; echo deaf; exec sleep 600`)
	waitFor(t, "the script to ignore SIGTERM", func() error {
		if tail(p.logPath, 0) != "deaf" {
			return errors.New("not yet")
		}
		return nil
	})
	start := time.Now()
	p.stop(100 * time.Millisecond)
	if p.alive() {
		t.Error("alive after stop")
	}
	if took := time.Since(start); took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("stopping took %s, want the grace and little more", took)
	}
	p.stop(time.Hour) // a second time: at once
}

func TestFailureQuotesTheEndOfTheLog(t *testing.T) {
	dir := t.TempDir()
	for _, word := range []string{"earlier", "later"} {
		script := fmt.Sprintf(`for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do echo %s $i; done; exit 3`, word)
		p, err := launch("script", "/bin/sh", []string{"-c", script}, dir)
		if err != nil {
			t.Fatal(err)
		}
		<-p.done
		text := p.ended().Error()
		if !strings.Contains(text, "exit status 3") || !strings.Contains(text, word+" 17") || strings.Contains(text, word+" 1\n") {
			t.Errorf("want the exit status and the last lines, got %s", text)
		}
		if word == "later" && strings.Contains(text, "earlier") {
			t.Errorf("the log of an earlier run is quoted: %s", text)
		}
	}
}

func TestEnvironmentIsBare(t *testing.T) {
	t.Setenv("ETCD_NAME", "taken as a flag by etcd")
	p := sh(t, "env")
	<-p.done
	if text := tail(p.logPath, 0); strings.Contains(text, "ETCD_NAME") || !strings.Contains(text, "PATH=") {
		t.Errorf("the environment of a component is\n%s", text)
	}
}

func TestPortTaken(t *testing.T) {
	p := sh(t, `echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1`)
	<-p.done
	if !portTaken(fmt.Errorf("starting: %w", p.ended())) {
		t.Error("a taken port is not recognised")
	}
	if portTaken(errors.New("address already in use")) {
		t.Error("the error of something else is taken for a component's")
	}
}

func TestLaunchOfNothing(t *testing.T) {
	if _, err := launch("script", "/nonexistent/program", nil, t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("want the system's error, got %v", err)
	}
}

// waitFor polls until check passes, for what happens soon but not at once.
func waitFor(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
