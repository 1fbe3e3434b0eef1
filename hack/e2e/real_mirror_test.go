package e2e

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
)

// bridgeMirror serves a release of etcd, made of the lab's own programs, where containers reach this machine.
func bridgeMirror(b *bench) (url, version string) {
	b.t.Helper()
	assets := b.ControlPlane.Assets()
	version, err := assets.EtcdVersion(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	name := fmt.Sprintf("etcd-v%s-linux-%s", version, runtime.GOARCH)
	path := filepath.Join(b.t.TempDir(), name+".tar.gz")
	file, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	zipped, _ := gzip.NewWriterLevel(file, gzip.NoCompression)
	archive := tar.NewWriter(zipped)
	for program, from := range map[string]string{"etcd": assets.Etcd, "etcdctl": assets.Etcdctl} {
		text, err := os.ReadFile(from)
		if err != nil {
			b.t.Fatal(err)
		}
		_ = archive.WriteHeader(&tar.Header{Name: name + "/" + program, Mode: 0o755, Size: int64(len(text))})
		_, _ = archive.Write(text)
	}
	_, _, _ = archive.Close(), zipped.Close(), file.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	bridge, err := net.InterfaceByName("docker0")
	if err != nil {
		b.t.Fatal(err)
	}
	addresses, _ := bridge.Addrs()
	host := netip.MustParsePrefix(addresses[0].String()).Addr().String()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		b.t.Fatal(err)
	}
	release := "/etcd-io/etcd/releases/download/v" + version + "/"
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+release+name+".tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	routes.HandleFunc("GET "+release+"SHA256SUMS", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(text), name))
	})
	server := &http.Server{Handler: routes}
	go func() { _ = server.Serve(listener) }()
	b.t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String() + "/", version
}
