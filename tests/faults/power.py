"""A disk that loses its power: an ext4 image, mounted and shut down without a flush of its log."""

import fcntl
import os
import shutil
import struct
import subprocess
import time

import pytest
from attrs import define

_SHUTDOWN = 0x8004587D
"""`EXT4_IOC_SHUTDOWN` of the kernel's `fs/ext4/ext4.h`."""

_WITHOUT_LOG_FLUSH = 2
_SIZE = 64 * 1024 * 1024


@define
class Disk:
    """An image in a file and the place where it is mounted."""

    image: os.PathLike
    mount_point: os.PathLike

    @classmethod
    def make(cls, place):
        """Make one below *place* and mount it, or skip the test where that cannot be."""
        if os.geteuid() != 0:
            pytest.skip("only root may mount an image")
        if not shutil.which("mkfs.ext4") or not shutil.which("mount"):
            pytest.skip("no mkfs.ext4 or mount")
        disk = cls(place / "image", place / "mount")
        disk.mount_point.mkdir()
        with disk.image.open("wb") as file:
            file.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-F", str(disk.image))
        tried = disk._try_to_mount()
        if tried.returncode:
            pytest.skip(f"no image can be mounted here: {tried.stderr.strip()}")
        return disk

    def cut_power(self):
        """Lose whatever was not synced; every call fails from now on. Return when that was."""
        fd = os.open(self.mount_point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Taken before the cut: what is acknowledged later cannot have been kept.
            before_ns = time.monotonic_ns()
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _WITHOUT_LOG_FLUSH))
        finally:
            os.close(fd)
        return before_ns

    def restore_power(self):
        """Mount it again: the file system takes up its log as it would after a boot."""
        _run("umount", str(self.mount_point))
        assert not self._try_to_mount().returncode

    def remove(self):
        """Unmount it; the loop device goes with the mount."""
        if os.path.ismount(self.mount_point):
            # Lazily: a process that a failed test left behind may still be in it.
            _run("umount", "--lazy", str(self.mount_point))

    def _try_to_mount(self):
        command = ["mount", "-o", "loop", str(self.image), str(self.mount_point)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _run(*command):
    subprocess.run(command, check=True, capture_output=True)
