package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/controlplane"
	"github.com/keelway/keelway/internal/view"
)

const (
	namespace   = "default"
	demoName    = "demo" // of the workflow and of its provider
	managerUser = "keelway-manager"
)

// cluster is the demo's control plane, with a client for looking and kubectl for showing.
type cluster struct {
	plane  *controlplane.ControlPlane
	client client.Client
}

// openCluster starts a control plane that knows Keelway's kinds and its operator's rights, and returns with it the operator's
// kubeconfig.
func openCluster(ctx context.Context, assets controlplane.Assets, root, dir string, progress *feed) (*cluster, string, error) {
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Dir: dir, Log: progress, Assets: assets, CRDs: []string{filepath.Join(root, "config", "crd", "bases")}, NoFsync: true,
	})
	if err != nil {
		return nil, "", err
	}
	c := &cluster{plane: plane}
	kubeconfig, err := c.admit(ctx, root)
	if err == nil {
		err = c.connect()
	}
	if err != nil {
		_ = plane.Stop() // the first failure is the one to tell
		return nil, "", err
	}
	return c, kubeconfig, nil
}

// binding gives the operator's user the rights that the operator has in any cluster, and no others.
const binding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: keelway-demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: keelway-manager}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + managerUser + `}
`

// admit makes the operator's user. It is no administrator: the demo would hide a right that is missing in config/rbac.
func (c *cluster) admit(ctx context.Context, root string) (string, error) {
	role, err := os.ReadFile(filepath.Join(root, "config", "rbac", "role.yaml"))
	if err != nil {
		return "", fmt.Errorf("reading the operator's rights: %w", err)
	}
	if _, err := c.plane.Kubectl(ctx, strings.NewReader(string(role)+"\n---"+binding), "apply", "--server-side", "--filename=-"); err != nil {
		return "", fmt.Errorf("granting the operator's rights: %w", err)
	}
	return c.plane.KubeconfigFor(managerUser)
}

func (c *cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.plane.Kubeconfig())
	if err != nil {
		return err
	}
	log.SetLogger(logr.Discard()) // the client's words would fall into the picture; its errors reach us
	config.WarningHandler = rest.NoWarnings{}
	config.QPS = -1 // the server's own limits do
	config.Timeout = 10 * time.Second
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	c.client, err = client.New(config, client.Options{Scheme: scheme})
	return err
}

// snapshot is what the API server says at one moment, with the demo's own questions.
type snapshot struct{ view.Snapshot }

// look takes a snapshot.
func (c *cluster) look(ctx context.Context) (*snapshot, error) {
	s := &snapshot{view.Snapshot{Workflow: &v1alpha1.BatchWorkflow{}}}
	err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: demoName}, s.Workflow)
	if apierrors.IsNotFound(err) {
		s.Workflow, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	var servers v1alpha1.ServerList
	var services v1alpha1.TaskServiceList
	var runs v1alpha1.RunList
	for _, list := range []client.ObjectList{&servers, &services, &runs} {
		if err := c.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	s.Servers, s.Services, s.Runs = servers.Items, services.Items, runs.Items
	return s, nil
}

// remaining names the kinds of which there are objects, in the order in which they go.
func (s *snapshot) remaining() string {
	var said []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			said = append(said, "1 "+one)
		case n > 1:
			said = append(said, fmt.Sprintf("%d %s", n, many))
		}
	}
	if s.Workflow != nil {
		add(1, "BatchWorkflow", "")
	}
	add(len(s.Runs), "Run", "Runs")
	add(len(s.Services), "TaskService", "TaskServices")
	add(len(s.Servers), "Server", "Servers")
	return strings.Join(said, ", ")
}

// held says why the first thing that is still there has not gone.
func (s *snapshot) held() string {
	for i := range s.Services {
		if text := readyMessage(s.Services[i].Status.Conditions); text != "" {
			return "TaskService " + s.Services[i].Name + ": " + text
		}
	}
	for i := range s.Servers {
		if text := readyMessage(s.Servers[i].Status.Conditions); text != "" && !s.Servers[i].DeletionTimestamp.IsZero() {
			return "Server " + s.ServerName(s.Servers[i].Name) + ": " + text
		}
	}
	return ""
}

func readyMessage(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition); ready != nil {
		return ready.Message
	}
	return ""
}

// children counts what a workflow has made.
func (s *snapshot) children() int { return len(s.Servers) + len(s.Services) + len(s.Runs) }
