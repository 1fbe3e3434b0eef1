package controlplane

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tempPrefix marks directories of ours in the system's temporary directory.
const tempPrefix = "keelway-controlplane-"

// workspace is the directory of one running control plane: data, keys, logs and kubeconfigs. Its lock says that it is in use.
type workspace struct {
	dir  string
	temp bool // made by us, and removed by us
	lock *os.File
}

// openWorkspace takes a directory for one control plane, a new temporary one when dir is empty.
func openWorkspace(dir string) (*workspace, error) {
	w := &workspace{temp: dir == ""}
	var err error
	if w.temp {
		removeAbandoned(os.TempDir())
		w.dir, err = os.MkdirTemp("", tempPrefix)
	} else if w.dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(w.dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("making the control plane's directory: %w", err)
	}
	w.lock, err = tryLock(filepath.Join(w.dir, "lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another control plane runs in %s: stop that one, or choose another directory", w.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the control plane's directory: %w", err)
	}
	return w, nil
}

// close gives the directory back, and removes it when it was temporary.
func (w *workspace) close() error {
	var err error
	if w.temp {
		err = os.RemoveAll(w.dir)
	}
	return errors.Join(err, w.lock.Close())
}

// removeAbandoned removes temporary directories whose control plane was killed before it could clean up (etcd alone takes
// 64 MiB and more): a test that runs into its time limit ends that way. Only a directory that holds our lock file, is not
// locked and is not brand new counts as abandoned.
func removeAbandoned(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // nothing depends on it
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		info, err := os.Stat(filepath.Join(dir, "lock"))
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if lock, err := tryLock(filepath.Join(dir, "lock")); err == nil {
			_ = os.RemoveAll(dir) // whoever owns it cleans up if we may not
			_ = lock.Close()
		}
	}
}

// port chooses the API server's port: that of the last run in this directory when it is free, so that kubeconfigs handed out
// then are good again, else any.
func (w *workspace) port() (int, error) {
	path := filepath.Join(w.dir, "port")
	if text, err := os.ReadFile(path); err == nil {
		if last, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && portFree(last) {
			return last, nil
		}
	}
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], writeWhole(path, []byte(strconv.Itoa(ports[0])))
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// freePorts names n ports that are free now. Somebody may take one before we do, so a start that fails for that is repeated.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer listener.Close() // after all are chosen, so that they differ
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
