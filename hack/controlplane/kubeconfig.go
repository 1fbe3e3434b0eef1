package controlplane

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

const kubeconfigFormat = `apiVersion: v1
kind: Config
current-context: keelway
clusters:
- name: keelway
  cluster:
    server: %s
    certificate-authority-data: %s
contexts:
- name: keelway
  context:
    cluster: keelway
    user: %q
    namespace: default
users:
- name: %[3]q
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`

// KubeconfigFor writes a kubeconfig for a user of any name and groups, for tests of permissions and for telling the writes
// of one program from another's in the audit log. It returns the path; the file holds a private key and is the owner's alone.
func (c *ControlPlane) KubeconfigFor(user string, groups ...string) (string, error) {
	name := url.QueryEscape(user) // users are called system:serviceaccount:a:b, and worse
	client, err := c.ca.issue("client-"+name, pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return "", err
	}
	ca, err := os.ReadFile(c.ca.path)
	if err != nil {
		return "", fmt.Errorf("writing the kubeconfig of %s: %w", user, err)
	}
	text := fmt.Sprintf(kubeconfigFormat, c.url, base64.StdEncoding.EncodeToString(ca), name,
		base64.StdEncoding.EncodeToString(client.cert), base64.StdEncoding.EncodeToString(client.key))
	path := filepath.Join(c.dir, name+".kubeconfig")
	if err := writeWhole(path, []byte(text)); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of %s: %w", user, err)
	}
	return path, nil
}

// writeWhole writes a file by a rename, so that a reader who waits for it never sees half of it.
func writeWhole(path string, text []byte) error {
	partial := path + partialSuffix
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
