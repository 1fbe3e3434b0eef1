package controlplane

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOverride(t *testing.T) {
	ours := []string{"--authorization-mode=RBAC", "--v=0", "--flag"}
	cases := map[string]struct {
		reason      string
		extra, want []string
	}{
		"none":    {"ours stay", nil, ours},
		"replace": {"list flags would add up: RBAC,AlwaysAllow", []string{"--authorization-mode=AlwaysAllow"}, []string{"--v=0", "--flag", "--authorization-mode=AlwaysAllow"}},
		"add":     {"others are added, and may repeat", []string{"--x=1", "--x=2"}, append(slices.Clone(ours), "--x=1", "--x=2")},
		"switch":  {"a flag without value has a name too", []string{"--flag=false"}, []string{"--authorization-mode=RBAC", "--v=0", "--flag=false"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := override(ours, tc.extra); !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	ca, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, err := loadAuthority(dir, "other")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.issue("server", pkix.Name{CommonName: "server"}, loopback, "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{loopback, "kubernetes"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool(ca)}); err != nil {
			t.Errorf("not good for %s: %v", host, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(other)}); err == nil {
		t.Error("another authority vouches for it")
	}
	client, err := ca.issue("client", pkix.Name{CommonName: "client"})
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(client.cert)
	if leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(ca)}); err == nil {
		t.Error("a client's certificate is good for a server")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want it to be its owner's alone", entry.Name(), info.Mode(), err)
		}
	}
}

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadAuthority(dir, "ca")
	if err != nil || !bytes.Equal(first.cert.Raw, second.cert.Raw) || !first.key.Equal(second.key) {
		t.Errorf("the second load gave another authority (%v)", err)
	}
	putFile(t, filepath.Join(dir, "ca.crt"), "rubbish", 0o600)
	if _, err := loadAuthority(dir, "ca"); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("want an error that names the file, got %v", err)
	}
}

func TestReadAudit(t *testing.T) {
	const line = `{"verb":"create","user":{"username":"me"},"objectRef":{"resource":"pods","name":"a"},"responseStatus":{"code":201}}` + "\n"
	cases := map[string]struct {
		reason, text string
		events       int
		fails        bool
	}{
		"empty":    {"nothing was written", "", 0, false},
		"two":      {"a line an event", line + line, 2, false},
		"half":     {"the server is writing the last line", line + line[:40], 1, false},
		"not JSON": {"that is no audit log", line + "oops\n", 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			putFile(t, path, tc.text, 0o600)
			events, err := ReadAudit(path)
			if len(events) != tc.events || (err != nil) != tc.fails {
				t.Fatalf("%s: got %d events and %v", tc.reason, len(events), err)
			}
			for _, e := range events {
				if e.Verb != "create" || e.User.Username != "me" || e.ObjectRef.Name != "a" || e.ResponseStatus.Code != 201 {
					t.Errorf("%s: got %+v", tc.reason, e)
				}
			}
		})
	}
	if events, err := ReadAudit(filepath.Join(t.TempDir(), "absent")); err != nil || events != nil {
		t.Errorf("a log that is not there yet is empty, got %v, %v", events, err)
	}
}

func pool(a *authority) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return roots
}
