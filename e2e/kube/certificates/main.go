// Command certificates writes the test cluster's certificate authority, its certificates and the service-account key.
//
// The plan is JSON on standard input. Everything is made anew; nothing is read from the directory.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime is long enough for any test cluster and short enough that a forgotten one dies.
const lifetime = 365 * 24 * time.Hour

type plan struct {
	Directory    string        `json:"directory"`
	Certificates []certificate `json:"certificates"`
}

// certificate is one leaf: usable as a client and as a server.
type certificate struct {
	Name          string   `json:"name"`
	CommonName    string   `json:"commonName"`
	Organizations []string `json:"organizations"`
	DNSNames      []string `json:"dnsNames"`
	IPAddresses   []string `json:"ipAddresses"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "certificates:", err)
		os.Exit(1)
	}
}

func run() error {
	var p plan
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if err := os.MkdirAll(p.Directory, 0o700); err != nil {
		return err
	}
	authority, authorityKey, err := makeAuthority(p.Directory)
	if err != nil {
		return fmt.Errorf("make the certificate authority: %w", err)
	}
	for _, c := range p.Certificates {
		if err := makeLeaf(p.Directory, c, authority, authorityKey); err != nil {
			return fmt.Errorf("make certificate %s: %w", c.Name, err)
		}
	}
	return makeServiceAccountKey(p.Directory)
}

func makeAuthority(directory string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template, err := newTemplate(pkix.Name{CommonName: "geode-test-cluster"})
	if err != nil {
		return nil, nil, err
	}
	template.IsCA = true
	template.KeyUsage |= x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	if err := writePair(directory, "ca", der, key); err != nil {
		return nil, nil, err
	}
	authority, err := x509.ParseCertificate(der)
	return authority, key, err
}

func makeLeaf(directory string, c certificate, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) error {
	template, err := newTemplate(pkix.Name{CommonName: c.CommonName, Organization: c.Organizations})
	if err != nil {
		return err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.DNSNames = c.DNSNames
	for _, text := range c.IPAddresses {
		address := net.ParseIP(text)
		if address == nil {
			return errors.New("not an IP address: " + text)
		}
		template.IPAddresses = append(template.IPAddresses, address)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	return writePair(directory, c.Name, der, key)
}

func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject,
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}, nil
}

func makeServiceAccountKey(directory string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(directory, "service-account.pub"), "PUBLIC KEY", public, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(directory, "service-account.key"), key)
}

func writePair(directory, name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(filepath.Join(directory, name+".crt"), "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(directory, name+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
