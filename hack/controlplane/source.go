package controlplane

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// binariesModule is where the Go module with the binaries' versions lies in a checkout. It is read and not embedded, since
// Go refuses to embed files of another module.
const binariesModule = "hack/controlplane/binaries"

// source is the pinned source of the binaries.
type source struct {
	dir     string // of the binaries' Go module
	version string // of Kubernetes, such as v1.37.2
	digest  string // of everything that decides what comes out of a build
}

// findSource looks for the binaries' Go module from the working directory upwards.
func findSource() (source, error) {
	at, err := os.Getwd()
	if err != nil {
		return source{}, fmt.Errorf("looking for %s: %w", binariesModule, err)
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, filepath.FromSlash(binariesModule))
		mod, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
		if err == nil {
			return readSource(candidate, mod)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return source{}, fmt.Errorf("reading the binaries' versions: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return source{}, fmt.Errorf("no %s/go.mod above %s: run this inside a checkout of keelway, or set KUBEBUILDER_ASSETS "+
				"to a directory with etcd, etcdctl, kube-apiserver, kube-controller-manager and kubectl", binariesModule, at)
		}
	}
}

// readSource takes the version and the digest from the module file, the only place that names versions.
func readSource(dir string, mod []byte) (source, error) {
	s := source{dir: dir}
	for line := range bytes.Lines(mod) {
		fields := strings.Fields(strings.TrimPrefix(string(line), "require "))
		if len(fields) >= 2 && fields[0] == "k8s.io/kubernetes" && strings.Count(fields[1], ".") >= 2 {
			s.version = fields[1]
		}
	}
	if s.version == "" {
		return source{}, fmt.Errorf("%s/go.mod does not require k8s.io/kubernetes", dir)
	}
	sum := sha256.New()
	for _, part := range [][]byte{mod, []byte(runtime.GOOS), []byte(runtime.GOARCH), []byte(s.ldflags())} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))[:12]
	return s, nil
}

// ldflags are what Kubernetes' own build sets: without them every binary says that it is v0.0.0, and clients mistrust it. The
// second package is what programs call themselves in requests, and so in the audit log.
func (s source) ldflags() string {
	parts := strings.SplitN(strings.TrimPrefix(s.version, "v"), ".", 3)
	flags := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, s.version, parts[0], parts[1])
	}
	return flags
}
