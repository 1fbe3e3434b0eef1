package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/fakecloud/ec2"
	"github.com/keelway/keelway/hack/fakecloud/upcloud"
	"github.com/keelway/keelway/internal/provider/mem"
)

// speed is how much faster the clouds' time runs than ours.
const speed = 10

// sky is the simulated clouds, served on loopback addresses: they outlive an operator that is killed.
type sky struct {
	ec2     *ec2.Cloud
	upcloud *upcloud.Cloud
	local   *mem.Cloud
	urls    map[string]string // by Provider
	servers []*http.Server
}

func openSky() (*sky, error) {
	s := &sky{
		ec2: ec2.New(ec2.Options{Speed: speed, Lag: 3 * time.Second}), upcloud: upcloud.New(upcloud.Options{Speed: speed}),
		local: mem.New(mem.Options{BootTime: 2 * time.Second}), urls: map[string]string{},
	}
	for name, handler := range map[string]http.Handler{"aws": s.ec2.Handler(), "upcloud": s.upcloud.Handler(), "local": mem.Handler(s.local)} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		s.servers = append(s.servers, server)
		s.urls[name] = "http://" + listener.Addr().String()
		go func() { _ = server.Serve(listener) }()
	}
	return s, nil
}

func (s *sky) close() {
	for _, server := range s.servers {
		_ = server.Close()
	}
}

// secrets are the commands that make the Secrets of the example.
func (s *sky) secrets() [][]string {
	return [][]string{
		{"create", "secret", "generic", "aws-credentials", "--from-literal=accessKeyID=" + ec2.AccessKeyID, "--from-literal=secretAccessKey=" + ec2.SecretAccessKey},
		{"create", "secret", "generic", "upcloud-credentials", "--from-literal=token=ucat_FAKE"},
	}
}

// providers are those of the example with the addresses of the simulated clouds.
func (s *sky) providers() (string, error) {
	text, err := os.ReadFile("examples/clouds/providers.yaml")
	if err != nil {
		return "", err
	}
	var all []string
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var p v1alpha1.Provider
		if err := yaml.UnmarshalStrict([]byte(document), &p); err != nil {
			return "", err
		}
		switch p.Spec.Type {
		case v1alpha1.ProviderAWS:
			p.Spec.AWS.Endpoint = s.urls["aws"]
		case v1alpha1.ProviderUpCloud:
			p.Spec.UpCloud.Endpoint = s.urls["upcloud"]
		default:
			p.Spec.Local.Endpoint = s.urls["local"]
		}
		changed, err := yaml.Marshal(map[string]any{"apiVersion": p.APIVersion, "kind": p.Kind, "metadata": map[string]string{"name": p.Name}, "spec": p.Spec})
		if err != nil {
			return "", err
		}
		all = append(all, string(changed))
	}
	return strings.Join(all, "---\n"), nil
}

// made compares the machines that were ever made with the Servers that wanted one.
func (s *sky) made(want int) error {
	if got := s.ec2.Report().Made + s.upcloud.Inventory().Made + s.local.Report().Made; got != want {
		return fmt.Errorf("%d machines were made for %d Servers", got, want)
	}
	return nil
}

// empty says what is left.
func (s *sky) empty() error {
	var faults []error
	if r := s.ec2.Report(); len(r.Machines)+r.Volumes > 0 {
		faults = append(faults, fmt.Errorf("left at EC2: %+v", r))
	}
	if i := s.upcloud.Inventory(); !i.Bare() {
		faults = append(faults, fmt.Errorf("left at UpCloud: %+v", i))
	}
	if r := s.local.Report(); r.Live+r.Ending > 0 {
		faults = append(faults, fmt.Errorf("left at the local cloud: %d machines", r.Live+r.Ending))
	}
	return errors.Join(faults...)
}
