package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/keelway/keelway/api/v1alpha1"
	"github.com/keelway/keelway/hack/lab"
)

// ground is what all points stand on: an API server, a namespace in it, and one Provider a vendor.
type ground struct {
	*lab.Lab
	ns     string
	way    http.RoundTripper // to the API server
	mapper meta.RESTMapper
	cache  client.Reader // of what is no Server
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{Lab: lab.Shared(t)}
	g.ns = g.Namespace(t)
	config := rest.CopyConfig(g.Config)
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	g.way = web.Transport
	if g.mapper, err = apiutil.NewDynamicRESTMapper(config, web); err != nil {
		t.Fatal(err)
	}
	for _, v := range vendors {
		p := &v1alpha1.Provider{ObjectMeta: metav1.ObjectMeta{Namespace: g.ns, Name: strings.ToLower(v.name)}, Spec: v.provider}
		if err := g.Client.Create(context.Background(), p); err != nil {
			t.Fatal(err)
		}
		was := p.DeepCopy()
		p.Status = v1alpha1.ProviderStatus{ObservedGeneration: 1, Account: testAccount, PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test", Conditions: []metav1.Condition{
			{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady, ObservedGeneration: 1, LastTransitionTime: metav1.Now()}}}
		if err := g.Client.Status().Patch(context.Background(), p, client.MergeFrom(was)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := cache.New(config, cache.Options{Scheme: g.Scheme, Mapper: g.mapper, DefaultNamespaces: map[string]cache.Config{g.ns: {}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- all.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for _, o := range []client.Object{&v1alpha1.Provider{}, &v1alpha1.TaskService{}, &v1alpha1.Run{}} {
		if _, err := all.GetInformer(ctx, o); err != nil { // returns when it has synchronised
			t.Fatal(err)
		}
	}
	g.cache = all
	return g
}

// client is a process's way to the API server.
func (g *ground) client(k *killer) (client.Client, error) {
	return client.New(g.Config, client.Options{Scheme: g.Scheme, Mapper: g.mapper, HTTPClient: &http.Client{Transport: k.through(g.way)}})
}

// cached reads as a manager's client does: Servers as the stage saw them last, which is after every write, as a watch would tell it, and
// all else from one cache that all stages share. Its writes go to the API server.
type cached struct {
	client.Client
	others client.Reader
	now    map[string]*v1alpha1.Server
}

func (c cached) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	server, ok := into.(*v1alpha1.Server)
	if !ok {
		return c.others.Get(ctx, key, into, opts...)
	}
	now := c.now[key.Name]
	if now == nil {
		return apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "servers"}, key.Name)
	}
	now.DeepCopyInto(server)
	return nil
}

func (c cached) List(ctx context.Context, into client.ObjectList, opts ...client.ListOption) error {
	servers, ok := into.(*v1alpha1.ServerList)
	if !ok {
		return c.others.List(ctx, into, opts...)
	}
	for _, now := range c.now {
		if now != nil {
			servers.Items = append(servers.Items, *now.DeepCopy())
		}
	}
	return nil
}
