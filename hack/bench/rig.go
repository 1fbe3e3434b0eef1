package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
)

// providerName is the Provider of simulated machines in every namespace that needs one.
const providerName = "cloud"

// pageURL is what checks ask for: a server of our own that answers at once.
const pageURL = "http://127.0.0.9:18089/"

// rig is everything that is measured, and what it is measured with: a control plane that waits for its disk, the operator's program, a
// client without limits.
type rig struct {
	plane    *controlplane.ControlPlane
	dir      string
	log      *os.File
	client   client.WithWatch
	rest     rest.Interface
	operator *operator
	pages    *http.Server
	profiles string // directory; "": none are written
}

func newRig(ctx context.Context, progress io.Writer) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			r.close() // the first failure is the one to tell
		}
	}()
	if r.dir, err = os.MkdirTemp("", "keelway-bench-"); err != nil {
		return r, err
	}
	if r.log, err = os.Create(filepath.Join(r.dir, "operator.log")); err != nil {
		return r, err
	}
	root, err := checkout()
	if err != nil {
		return r, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(r.dir, "manager"), "./cmd/manager")
	build.Dir, build.Stderr = root, progress
	if err = build.Run(); err != nil {
		return r, fmt.Errorf("building the operator: %w", err)
	}
	if r.plane, err = controlplane.Start(ctx, controlplane.Options{Log: progress, CRDs: []string{filepath.Join(root, "config", "crd", "bases")}}); err != nil {
		return r, err
	}
	if err = r.connect(); err != nil {
		return r, err
	}
	r.operator, err = r.startOperator()
	return r, err
}

// checkout is the root of the repository.
func checkout() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run this within a checkout")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

func (r *rig) connect() error {
	log.SetLogger(logr.Discard())
	config, err := clientcmd.BuildConfigFromFlags("", r.plane.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS, config.WarningHandler, config.ContentType = -1, rest.NoWarnings{}, runtime.ContentTypeJSON
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if r.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	raw := rest.CopyConfig(config)
	raw.GroupVersion, raw.APIPath, raw.NegotiatedSerializer = &corev1.SchemeGroupVersion, "/api", clientgoscheme.Codecs
	r.rest, err = rest.RESTClientFor(raw)
	return err
}

// operator is one life of the operator's program.
type operator struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// startOperator starts it as a cluster would, but for the drivers that it admits. All its lives write into one log.
func (r *rig) startOperator(arguments ...string) (*operator, error) {
	cmd := exec.Command(filepath.Join(r.dir, "manager"), append([]string{"--local-drivers=Memory", "--check-allow=127.0.0.0/8"}, arguments...)...)
	cmd.Env = []string{"HOME=" + r.dir, "KUBECONFIG=" + r.plane.Kubeconfig()}
	cmd.Stdout, cmd.Stderr = r.log, r.log
	wait, err := controlplane.StartBound(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting the operator: %w", err)
	}
	o := &operator{cmd: cmd, ended: make(chan struct{})}
	go func() { _ = wait(); close(o.ended) }()
	return o, nil
}

func (o *operator) pid() int { return o.cmd.Process.Pid }

// kill ends it without a last word.
func (o *operator) kill() { o.end(syscall.SIGKILL) }

func (o *operator) end(how os.Signal) {
	_ = o.cmd.Process.Signal(how) // it may have ended by itself
	<-o.ended
}

// alive complains when the operator has ended by itself.
func (r *rig) alive() error {
	select {
	case <-r.operator.ended:
		text, _ := os.ReadFile(r.log.Name())
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("the operator ended by itself; the end of its log:\n%s", strings.Join(lines[max(0, len(lines)-10):], "\n"))
	default:
		return nil
	}
}

// namespace makes one, which the caller takes away.
func (r *rig) namespace(ctx context.Context) (string, error) {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	return n.Name, errors.Join(r.client.Create(ctx, n), named(n))
}

func named(n *corev1.Namespace) error {
	if n.Name == "" {
		return errors.New("the API server gave no name")
	}
	return nil
}

// cloud makes the Provider of simulated machines.
func (r *rig) cloud(namespace string) error {
	p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: providerName}}
	p.Spec.Type, p.Spec.Local, p.Spec.Limits.MaxInFlight = v1alpha1.ProviderLocal, &v1alpha1.LocalProvider{Driver: v1alpha1.DriverMemory}, 1000
	return r.client.Create(context.Background(), p)
}

// page starts the server that checks ask.
func (r *rig) page(string) error {
	if r.pages != nil {
		return nil
	}
	listener, err := net.Listen("tcp", strings.TrimSuffix(strings.TrimPrefix(pageURL, "http://"), "/"))
	if err != nil {
		return err
	}
	r.pages = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), ReadHeaderTimeout: time.Second}
	go func() { _ = r.pages.Serve(listener) }()
	return nil
}

// versions are those of what was measured.
func (r *rig) versions() string {
	text, err := r.rest.Get().AbsPath("/version").DoRaw(context.Background())
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), `"gitVersion": "`)
	version, _, _ := strings.Cut(rest, `"`)
	return "kube-apiserver " + version
}

func (r *rig) close() {
	if r.operator != nil {
		r.operator.kill()
	}
	if r.pages != nil {
		_ = r.pages.Close()
	}
	if r.plane != nil {
		_ = r.plane.Stop()
	}
	if r.log != nil {
		_ = r.log.Close()
	}
	_ = os.RemoveAll(r.dir)
}
