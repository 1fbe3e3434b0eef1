package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/keelway/keelway/internal/fault"
	"github.com/keelway/keelway/internal/provider"
)

// The state directory:
//
//	id                          the account's id
//	lock                        held while something is made or removed
//	servers/<hash of key>/      server.json (who it is) and <server's id>/ (what people see as their machine; the
//	                            process transport takes the id from the directory's name and marks every process with it)
//	servers/.new-<hash>/        a server being made; without meaning outside the lock
const (
	serversDir   = "servers"
	metadataFile = "server.json"
	newPrefix    = ".new-"
)

// store keeps servers in one directory. Every path goes through an os.Root, which no symbolic link can leave.
type store struct {
	path string // absolute, without symbolic links
	root *os.Root
	turn chan struct{} // one maker or remover in this process; the lock file keeps out other processes
}

// server is what server.json says. It is the whole truth about a server, its claim on the address included.
type server struct {
	ID        string
	Key       string
	Owner     provider.Owner
	Address   string
	CreatedAt time.Time
	EndedAt   time.Time // when its end was first asked for; zero while it lives

	Directory string `json:"-"` // its name below serversDir
}

func openStore(stateDir string) (*store, error) {
	if stateDir == "" {
		return nil, fault.New(fault.Terminal, fault.ReasonInvalid, "no state directory is set")
	}
	if err := os.MkdirAll(filepath.Join(stateDir, serversDir), 0o700); err != nil {
		return nil, diskFault(err)
	}
	where, err := filepath.Abs(stateDir)
	if err == nil {
		where, err = filepath.EvalSymlinks(where)
	}
	if err != nil {
		return nil, diskFault(err)
	}
	info, err := os.Stat(where)
	if err != nil {
		return nil, diskFault(err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fault.New(fault.Terminal, fault.ReasonNotAllowed, "%s may be written by others (mode %04o): chmod 700 it, or choose another", where, info.Mode().Perm())
	}
	root, err := os.OpenRoot(where)
	if err != nil {
		return nil, diskFault(err)
	}
	return &store{path: where, root: root, turn: make(chan struct{}, 1)}, nil
}

// identity returns the state directory's own id, made on first use.
func (s *store) identity() (string, error) {
	if have, err := s.root.ReadFile("id"); err == nil && len(have) == 16 {
		return string(have), nil
	}
	draft := newPrefix + token(8)
	defer s.root.Remove(draft)
	if err := s.writeFile(draft, []byte(token(8))); err != nil {
		return "", diskFault(err)
	}
	// A link, unlike a rename, does not replace what another process made meanwhile.
	if err := s.root.Link(draft, "id"); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", diskFault(err)
	}
	have, err := s.root.ReadFile("id")
	if err == nil && len(have) != 16 {
		err = fmt.Errorf("%s/id is damaged: 16 characters expected, %d found", s.path, len(have))
	}
	return string(have), diskFault(err)
}

// find returns the server of that id. The id names the directory, and the directory must agree.
func (s *store) find(id string) (server, error) {
	name, _, ok := strings.Cut(strings.TrimPrefix(id, idPrefix), "-")
	if !ok || !strings.HasPrefix(id, idPrefix) || !isDirectoryName(name) {
		return server{}, notFound(id)
	}
	found, err := s.read(name)
	if err == nil && found.ID != id {
		err = notFound(id)
	}
	return found, err
}

// read returns the server in a directory; Gone when there is none. What cannot be read is an error and never "none": a server
// that is overlooked would be made twice.
func (s *store) read(name string) (server, error) {
	info, err := s.root.Lstat(path.Join(serversDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return server{}, notFound(name)
	}
	if err != nil {
		return server{}, diskFault(err)
	}
	if !info.IsDir() {
		return server{}, fault.New(fault.Terminal, fault.ReasonNotAllowed, "%s/%s/%s is not a directory: it was not made here, remove it", s.path, serversDir, name)
	}
	file := path.Join(serversDir, name, metadataFile)
	data, err := s.root.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return server{}, notFound(name) // its end was interrupted between the file and the directory
	}
	if err != nil {
		return server{}, diskFault(err)
	}
	found := server{Directory: name}
	if err := json.Unmarshal(data, &found); err != nil || directoryOf(found.Key) != name || !strings.HasPrefix(found.ID, idPrefix+name+"-") || path.Base(found.ID) != found.ID {
		return server{}, fault.New(fault.Terminal, fault.ReasonNotAllowed, "%s/%s does not describe its directory: somebody changed it; mend it, or remove the directory", s.path, file)
	}
	return found, nil
}

// all returns every server in order of id.
func (s *store) all(ctx context.Context) ([]server, error) {
	entries, err := fs.ReadDir(s.root.FS(), serversDir)
	if err != nil {
		return nil, diskFault(err)
	}
	var found []server
	for _, entry := range entries {
		if err := alive(ctx); err != nil {
			return nil, err
		}
		if !isDirectoryName(entry.Name()) {
			continue
		}
		switch one, err := s.read(entry.Name()); {
		case err == nil:
			found = append(found, one)
		case !fault.IsGone(err):
			return nil, err
		}
	}
	slices.SortFunc(found, func(a, b server) int { return strings.Compare(a.ID, b.ID) })
	return found, nil
}

// token returns n random bytes in hexadecimal.
func token(n int) string {
	random := make([]byte, n)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

// diskFault classifies an error of the file system: what a full disk or a missing permission stops may work later.
func diskFault(err error) error {
	switch _, classified := errors.AsType[*fault.Error](err); {
	case err == nil || classified:
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.New(fault.Retry, fault.ReasonResourcesDepleted, "%w", err)
	}
	return fault.New(fault.Retry, fault.ReasonTransient, "%w", err)
}
