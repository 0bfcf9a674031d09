"""Compiles the Java classes of this folder into the jar beside them.

    python -m metaplan.environments.scienceworld.jvm.build

Needs ``javac`` (17 or newer) and the package ``scienceworld``. The jar runs on Java 11 and newer;
its manifest names the digest of the sources and the compiler, and it is the same to the byte
whenever the same compiler compiles the same sources.
"""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from pathlib import Path

from metaplan.core import digest
from metaplan.environments.scienceworld.jvm import JAR, SOURCES

__all__ = ["build", "compiler", "manifest", "source_digest"]

_OLDEST_JAVA = "11"
_MANIFEST = "META-INF/MANIFEST.MF"
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows


def build(jar: Path = JAR) -> None:
    """Compiles the sources and writes the jar.

    Raises:
        FileNotFoundError: There is no ``javac``.
        CalledProcessError: The sources do not compile.
    """
    from scienceworld.constants import JAR_PATH

    with tempfile.TemporaryDirectory() as folder:
        options = ["--release", _OLDEST_JAVA, "-classpath", JAR_PATH, "-d", folder]
        _javac("-Xlint:all,-classfile", *options, *map(str, SOURCES))
        entries = {_MANIFEST: _manifest_text().encode()}
        for path in sorted(Path(folder).rglob("*.class")):
            entries[path.relative_to(folder).as_posix()] = path.read_bytes()
    partial = jar.with_suffix(".partial")  # a JVM may be reading the old one
    with zipfile.ZipFile(partial, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)
    partial.replace(jar)


def manifest(jar: Path = JAR) -> dict[str, str]:
    """What a jar says of itself; ``Sources`` is their digest, ``Compiler`` what compiled them."""
    with zipfile.ZipFile(jar) as archive:
        lines = archive.read(_MANIFEST).decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines if line)


def source_digest() -> str:
    """Identifies the sources."""
    return digest(*[[path.name, path.read_text("utf-8")] for path in SOURCES])


def compiler() -> str:
    """The version of ``javac`` here, e.g. ``javac 17.0.15``.

    Raises:
        FileNotFoundError: There is none.
    """
    return _javac("-version").strip()


def _manifest_text() -> str:
    facts = {"Manifest-Version": "1.0", "Compiler": compiler(), "Sources": source_digest()}
    return "".join(f"{name}: {value}\r\n" for name, value in facts.items()) + "\r\n"


def _javac(*arguments: str) -> str:
    done = subprocess.run(["javac", *arguments], check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout


if __name__ == "__main__":
    build()
