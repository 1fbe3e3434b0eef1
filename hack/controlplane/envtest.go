package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// setupEnvtest is pinned: @latest would run whatever was published last.
const setupEnvtest = "sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1"

// envtestIndex is the list of what can be downloaded, the default of setup-envtest. A variable for the tests' sake only.
var envtestIndex = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"

const (
	probeTimeout    = 5 * time.Second
	downloadTimeout = 5 * time.Minute
	indexBytes      = 8 << 20
)

// download takes from setup-envtest what it has. Any failure only means that the rest is built, so it is told and not returned.
func (c cache) download(ctx context.Context, log io.Writer, assets *Assets) {
	var wanted []string
	for _, b := range assets.missing() {
		if b.envtest {
			wanted = append(wanted, b.name)
		}
	}
	if len(wanted) == 0 {
		return
	}
	release := strings.TrimPrefix(c.src.version, "v")
	if err := probeEnvtest(ctx, release); err != nil {
		say(log, "setup-envtest cannot help (%s): building instead", limit(err.Error(), 200))
		return
	}
	defer c.removeLeftovers()
	say(log, "downloading %s %s with setup-envtest", strings.Join(wanted, " and "), release)
	if err := c.useEnvtest(ctx, release, wanted); err != nil {
		say(log, "setup-envtest failed (%s): building instead", limit(err.Error(), 600))
	}
}

// probeEnvtest asks for the index itself, which is quicker than to compile setup-envtest and see it fail.
func probeEnvtest(ctx context.Context, release string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, envtestIndex, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		var withAddress *url.Error // long, and of no use to the reader
		if errors.As(err, &withAddress) {
			err = withAddress.Err
		}
		return fmt.Errorf("its list of releases cannot be read: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("its list of releases answers %s", answer.Status)
	}
	index, err := io.ReadAll(io.LimitReader(answer.Body, indexBytes))
	if err != nil {
		return fmt.Errorf("its list of releases cannot be read: %w", err)
	}
	if !strings.Contains(string(index), "v"+release+":") {
		return fmt.Errorf("it does not offer %s", release)
	}
	return nil
}

// useEnvtest runs setup-envtest, which verifies what it downloads, and copies the wanted binaries into the cache.
func (c cache) useEnvtest(ctx context.Context, release string, wanted []string) error {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", setupEnvtest, "use", release, "--print", "path",
		"--bin-dir", c.working("envtest"), "--index", envtestIndex)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := runBound(cmd); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaints.String()))
	}
	for _, name := range wanted {
		if err := c.adopt(filepath.Join(strings.TrimSpace(out.String()), name)); err != nil {
			return err
		}
	}
	return nil
}

// adopt copies a finished binary into the cache.
func (c cache) adopt(path string) error {
	name := filepath.Base(path)
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(c.working(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(c.working(name), filepath.Join(c.bin, name))
}
