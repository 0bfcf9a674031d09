"""Gets files from their official sources, and tells good ones from damaged ones."""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from metaplan.core import DataError
from metaplan.environments.data.directories import cache_directory, locked
from metaplan.environments.data.progress import show
from metaplan.environments.data.records import DataSource

__all__ = ["damage", "fetch", "fetch_all"]

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


def fetch_all(sources: Iterable[DataSource]) -> Iterator[Path]:
    """Downloads files into the data directory, each as `fetch` does.

    Yields:
        The path of each file that is there, as soon as it is.

    Raises:
        DataError: After the last one, if some could not be fetched: the message says for each of
            them why, its address, and where to put it.
    """
    failed: list[tuple[DataSource, str]] = []
    for source in sources:
        try:
            yield fetch(source)
        except DataError as error:
            failed.append((source, str(error)))
    if failed:
        raise DataError("\n".join([*_reasons(failed), *_by_hand(failed)]))


def _reasons(failed: list[tuple[DataSource, str]]) -> Iterator[str]:
    yield f"{len(failed)} file{'s' * (len(failed) > 1)} could not be fetched:"
    for _, reason in failed:
        yield f"  {reason}"


def _by_hand(failed: list[tuple[DataSource, str]]) -> Iterator[str]:
    yield "Try again, or download elsewhere and put each file in its place:"
    for source, _ in failed:
        yield f"  {source.url or 'a copy of yours'}"
        yield f"    -> {source.path}"


def fetch(source: DataSource) -> Path:
    """Downloads a file into the data directory; goes on where an earlier attempt stopped.

    An attempt that stops leaves ``<name>.partial``. A whole file that is not the right one is
    removed, so that the next attempt starts again.

    Returns:
        The file's path; if it is there already and not damaged, nothing is downloaded.

    Raises:
        DataError: The file there is damaged; or it has no address, the server does not give it, or
            it can't be written.
    """
    with locked(cache_directory() / "fetch.lock"):
        if source.path.exists():
            if problem := damage(source):
                raise DataError(f"{problem}: remove it, and it can be fetched again")
            return source.path
        if source.url is None:
            raise DataError(f"{source.name} has no public address")
        partial = source.path.with_name(source.path.name + ".partial")
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            _download(source.url, partial)
            if problem := _problem(source, partial):
                partial.unlink()
                raise DataError(f"what {source.url} gave {problem}; it was removed")
            partial.replace(source.path)
        except (urllib.error.URLError, http.client.HTTPException, ssl.SSLError) as error:
            raise DataError(f"{source.name}: {_words(error)}") from error
        except (TimeoutError, ConnectionError) as error:
            raise DataError(f"{source.name}: the connection broke ({error})") from error
        except OSError as error:
            raise DataError(f"{source.path} can't be written: {error.strerror}") from error
    return source.path


def _words(error: Exception) -> str:
    match error:
        case urllib.error.HTTPError():
            return f"the server answers {error.code} {error.reason}"
        case urllib.error.URLError():
            return f"no connection ({error.reason})"
        case _:
            return f"the server's answer is broken ({type(error).__name__}: {error})"


def _download(url: str, partial: Path) -> None:
    begun = partial.stat().st_size if partial.exists() else 0
    try:
        answer = _open(url, begun)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_NOT_SATISFIABLE or not begun:
            raise
        begun, answer = 0, _open(url, 0)  # the file is shorter than what is here: start again
    with answer:
        done = begun if answer.status == _PARTIAL_CONTENT else 0
        total = done + int(answer.headers.get("Content-Length", 0))
        with partial.open("ab" if done else "wb") as file:
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                show(f"{partial.stem}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")
    show("")
    if done < total:
        raise ConnectionError(f"it ended after {done} of {total} bytes; the next attempt goes on")


def _open(url: str, begun: int) -> http.client.HTTPResponse:
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 (addresses of our own)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    return answer


def damage(source: DataSource) -> str | None:
    """What is wrong with a file in the data directory, with its path.

    Returns:
        None for a file that is not there, and for one with nothing wrong as far as is known: size,
        checksum, format.
    """
    if not source.path.exists():
        return None
    problem = _problem(source, source.path)
    return f"{source.path} {problem}" if problem else None


def _problem(source: DataSource, path: Path) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(256).lstrip().startswith(b"<"):
            return "is a web page, as proxies and log-in pages send, and not the file"
        file.seek(0)
        if source.size_bytes not in {None, size}:
            return f"has {size:,} bytes instead of {source.size_bytes:,}"
        if source.sha256 is not None:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != source.sha256:
                return f"has the SHA-256 {found} instead of {source.sha256}"
    if source.path.suffix == ".zip" and not zipfile.is_zipfile(path):
        return "is no whole zip archive"
    return None
