import http.server
import json
import multiprocessing
import tarfile
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from metaplan.core import DataError, UserError
from metaplan.environments.data import (
    DataSource,
    cache_directory,
    check_data,
    data_directory,
    data_sources,
    fetch,
    get_source,
    unpacked,
)

CONTENT = bytes(range(256)) * 8192  # 2 MB


@pytest.fixture(autouse=True)
def directories(tmp_path, monkeypatch):
    monkeypatch.setenv("METAPLAN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "official"))


class _Server(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    ranges = True
    cut_after: int | None = None

    def do_GET(self):
        asked = self.headers.get("Range", "")
        _Server.asked.append(asked)
        begin = int(asked[6:-1]) if asked and self.ranges else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.end_headers()
        self.wfile.write(CONTENT[begin : self.cut_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A web server on this machine that has one file."""
    _Server.asked, _Server.ranges, _Server.cut_after = [], True, None
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/file.zip"
    running.shutdown()
    running.server_close()


def source(url):
    return DataSource(name="file.zip", benchmark="alfworld", holds="a file", url=url)


def test_a_file_is_fetched_once(server):
    path = fetch(source(server))
    assert path == data_directory() / "alfworld" / "file.zip"
    assert path.read_bytes() == CONTENT
    assert fetch(source(server)) == path
    assert len(_Server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_or_starts_again(server, ranges):
    _Server.cut_after, _Server.ranges = 1_000_000, ranges
    with pytest.raises(DataError, match=r"could not be fetched"):
        fetch(source(server))
    assert not source(server).path.exists()
    _Server.cut_after = None
    assert fetch(source(server)).read_bytes() == CONTENT
    assert _Server.asked == ["", "bytes=1000000-"]


def test_without_network_the_message_says_what_to_put_where():
    closed = source("http://127.0.0.1:9/file.zip")
    with pytest.raises(DataError) as caught:
        fetch(closed)
    assert closed.url in str(caught.value)
    assert str(closed.path) in str(caught.value)


def test_an_archive_without_address_says_where_to_put_it():
    with pytest.raises(DataError, match=r"put it at .*alfworld/file\.zip"):
        fetch(source(None))


def test_an_unknown_archive_is_answered_with_the_known_ones():
    assert get_source(data_sources()[0].name) == data_sources()[0]
    with pytest.raises(UserError, match=r"json_2\.1\.3_tw-pddl\.zip"):
        get_source("games.rar")


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


def test_a_damaged_archive_is_named(tmp_path):
    damaged = tmp_path / "bad.tar.xz"
    damaged.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"bad\.tar\.xz can't be unpacked"):
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
    reports = {report.task_set: report for report in check_data()}
    report = reports["valid_seen@move"]
    assert (report.count, report.expected) == (3, 140)
    counted, lacking = report.problems
    assert "3 games instead of 140" in counted
    assert "pick_and_place_simple-b" in lacking
    assert "pddl_domain" in lacking
    assert reports["train@move"].directory is None
