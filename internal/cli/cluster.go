package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/go-logr/logr"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/internal/nearest"
)

// fieldOwner is who we are to server-side apply.
const fieldOwner = "keelway-cli"

// cluster is the API server that a session speaks with.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

var silence = sync.OnceFunc(func() {
	ctrllog.SetLogger(logr.Discard()) // what libraries have to say reaches people as errors
	klog.SetLogger(logr.Discard())
})

// connect opens the way to the cluster that flags and kubeconfig name; nothing is asked of it yet.
func (s *session) connect() (*cluster, error) {
	if s.cluster != nil {
		return s.cluster, nil
	}
	silence()
	loader := s.config.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, failed(codeUnreachable, "", "reading the kubeconfig: %w", err)
	}
	inCluster := s.Env("KUBERNETES_SERVICE_HOST") != ""
	if len(raw.Clusters) == 0 && !inCluster && (s.config.APIServer == nil || *s.config.APIServer == "") { // the libraries would try localhost:8080
		return nil, clientcmd.ErrEmptyConfig
	}
	config, err := s.config.ToRESTConfig()
	if err != nil {
		return nil, failed(codeUnreachable, "", "finding the cluster: %w", err)
	}
	config.ContentType, config.UserAgent = runtime.ContentTypeJSON, "keelway-cli/"+version()
	config.QPS, config.Burst = 50, 100
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, failed(codeUnreachable, "", "finding the namespace: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, failed(codeFailed, "", "preparing to ask the cluster: %w", err)
	}
	s.cluster = &cluster{WithWatch: c, config: config, namespace: namespace}
	return s.cluster, nil
}

// get reads one object. One that is not there comes with the nearest names of those that are.
func (c *cluster) get(ctx context.Context, k kind, name string, into client.Object) error {
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, into)
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) || explainCluster(err) != nil {
		return fmt.Errorf("reading %s %s in namespace %s: %w", k.Kind, name, c.namespace, err)
	}
	names, lerr := c.names(ctx, k)
	if lerr != nil {
		return failed(codeFailed, "", "there is no %s %q in namespace %s", k.Kind, name, c.namespace)
	}
	return failed(codeFailed, "keelway get "+k.resource+" -A lists those of all namespaces",
		"there is no %s %q in namespace %s%s", k.Kind, name, c.namespace, nearest.Hint(name, names))
}

// workflow reads a workflow.
func (c *cluster) workflow(ctx context.Context, name string) (*v1alpha1.BatchWorkflow, error) {
	w := &v1alpha1.BatchWorkflow{}
	return w, c.get(ctx, kinds[0], name, w)
}

// maxNames bounds what is listed only to suggest or complete a name.
const maxNames = 500

// names lists the names of a kind in the namespace.
func (c *cluster) names(ctx context.Context, k kind) (names []string, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
	if err := c.List(ctx, list, client.InNamespace(c.namespace), client.Limit(maxNames)); err != nil {
		return nil, err
	}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// patience bounds what is asked of a cluster only to complete a name.
const patience = 3 * time.Second

func clip(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
