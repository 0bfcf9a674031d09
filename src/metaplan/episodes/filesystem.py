"""Whether a directory is on a network mount, where SQLite's WAL is not safe."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_network_mount"]

_NETWORK_TYPES = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.gcsfuse", "fuse.s3fs", "fuse.sshfs", "glusterfs",
    "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs", "virtiofs", "wekafs",
}  # fmt: skip
_ESCAPED = re.compile(r"\\([0-7]{3})")  # how the kernel writes spaces in mount points


def is_network_mount(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether several machines may see the file system that a path is on.

    Args:
        path: Need not exist.
        mounts: The kernel's table of mounts; where there is none (macOS), the answer is no.
    """
    try:
        lines = mounts.read_text("utf-8").splitlines()
    except OSError:
        return False
    place = path.resolve()
    best, kind = "", ""
    for _, written, type_ in (line.split(" ")[:3] for line in lines if line.count(" ") > 1):
        point = _ESCAPED.sub(lambda octal: chr(int(octal.group(1), 8)), written)
        if len(point) >= len(best) and place.is_relative_to(point):
            best, kind = point, type_
    return kind in _NETWORK_TYPES
