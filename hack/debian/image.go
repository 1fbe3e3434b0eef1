package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	suite    = "bookworm"
	packages = "openssh-server,systemd,systemd-sysv,dbus,ca-certificates,python3-minimal,iproute2,sudo,curl,procps"
)

// finish makes a server of the bare system: no host keys of its own (each container makes them), nobody logs in with a password,
// and admin may do everything through sudo. Its own timetable is off, as what a test finds must not depend on the hour: at six in the
// morning apt-daily-upgrade takes apt's lock and leaves files that no service made.
const finish = `set -eu
rm -f /etc/ssh/ssh_host_*
printf '[Unit]\nBefore=ssh.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/ssh-keygen -A\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/host-keys.service
systemctl enable host-keys.service >/dev/null 2>&1
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Unit]\nRequires=host-keys.service\nAfter=host-keys.service\n' >/etc/systemd/system/ssh.service.d/host-keys.conf
printf 'PasswordAuthentication no\nPermitRootLogin prohibit-password\nUseDNS no\n' >/etc/ssh/sshd_config.d/lab.conf
useradd --create-home --shell /bin/bash admin
printf 'admin ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/admin
useradd --create-home --shell /bin/sh plain
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer >/dev/null 2>&1
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
`

// Image returns the name of the image, made once and kept: in the Engine, and as an archive in the cache for the next Engine.
func Image(ctx context.Context, log io.Writer) (string, error) {
	sum := sha256.Sum256([]byte(suite + packages + finish))
	name := "keelway-debian:12-" + hex.EncodeToString(sum[:6])
	if _, err := docker(ctx, nil, "image", "inspect", "--format", "{{.Id}}", name); err == nil {
		return name, nil
	}
	dir, err := cache()
	if err != nil {
		return "", err
	}
	free, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer free()
	archive := filepath.Join(dir, strings.ReplaceAll(name, ":", "-")+".tar")
	if _, err := os.Stat(archive); err != nil {
		if err := build(ctx, log, dir, archive); err != nil {
			return "", err
		}
	}
	text, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer func() { _ = text.Close() }()
	_, _ = fmt.Fprintf(log, "debian: importing %s\n", name)
	_, err = docker(ctx, text, "import", "-", name)
	return name, err
}

// cache is beside the control plane's.
func cache() (string, error) {
	base := os.Getenv("KEELWAY_CACHE")
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(user, "keelway")
	}
	dir := filepath.Join(base, "debian")
	return dir, os.MkdirAll(dir, 0o755)
}

// lock keeps two processes from building the same image at once. The kernel lets go of it whatever happens to us.
func lock(path string) (func(), error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// build makes the archive. It appears whole or not at all.
func build(ctx context.Context, log io.Writer, dir, archive string) error {
	debootstrap, err := exec.LookPath("debootstrap")
	switch {
	case err != nil:
		return fmt.Errorf("%w: there is no debootstrap: install Debian's debootstrap", ErrLacking)
	case os.Geteuid() != 0:
		return fmt.Errorf("%w: only root may make the Debian image", ErrLacking)
	}
	root, err := os.MkdirTemp(dir, "root-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }()
	_, _ = fmt.Fprintln(log, "debian: making the image by debootstrap; this takes two minutes, once")
	steps := [][]string{
		{debootstrap, "--variant=minbase", "--include=" + packages, suite, root},
		{"chroot", root, "sh", "-c", finish},
		{"tar", "-C", root, "-cf", archive + ".new", "."},
	}
	for _, step := range steps {
		out, err := exec.CommandContext(ctx, step[0], step[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(step[0]), err, tail(out))
		}
	}
	return os.Rename(archive+".new", archive)
}

func tail(out []byte) string {
	text := strings.TrimSpace(string(out))
	if len(text) > 1000 {
		text = "…" + text[len(text)-1000:]
	}
	return text
}
