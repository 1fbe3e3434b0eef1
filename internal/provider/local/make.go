package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// idPrefix begins every id: process-<directory>-<random>. The random part makes a server made later for the same key another one.
const idPrefix = "process-"

// directoryOf names a key's directory, so that a crash at any point finds it again. It is short: paths of Unix sockets below
// it must stay under 108 bytes.
func directoryOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}

func isDirectoryName(name string) bool {
	return len(name) == 16 && strings.Trim(name, "0123456789abcdef") == ""
}

// make builds a server beside the others and moves it into place in one step. The caller holds the lock.
func (s *store) make(name string, want provider.Machine, now time.Time) (server, error) {
	if err := s.sweep(); err != nil {
		return server{}, err
	}
	others, err := s.all(context.Background())
	if err != nil {
		return server{}, err
	}
	made := server{
		ID: idPrefix + name + "-" + token(4), Key: want.Key, Owner: want.Owner, CreatedAt: now.UTC().Round(0), Directory: name,
		Address: freeAddress(want.Key, others),
	}
	data, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return server{}, err
	}
	draft := path.Join(serversDir, newPrefix+name)
	for _, dir := range []string{draft, path.Join(draft, made.ID)} {
		if err := s.root.Mkdir(dir, 0o700); err != nil {
			return server{}, diskFault(err)
		}
	}
	if err := s.writeFile(path.Join(draft, metadataFile), data); err != nil {
		return server{}, diskFault(err)
	}
	if err := s.sync(draft); err != nil {
		return server{}, diskFault(err)
	}
	final := path.Join(serversDir, name)
	// An empty directory is what an interrupted removal left last; one that is not empty stays, and stops us.
	if err := s.root.Remove(final); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return server{}, diskFault(err)
	}
	if err := s.root.Rename(draft, final); err != nil {
		return server{}, diskFault(err)
	}
	return made, diskFault(s.sync(serversDir))
}

// sweep removes what a crash left half-made. Under the lock nobody else is making anything.
func (s *store) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), serversDir)
	if err != nil {
		return diskFault(err)
	}
	for _, entry := range entries {
		if name, draft := strings.CutPrefix(entry.Name(), newPrefix); draft && isDirectoryName(name) && entry.IsDir() {
			if err := s.root.RemoveAll(path.Join(serversDir, entry.Name())); err != nil {
				return diskFault(err)
			}
		}
	}
	return nil
}

// freeAddress picks a loopback address that no server has: the same first choice for the same key, then the next ones. It
// keeps out of 127.0.0.0/16, where this machine's own services listen.
func freeAddress(key string, others []server) string {
	taken := make(map[string]bool, len(others))
	for _, other := range others {
		taken[other.Address] = true
	}
	const hosts = 255 * 256 * 254 // second octet 1..255, third 0..255, fourth 1..254
	sum := sha256.Sum256([]byte("address of " + key))
	for n := binary.BigEndian.Uint32(sum[:]) % hosts; ; n = (n + 1) % hosts {
		address := fmt.Sprintf("127.%d.%d.%d", 1+n/(256*254), n/254%256, 1+n%254)
		if !taken[address] {
			return address // within len(others)+1 steps
		}
	}
}

// write replaces server.json in one step.
func (s *store) write(changed server) error {
	data, err := json.MarshalIndent(changed, "", "  ")
	if err != nil {
		return err
	}
	dir := path.Join(serversDir, changed.Directory)
	draft := path.Join(dir, newPrefix+metadataFile)
	if err := s.root.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(err)
	}
	if err := s.writeFile(draft, data); err != nil {
		return diskFault(err)
	}
	if err := s.root.Rename(draft, path.Join(dir, metadataFile)); err != nil {
		return diskFault(err)
	}
	return diskFault(s.sync(dir))
}

// writeFile writes a new file and waits until the disk has it.
func (s *store) writeFile(name string, data []byte) error {
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// sync waits until the disk has a directory's entries.
func (s *store) sync(dir string) error {
	file, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// empty removes what people put onto the server. Directories that they closed to themselves are opened first.
func (s *store) empty(gone server) error {
	where := path.Join(serversDir, gone.Directory, gone.ID)
	if s.root.RemoveAll(where) == nil {
		return nil
	}
	_ = fs.WalkDir(s.root.FS(), where, func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && err == nil {
			return s.root.Chmod(name, 0o700)
		}
		return nil
	})
	return diskFault(s.root.RemoveAll(where))
}

// forget removes server.json, and with it the claim on key and address, then the directory, which must be empty by now.
func (s *store) forget(gone server) error {
	dir := path.Join(serversDir, gone.Directory)
	if err := s.root.Remove(path.Join(dir, newPrefix+metadataFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskFault(err)
	}
	for _, name := range []string{path.Join(dir, metadataFile), dir} {
		if err := s.root.Remove(name); err != nil {
			return diskFault(err)
		}
	}
	return diskFault(s.sync(serversDir))
}

func busy() error {
	return fault.Waiting(fault.ReasonInProgress, 100*time.Millisecond, "another process is at work in the state directory")
}
