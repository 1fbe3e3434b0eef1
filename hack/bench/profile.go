package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// profilesAddress is where the operator tells its profiles.
const profilesAddress = "127.0.0.9:18090"

// told are the arguments that make it tell them.
func (r *rig) told() []string {
	if r.profiles == "" {
		return nil
	}
	return []string{"--pprof-bind-address=" + profilesAddress}
}

// profileTime is how long a profile is at most: what comes later is not in it.
const profileTime = 20 * time.Second

// profile begins to take the CPU profiles of one load, and returns what waits for their end.
func (m *measurement) profile() (wait func()) {
	if m.rig.profiles == "" {
		return func() {}
	}
	var both sync.WaitGroup
	ctx, stop := context.WithTimeout(m.ctx, profileTime+time.Minute)
	seconds := strconv.Itoa(int(profileTime.Seconds()))
	both.Go(func() {
		data, err := m.rig.rest.Get().AbsPath("/debug/pprof/profile").Param("seconds", seconds).DoRaw(ctx)
		m.fail(m.keep("apiserver", data, err))
	})
	both.Go(func() {
		data, err := get(ctx, "http://"+profilesAddress+"/debug/pprof/profile?seconds="+seconds)
		m.fail(m.keep("operator", data, err))
	})
	return func() { both.Wait(); stop() }
}

func (m *measurement) keep(of string, data []byte, err error) error {
	if err != nil {
		return fmt.Errorf("profile of the %s: %w", of, err)
	}
	return os.WriteFile(filepath.Join(m.rig.profiles, m.load.name+"."+of+".pprof"), data, 0o644)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}
