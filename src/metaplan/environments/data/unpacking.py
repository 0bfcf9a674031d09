"""Unpacks archives, once, into the cache."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from metaplan.core import DataError, digest
from metaplan.environments.data.directories import cache_directory, locked
from metaplan.environments.data.progress import show

__all__ = ["unpacked"]

_DAMAGED = (
    OSError, EOFError, tarfile.TarError, lzma.LZMAError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def unpacked(archive: Path) -> Path:
    """The directory with an archive's files: unpacked into the cache once, then reused.

    Safe to call from several processes at a time, and after one was killed in the middle: files
    go into a temporary directory, which gets its name when it is complete.

    Raises:
        DataError: The archive is damaged, or the disk is full.
    """
    stem = archive.name.split(".", 1)[0]
    target = (
        cache_directory() / "unpacked" / f"{stem}-{digest(archive.name, archive.stat().st_size)}"
    )
    if target.is_dir():
        return target
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_name(target.name + ".lock")):
        if not target.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _extract(archive, partial)
                partial.rename(target)
            except _DAMAGED as error:
                shutil.rmtree(partial, ignore_errors=True)
                raise DataError(f"{archive} can't be unpacked: {error}") from error
    return target


def _extract(archive: Path, target: Path) -> None:
    """Unpacks below `target`; members that would end up elsewhere are refused."""
    written = 0
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                zipped.extract(entry, target)
                written += entry.file_size
                show(f"unpacking {archive.name}: {written / 1e6:.0f} MB")
    else:
        with tarfile.open(archive) as tarred:
            for member in tarred:
                tarred.extract(member, target, filter="data")
                written += member.size
                show(f"unpacking {archive.name}: {written / 1e6:.0f} MB")
    show("")
