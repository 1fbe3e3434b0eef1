package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
)

// authority signs the certificates of one circle of trust. There are two: who may talk to the API server must not thereby be
// able to write to etcd.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	path string // of the certificate
}

// credential is a certificate with its key, in PEM.
type credential struct {
	cert, key         []byte
	certPath, keyPath string
}

// loadAuthority reads an authority from dir or makes it: a control plane started again over its old data keeps its clients.
func loadAuthority(dir, name string) (*authority, error) {
	a := &authority{path: filepath.Join(dir, name+".crt")}
	key, err := loadKey(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, err
	}
	a.key = key
	text, err := os.ReadFile(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return a, a.create(name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading authority %s: %w", name, err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading authority %s: %s holds no PEM block", name, a.path)
	}
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("reading authority %s: %w", name, err)
	}
	return a, nil
}

func (a *authority) create(name string) error {
	template, err := newTemplate(pkix.Name{CommonName: name}, authorityLife)
	if err != nil {
		return err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("signing authority %s: %w", name, err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("signing authority %s: %w", name, err)
	}
	return os.WriteFile(a.path, encode("CERTIFICATE", der), 0o600)
}

// issue makes a certificate good for a client and, with addresses or names, for a server, and writes it beside the authority.
func (a *authority) issue(file string, subject pkix.Name, hosts ...string) (credential, error) {
	template, err := newTemplate(subject, certificateLife)
	if err != nil {
		return credential{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(hosts) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return credential{}, fmt.Errorf("making the key of %s: %w", file, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return credential{}, fmt.Errorf("signing the certificate of %s: %w", file, err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return credential{}, fmt.Errorf("encoding the key of %s: %w", file, err)
	}
	base := filepath.Join(filepath.Dir(a.path), file)
	c := credential{cert: encode("CERTIFICATE", der), key: encode("EC PRIVATE KEY", private), certPath: base + ".crt", keyPath: base + ".key"}
	return c, errors.Join(os.WriteFile(c.certPath, c.cert, 0o600), os.WriteFile(c.keyPath, c.key, 0o600))
}

func newTemplate(subject pkix.Name, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Minute), // clocks inside containers may lag a little
		NotAfter:     now.Add(life),
	}, nil
}

// loadKey reads a private key or makes it, with its public half beside it for the checking of service account tokens.
func loadKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading a key: %s holds no PEM block", path)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	return key, nil
}

func createKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key %s: %w", path, err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key %s: %w", path, err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding the key %s: %w", path, err)
	}
	return key, errors.Join(
		os.WriteFile(path+".pub", encode("PUBLIC KEY", public), 0o600),
		os.WriteFile(path, encode("EC PRIVATE KEY", private), 0o600))
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
