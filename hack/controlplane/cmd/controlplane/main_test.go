package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUp runs a real control plane from its ready file to its end.
func TestUp(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready := filepath.Join(t.TempDir(), "ready")
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--no-fsync", "--no-controller-manager", "--ready-file", ready})
	}()

	kubeconfig := ""
	for kubeconfig == "" {
		select {
		case err := <-ended:
			t.Fatalf("ended before it was ready: %v", err)
		case <-time.After(50 * time.Millisecond):
			text, _ := os.ReadFile(ready) // absent until ready
			kubeconfig = strings.TrimSpace(string(text))
		}
	}
	if _, err := os.Stat(kubeconfig); err != nil {
		t.Errorf("the ready file names no kubeconfig: %v", err)
	}
	cancel() // as SIGTERM does
	if err := <-ended; err != nil {
		t.Errorf("being asked to end is success, got %v", err)
	}
	for _, path := range []string{ready, filepath.Dir(kubeconfig)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", path, err)
		}
	}
}

func TestUsage(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
	}{
		"nothing": {"there is no default deed", nil},
		"unknown": {"a typing error must not start anything", []string{"upp"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := run(context.Background(), tc.args); !errors.Is(err, flag.ErrHelp) {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}
