import hashlib
import http.server
import json
import multiprocessing
import os
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from metaplan.core import DataError
from metaplan.environments import get_benchmark
from metaplan.environments.data import (
    DataSource,
    cache_directory,
    damage,
    data_directory,
    fetch,
    fetch_all,
    fetching,
    unpacked,
)

CONTENT = bytes(range(256)) * 8192  # 2 MB
WEB_PAGE = b"\n<!DOCTYPE html><title>Please log in</title>"


@pytest.fixture(autouse=True)
def directories(tmp_path, monkeypatch):
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "official"))


class _Server(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    ranges = True
    cut_after: int | None = None
    content = CONTENT

    def do_GET(self):
        asked = self.headers.get("Range", "")
        _Server.asked.append(asked)
        if "status" in self.path:  # /status/404
            self.send_error(int(self.path.rpartition("/")[2]))
        elif "redirect" in self.path:
            self.send_response(302)
            self.send_header("Location", "/file.bin")
            self.end_headers()
        elif "garbage" in self.path:
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        elif "silent" in self.path:
            time.sleep(1.0)
        else:
            self._send(int(asked[6:-1]) if asked and self.ranges else 0)

    def _send(self, begin):
        if begin and begin >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin : self.cut_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A web server on this machine; its address."""
    _Server.asked, _Server.ranges, _Server.cut_after, _Server.content = [], True, None, CONTENT
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def source(url, name="chess/file.bin", **facts):
    return DataSource(name=name, holds="a file", url=url, **facts)


def known(url):
    return source(url, size_bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


def partial_of(wanted):
    return wanted.path.with_name(wanted.path.name + ".partial")


def test_a_file_is_fetched_once(server):
    path = fetch(known(f"{server}/file.bin"))
    assert path == data_directory() / "chess" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert fetch(known(f"{server}/file.bin")) == path
    assert len(_Server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("way", ["file.bin", "redirect"])
def test_a_broken_download_goes_on_or_starts_again(server, ranges, way):
    wanted = known(f"{server}/{way}")
    _Server.cut_after, _Server.ranges = 1_000_000, ranges
    with pytest.raises(DataError, match="ended after 1000000 of 2097152 bytes"):
        fetch(wanted)
    assert not wanted.path.exists()
    assert partial_of(wanted).stat().st_size == 1_000_000
    _Server.cut_after = None
    assert fetch(wanted).read_bytes() == CONTENT
    assert _Server.asked[-1] == "bytes=1000000-"
    assert not partial_of(wanted).exists()


def test_a_beginning_longer_than_the_file_is_thrown_away(server):
    wanted = known(f"{server}/file.bin")
    wanted.path.parent.mkdir(parents=True)
    partial_of(wanted).write_bytes(CONTENT + b"more")
    assert fetch(wanted).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (WEB_PAGE, "is a web page"),
        (CONTENT[:-1], "has 2,097,151 bytes instead of 2,097,152"),
        (CONTENT[:-1] + b"x", "has the SHA-256 [0-9a-f]{64} instead of"),
        (b"", "has 0 bytes"),
    ],
)
def test_a_wrong_file_is_removed_and_the_right_one_can_be_fetched(server, content, problem):
    wanted = known(f"{server}/file.bin")
    _Server.content = content
    with pytest.raises(DataError, match=problem):
        fetch(wanted)
    assert list(wanted.path.parent.iterdir()) == []
    _Server.content = CONTENT
    assert fetch(wanted).read_bytes() == CONTENT


def test_an_archive_without_known_checksum_must_at_least_be_whole(server, tmp_path):
    with zipfile.ZipFile(tmp_path / "games.zip", "w") as archive:
        archive.writestr("game", "text" * 10_000)
    whole = (tmp_path / "games.zip").read_bytes()
    wanted = source(f"{server}/games.zip", "chess/games.zip")
    _Server.content = whole[:-30]
    with pytest.raises(DataError, match="is no whole zip archive"):
        fetch(wanted)
    _Server.content = whole
    assert fetch(wanted).read_bytes() == whole


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("status/404", "the server answers 404 Not Found"),
        ("status/500", "the server answers 500 Internal Server Error"),
        ("status/407", "the server answers 407 Proxy Authentication Required"),
        ("garbage", "the server's answer is broken"),
        ("silent", "the connection broke|no connection"),
    ],
)
def test_what_a_server_does_wrong_is_said(server, way, reason, monkeypatch):
    monkeypatch.setattr(fetching, "_TIMEOUT_S", 0.2)
    with pytest.raises(DataError, match=reason):
        fetch(source(f"{server}/{way}"))


def test_what_can_be_fetched_is_kept_and_one_message_says_what_goes_where(server):
    good = known(f"{server}/file.bin")
    gone = source(f"{server}/status/404", "chess/gone.zip")
    closed = source("http://127.0.0.1:9/closed.zip", "go/closed.zip")
    private = replace(good, name="chess/private.zip", url=None)
    fetched = []
    with pytest.raises(DataError) as caught:
        fetched.extend(fetch_all([gone, good, closed, private]))
    assert fetched == [good.path]
    message = str(caught.value)
    assert message.startswith("3 files could not be fetched:")
    assert "chess/gone.zip: the server answers 404" in message
    assert "go/closed.zip: no connection" in message
    assert "chess/private.zip has no public address" in message
    for failed in (gone, closed):
        assert f"{failed.url}\n    -> {failed.path}" in message
    assert f"a copy of yours\n    -> {private.path}" in message


def test_a_directory_that_cannot_be_written_is_named(server):
    data_directory().parent.mkdir(parents=True, exist_ok=True)
    data_directory().write_text("a file where the directory should be")
    with pytest.raises(DataError, match=r"data/chess/file\.bin can't be written"):
        fetch(known(f"{server}/file.bin"))


def test_a_damaged_file_is_named_and_not_overwritten(server):
    mine = known(f"{server}/file.bin")
    assert damage(mine) is None  # absent is not damaged
    mine.path.parent.mkdir(parents=True)
    mine.path.write_bytes(b"my own")
    assert str(mine.path) in damage(mine)
    with pytest.raises(DataError, match="remove it, and it can be fetched again"):
        fetch(mine)
    assert mine.path.read_bytes() == b"my own"
    assert _Server.asked == []


def test_processes_that_fetch_together_download_once(server):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.map(fetch, [known(f"{server}/file.bin")] * 4))) == 1
    assert len(_Server.asked) == 1


def make_archive(folder: Path) -> Path:
    (folder / "raw" / "a").mkdir(parents=True)
    (folder / "raw" / "a" / "file").write_text("text")
    with tarfile.open(folder / "some.tar.xz", "w:xz") as archive:
        archive.add(folder / "raw", ".")
    return folder / "some.tar.xz"


def test_an_interrupted_unpacking_is_done_again(tmp_path):
    archive = make_archive(tmp_path)
    target = unpacked(archive)
    assert (target / "a" / "file").read_text() == "text"
    partial = target.with_name(target.name + ".partial")
    target.rename(partial)  # what a kill in the middle leaves
    (partial / "a" / "file").unlink()
    assert (unpacked(archive) / "a" / "file").read_text() == "text"
    assert not partial.exists()


def test_an_unpacked_archive_is_left_alone(tmp_path):
    archive = make_archive(tmp_path)
    (unpacked(archive) / "mark").touch()
    assert (unpacked(archive) / "mark").exists()
    assert unpacked(archive).is_relative_to(cache_directory())


def test_processes_that_unpack_together_do_not_disturb_each_other(tmp_path):
    archive = make_archive(tmp_path)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert len(set(pool.map(unpacked, [archive] * 4))) == 1


def _cut(path):
    os.truncate(path, path.stat().st_size // 2)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def _replace(path):
    path.write_bytes(b"no archive")


@pytest.mark.parametrize("harm", [_cut, _flip, _replace])
@pytest.mark.parametrize("kind", ["tar.xz", "zip"])
def test_a_damaged_archive_is_named(tmp_path, harm, kind):
    content = os.urandom(50_000)
    (tmp_path / "file").write_bytes(content)
    damaged = tmp_path / f"bad.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "file", "file")
    else:
        with tarfile.open(damaged, "w:xz") as archive:
            archive.add(tmp_path / "file", "file")
    harm(damaged)
    with pytest.raises(DataError, match=rf"bad\.{kind} can't be unpacked"):
        unpacked(damaged)
    assert not list((cache_directory() / "unpacked").glob("*.partial"))


def test_an_archive_cannot_write_outside_its_directory(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(__file__, "../../outside")
    with pytest.raises(DataError, match="can't be unpacked"):
        unpacked(tmp_path / "evil.tar")
    assert not list(tmp_path.rglob("outside"))


def test_the_check_counts_games_and_names_bad_ones(tiny_game_in):
    root = data_directory() / "json_2.1.3" / "valid_seen"
    game = tiny_game_in("move")
    for name, content in {"a": game, "b": {**game, "pddl_domain": None}, "c": game}.items():
        (root / f"pick_and_place_simple-{name}" / "t").mkdir(parents=True)
        path = root / f"pick_and_place_simple-{name}" / "t" / "game.tw-pddl"
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
    reports = {report.task_set: report for report in get_benchmark("alfworld").data.audit()}
    report = reports["valid_seen@move"]
    assert (report.count, report.expected) == (3, 140)
    counted, lacking = report.problems
    assert "3 games instead of 140" in counted
    assert "pick_and_place_simple-b" in lacking
    assert "pddl_domain" in lacking
    assert reports["train@move"].directory is None


def test_the_check_goes_on_after_an_archive_that_cannot_be_unpacked():
    damaged = data_directory() / "alfworld" / "alfworld_train.tar.xz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no archive")
    reports = {report.task_set: report for report in get_benchmark("alfworld").data.audit()}
    assert str(damaged) in reports["train@put"].problems[0]
    assert [name for name, report in reports.items() if report.problems] == ["train@put"]
    assert len(reports) == 6


def test_every_file_has_one_place_and_an_encrypted_address():
    sources = [
        file for name in ("alfworld", "scienceworld") for file in get_benchmark(name).data.sources
    ]
    assert len({file.path for file in sources}) == len(sources)
    for file in sources:
        assert file.path.is_relative_to(data_directory())
        assert file.url is None or file.url.startswith("https://")
        assert file.url is None or file.url.endswith(f"/{file.path.name}")
        assert file.sha256 is None or len(file.sha256) == 64
