package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	serviceAccountKey = "service-accounts.key"
	administrators    = "system:masters"

	// readyTimeout is generous: the machine may be compiling something at the same time.
	readyTimeout = 2 * time.Minute
	portAttempts = 3
)

func (c *ControlPlane) pkiDir() string          { return filepath.Join(c.dir, "pki") }
func (c *ControlPlane) auditPolicyPath() string { return filepath.Join(c.dir, "audit-policy.yaml") }

// bringUp makes keys, then starts one component after the other, each when the one it needs is ready.
func (c *ControlPlane) bringUp(ctx context.Context) error {
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	if err := c.installCRDs(ctx); err != nil {
		return err
	}
	if c.options.NoControllerManager {
		return nil
	}
	return c.startControllerManager(ctx)
}

// prepare makes what the components read.
func (c *ControlPlane) prepare() error {
	if err := os.MkdirAll(c.pkiDir(), 0o700); err != nil {
		return fmt.Errorf("making the directory of keys: %w", err)
	}
	var err error
	if c.ca, err = loadAuthority(c.pkiDir(), "keelway-ca"); err != nil {
		return err
	}
	if c.etcdCA, err = loadAuthority(c.pkiDir(), "keelway-etcd-ca"); err != nil {
		return err
	}
	if _, err := loadKey(filepath.Join(c.pkiDir(), serviceAccountKey)); err != nil {
		return err
	}
	if err := os.WriteFile(c.auditPolicyPath(), []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("writing the audit policy: %w", err)
	}
	return nil
}

func (c *ControlPlane) startEtcd(ctx context.Context) error {
	pair, err := c.etcdCA.issue("etcd", pkix.Name{CommonName: "etcd"}, loopback, "localhost")
	if err != nil {
		return err
	}
	client, err := httpsClient(c.etcdCA, pair)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return c.start(ctx, "etcd", c.assets.Etcd, func() ([]string, error) {
		ports, err := freePorts(2)
		if err != nil {
			return nil, err
		}
		c.etcdURL = local(ports[0])
		return c.etcdArgs(ports[0], ports[1], pair), nil
	}, func(ctx context.Context) error {
		return get(ctx, client, c.etcdURL+"/health")
	})
}

func (c *ControlPlane) startAPIServer(ctx context.Context) error {
	serving, err := c.ca.issue("kube-apiserver", pkix.Name{CommonName: "kube-apiserver"}, loopback, "localhost",
		"10.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	etcdClient, err := c.etcdCA.issue("kube-apiserver-etcd", pkix.Name{CommonName: "kube-apiserver"})
	if err != nil {
		return err
	}
	admin, err := c.ca.issue("ready-check", pkix.Name{CommonName: "keelway-ready-check", Organization: []string{administrators}})
	if err != nil {
		return err
	}
	if c.client, err = httpsClient(c.ca, admin); err != nil {
		return err
	}
	err = c.start(ctx, "kube-apiserver", c.assets.KubeAPIServer, func() ([]string, error) {
		port, err := c.workspace.port()
		c.url = local(port)
		return c.apiServerArgs(port, serving, etcdClient), err
	}, func(ctx context.Context) error {
		return get(ctx, c.client, c.url+"/readyz")
	})
	if err != nil {
		return err
	}
	c.kubeconfig, err = c.KubeconfigFor("admin", administrators)
	return err
}

// installCRDs applies by the server's side, as kubectl's own way refuses large definitions, and waits until they are served.
func (c *ControlPlane) installCRDs(ctx context.Context) error {
	if len(c.options.CRDs) == 0 {
		return nil
	}
	apply := []string{"apply", "--server-side"}
	for _, path := range c.options.CRDs {
		apply = append(apply, "--filename="+path)
	}
	if _, err := c.Kubectl(ctx, nil, apply...); err != nil {
		return fmt.Errorf("installing CRDs: %w", err)
	}
	if _, err := c.Kubectl(ctx, nil, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"); err != nil {
		return fmt.Errorf("installing CRDs: %w", err)
	}
	return nil
}

// startControllerManager waits for what the controller manager makes in every namespace: without these no pod can be created.
func (c *ControlPlane) startControllerManager(ctx context.Context) error {
	kubeconfig, err := c.KubeconfigFor("system:kube-controller-manager", administrators)
	if err != nil {
		return err
	}
	return c.start(ctx, "kube-controller-manager", c.assets.KubeControllerManager, func() ([]string, error) {
		return c.controllerManagerArgs(kubeconfig), nil
	}, func(ctx context.Context) error {
		for _, path := range []string{"serviceaccounts/default", "configmaps/kube-root-ca.crt"} {
			if err := get(ctx, c.client, c.url+"/api/v1/namespaces/default/"+path); err != nil {
				return err
			}
		}
		return nil
	})
}

// start launches one component and waits until it is ready. When somebody took its port meanwhile, it gets another.
func (c *ControlPlane) start(ctx context.Context, name, path string, args func() ([]string, error), ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	began := time.Now()
	stop := heartbeat(c.log, func() string { return fmt.Sprintf("waiting for %s … %s", name, seconds(time.Since(began))) })
	defer stop()
	for attempt := 1; ; attempt++ {
		args, err := args()
		if err != nil {
			return err
		}
		p, err := launch(name, path, args, c.dir)
		if err != nil {
			return err
		}
		err = p.await(ctx, ready)
		if err == nil {
			c.processes = append(c.processes, p)
			say(c.log, "%s is ready after %.1f s", name, time.Since(began).Seconds())
			return nil
		}
		p.stop(stopGrace)
		if attempt == portAttempts || !portTaken(err) {
			return err
		}
		say(c.log, "somebody took the port of %s: trying another", name)
	}
}

// get asks for a page and is content with 200.
func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, answer.Status, limit(string(body), 300))
	}
	return err
}

// httpsClient trusts one authority alone and shows a certificate.
func httpsClient(trust *authority, pair credential) (*http.Client, error) {
	certificate, err := tls.X509KeyPair(pair.cert, pair.key)
	if err != nil {
		return nil, fmt.Errorf("loading a client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(trust.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, nil
}
