package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/keelway/keelway/hack/controlplane"
)

// mirror serves a release of etcd to the servers under the path that it has on github.com, made from the programs that the control
// plane runs, so that the demo needs nothing from outside.
type mirror struct {
	version, archive, sum string
	url                   string
	served                atomic.Int64 // how often the archive was asked for
	server                *http.Server
}

// brokenEtcd is the program of FAIL=1. Its checksum is right: it is what was published that does not work.
const brokenEtcd = "#!/bin/sh\necho 'etcd: this build is broken on purpose' >&2\nexit 1\n"

const brokenWords = "this build is broken on purpose"

// openMirror makes the archive in a directory and serves it until close.
func openMirror(ctx context.Context, assets controlplane.Assets, host, dir string, broken bool) (*mirror, error) {
	version, err := assets.EtcdVersion(ctx)
	if err != nil {
		return nil, err
	}
	m := &mirror{version: version, archive: fmt.Sprintf("etcd-v%s-linux-%s.tar.gz", version, runtime.GOARCH)}
	path := filepath.Join(dir, m.archive)
	if m.sum, err = m.pack(path, assets, broken); err != nil {
		return nil, fmt.Errorf("packing %s: %w", m.archive, err)
	}
	release := "/etcd-io/etcd/releases/download/v" + version + "/"
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+release+m.archive, func(out http.ResponseWriter, request *http.Request) {
		m.served.Add(1)
		http.ServeFile(out, request, path)
	})
	routes.HandleFunc("GET "+release+"SHA256SUMS", func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(out, "%s  %s\n", m.sum, m.archive)
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("serving the mirror: %w", err)
	}
	m.url = "http://" + listener.Addr().String() + "/"
	m.server = &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = m.server.Serve(listener) }() // it ends with close
	return m, nil
}

func (m *mirror) close() { _ = m.server.Close() }

// pack writes the archive as a release has it, and returns its digest. It is not compressed: nothing of it travels.
func (m *mirror) pack(path string, assets controlplane.Assets, broken bool) (string, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer file.Close() // a second time does no harm
	digest := sha256.New()
	zipped, err := gzip.NewWriterLevel(io.MultiWriter(file, digest), gzip.NoCompression)
	if err != nil {
		return "", err
	}
	tarred := tar.NewWriter(zipped)
	root := fmt.Sprintf("etcd-v%s-linux-%s/", m.version, runtime.GOARCH)
	if broken {
		err = add(tarred, root+"etcd", int64(len(brokenEtcd)), func(w io.Writer) error { _, err := io.WriteString(w, brokenEtcd); return err })
	} else {
		err = addFile(tarred, root+"etcd", assets.Etcd)
	}
	if err == nil {
		err = addFile(tarred, root+"etcdctl", assets.Etcdctl)
	}
	if err = errors.Join(err, tarred.Close(), zipped.Close(), file.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

func addFile(out *tar.Writer, name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return add(out, name, info.Size(), func(w io.Writer) error { _, err := io.Copy(w, file); return err })
}

func add(out *tar.Writer, name string, size int64, write func(io.Writer) error) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: size, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	return write(out)
}
