"""Disks of one's own: one whose power can be cut, a file system in a file, mounted by loop, shut down by FS_IOC_SHUTDOWN;
and one that is soon full, a tmpfs."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess

import pytest

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2  # what the journal has not written is lost, as when the power goes
SIZES = {"ext4": "96M", "xfs": "320M"}  # mkfs.xfs makes none below 300 MiB


class Disk:
    """A context manager: mounted at `folder` / "disk"; skips the test where that cannot be."""

    def __init__(self, folder, kind):
        if os.geteuid() != 0:
            pytest.skip("mounting a file system needs root")
        if shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(f"there is no mkfs.{kind}")
        self.image, self.root = folder / f"{kind}.image", folder / "disk"
        self.root.mkdir()
        subprocess.run(["truncate", "-s", SIZES[kind], self.image], check=True)
        subprocess.run([f"mkfs.{kind}", "-q", self.image], check=True)

    def __enter__(self):
        mounted = self.mount()
        if mounted.returncode != 0:
            pytest.skip(f"cannot mount a file system: {mounted.stderr.decode().strip()}")
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.root], capture_output=True, check=False)
        self.image.unlink()

    def mount(self):
        return subprocess.run(["mount", "-o", "loop", self.image, self.root], capture_output=True, check=False)

    def cut(self):
        """From now on nothing reaches the disk, and every call that would fails with EIO."""
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(root)

    def restart(self):
        """What was on the disk when the power went; nobody may have a file open."""
        subprocess.run(["umount", self.root], check=True)
        assert self.mount().returncode == 0


@contextlib.contextmanager
def tmpfs(folder, size):
    """`folder`, made, mounted with room for `size`; skips the test where that cannot be."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def make_room(folder):
    """A tmpfs has 256 MiB from now on."""
    subprocess.run(["mount", "-o", "remount,size=256m", folder], check=True)
