package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"k8s.io/klog/v2"
)

const (
	loopMajor       = 7
	loopDevicesMost = 256
	// XFS grows online with the rights that mounting needs, ext4 only with CAP_SYS_RESOURCE, which containers of CI often
	// lack; but mkfs.xfs makes nothing smaller than this.
	smallestXFS = 300 << 20
)

// disks makes, grows and deletes loop-mounted images; one directory a volume, with `image` and `mount` in it.
// The lock is there because two concurrent mounts can race for the same free loop device.
type disks struct {
	directory string
	lock      sync.Mutex
}

func (d *disks) image(volume string) string      { return filepath.Join(d.directory, volume, "image") }
func (d *disks) mountPoint(volume string) string { return filepath.Join(d.directory, volume, "mount") }

// create makes and mounts the volume. It may be called again after any failure.
func (d *disks) create(volume string, bytes int64) (string, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	mountPoint := d.mountPoint(volume)
	if mounted, err := isMounted(mountPoint); err != nil || mounted {
		return mountPoint, err
	}
	if err := os.MkdirAll(mountPoint, 0o755); err != nil {
		return "", err
	}
	image, err := os.Create(d.image(volume))
	if err != nil {
		return "", err
	}
	defer image.Close()
	if err := image.Truncate(bytes); err != nil {
		return "", err
	}
	if err := makeFileSystem(image.Name(), bytes); err != nil {
		return "", err
	}
	if err := mountLoop(image.Name(), mountPoint); err != nil {
		return "", err
	}
	// Programs that expect an empty volume would take ext4's lost+found for data.
	if err := os.Remove(filepath.Join(mountPoint, "lost+found")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return mountPoint, nil
}

func makeFileSystem(image string, bytes int64) error {
	if bytes >= smallestXFS {
		return command("mkfs.xfs", "-q", "-f", "-K", image)
	}
	// No reserved blocks: the claim's size is the database's, not root's. Discard is useless on a new sparse file.
	return command("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", image)
}

// grow makes the volume's file system bigger while it is mounted.
func (d *disks) grow(volume string, bytes int64) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	if err := os.Truncate(d.image(volume), bytes); err != nil {
		return err
	}
	mounted, err := mountedAt(d.mountPoint(volume))
	if err != nil {
		return err
	}
	if err := command("losetup", "--set-capacity", mounted.device); err != nil {
		return err
	}
	if mounted.fileSystem == "xfs" {
		return command("xfs_growfs", d.mountPoint(volume))
	}
	return command("resize2fs", mounted.device)
}

// remove unmounts and deletes the volume; the loop device detaches itself with the last mount.
func (d *disks) remove(volume string) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	mounted, err := isMounted(d.mountPoint(volume))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if mounted {
		if err := command("umount", d.mountPoint(volume)); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(d.directory, volume))
}

// mountLoop mounts the image, and makes device nodes when the machine's run out: without udev nobody else does.
func mountLoop(image, mountPoint string) error {
	mount := func() error { return command("mount", "-o", "loop,noatime", image, mountPoint) }
	first := mount()
	if first == nil {
		return nil
	}
	for minor := range loopDevicesMost {
		path := fmt.Sprintf("/dev/loop%d", minor)
		if err := syscall.Mknod(path, syscall.S_IFBLK|0o660, loopMajor<<8|minor); err != nil && !errors.Is(err, fs.ErrExist) {
			return errors.Join(first, fmt.Errorf("make %s: %w", path, err))
		}
	}
	klog.InfoS("made loop device nodes", "because", first.Error())
	return mount()
}

func isMounted(path string) (bool, error) {
	mounted, err := mountedAt(path)
	return mounted.device != "", err
}

type mounted struct {
	device, fileSystem string
}

// mountedAt returns what is mounted at path, or nothing.
func mountedAt(path string) (mounted, error) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return mounted{}, err
	}
	var found mounted
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == path {
			found = mounted{device: fields[0], fileSystem: fields[2]}
		}
	}
	return found, nil
}

func command(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
