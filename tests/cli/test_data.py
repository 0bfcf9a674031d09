"""`metaplan data`, in a process of its own, without data and without network."""

import functools
import http.server
import os
import re
import shutil
import threading

import pytest

from metaplan.environments import get_benchmark

SOURCES = [
    source for name in ("alfworld", "scienceworld") for source in get_benchmark(name).data.sources
]


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def metaplan(metaplan_command, tmp_path, data):
    """The command, on a machine that has nothing."""
    elsewhere = {
        "METAPLAN_DATA": str(data),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "ALFWORLD_DATA": str(tmp_path / "official"),
        "HOME": str(tmp_path),
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }
    return functools.partial(metaplan_command, env=os.environ | elsewhere)


def words(table: str) -> set[str]:
    return set(table.replace("│", " ").split())


def test_every_file_is_listed_with_its_place(metaplan, data):
    (data / "alfworld").mkdir(parents=True)
    (data / "alfworld" / "alfworld_eval.tar.xz").write_bytes(bytes(1_230_000))
    (data / "alfworld" / "json_2.1.1_tw-pddl.zip.partial").write_bytes(bytes(2_340_000))
    answer = metaplan("data", "list")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"data directory: {data}\n")
    assert {source.name for source in SOURCES} <= words(answer.stdout)
    lines = {line.split()[1]: words(line) for line in answer.stdout.splitlines() if "│" in line}
    assert {"yes", "1.2"} <= lines["alfworld/alfworld_eval.tar.xz"]
    assert {"2.3", "fetch"} <= lines["alfworld/json_2.1.1_tw-pddl.zip"]
    assert {"no", "36.5", "known"} <= lines["alfworld/json_2.1.3_tw-pddl.zip"]


def test_without_network_one_message_says_what_goes_where(metaplan, data):
    answer = metaplan("data", "fetch")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Traceback" not in answer.stderr
    assert re.match(r"fetching \d+ files \([\d.]+ MB and \d+ of unknown size\)", answer.stderr)
    assert answer.stderr.count("error:") == 1
    for source in filter(lambda source: source.url, SOURCES):
        assert f"{source.url}\n    -> {data / source.name}" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "chess"], "no data called 'chess'; there is: alfworld, scienceworld, webshop, "),
        (["fetch", "household"], "no data called 'household'"),
        (["fetch", "alfworld_eval.tar.xz"], "a copy of yours"),
        (["check", "chess"], "no benchmark is called 'chess'"),
        (["check", "alfworld"], "there is no benchmark data in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_ends_with_one_message_and_exit_code_2(metaplan, arguments, message):
    answer = metaplan("data", *arguments)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert answer.stderr.count("error:") == 1
    assert answer.stdout == ""


@pytest.fixture
def bare_site(tmp_path):
    """What Python reads at its start where the extras are not installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import importlib.metadata, sys\n"
        "extras = {'alfworld', 'textworld', 'scienceworld'}\n"
        "sys.modules.update(dict.fromkeys(extras))\n"
        "find = importlib.metadata.Distribution.from_name\n"
        "def from_name(name):\n"
        "    if name in extras: raise importlib.metadata.PackageNotFoundError(name)\n"
        "    return find(name)\n"
        "importlib.metadata.Distribution.from_name = from_name\n"
    )
    return os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])


def without_extras(metaplan, bare_site):
    return functools.partial(metaplan, env=metaplan.keywords["env"] | {"PYTHONPATH": bare_site})


@pytest.mark.parametrize("verb", ["envs", "data"])
def test_an_absent_extra_is_named_with_the_command_that_brings_it(metaplan, bare_site, verb):
    answer = without_extras(metaplan, bare_site)(verb, "list")
    assert answer.returncode == 0, answer.stderr
    shown = " ".join(answer.stdout.replace("│", " ").split())
    assert "pip install 'metaplan[scienceworld]'" in shown
    assert "pip install 'metaplan[alfworld]'" in shown


def test_an_absent_extra_is_nothing_wrong_and_a_damaged_file_is(metaplan, bare_site, data):
    bare = without_extras(metaplan, bare_site)
    for source in SOURCES:
        if source.name.startswith("splits/sciworld"):
            (data / source.name).parent.mkdir(parents=True, exist_ok=True)
            (data / source.name).write_text("<html>404</html>")
    answer = bare("data", "check", "scienceworld")
    assert answer.returncode == 1, answer.stderr
    assert "pip install 'metaplan[scienceworld]'" in answer.stdout
    assert answer.stdout.count("is a web page") == 4
    shutil.rmtree(data)
    answer = bare("data", "check", "scienceworld")
    assert answer.returncode == 2
    assert "there is no benchmark data in" in answer.stderr


PLUGIN = """
import os
from dataclasses import replace
from metaplan.environments.data import BenchmarkData, DataReport, DataSource
from metaplan.environments.household import BENCHMARK as HOUSEHOLD

RULES = DataSource(name="chess/rules.txt", holds="the rules", url=os.environ["RULES"], size_bytes=5)

def audit():
    yield DataReport("chess", "train", RULES.path.parent, int(RULES.path.exists()), 1)

data = BenchmarkData(sources=(RULES,), audit=audit)
BENCHMARK = replace(HOUSEHOLD, name="chess", data=data)
"""


@pytest.fixture
def chess(metaplan, tmp_path):
    """The command where a third party's benchmarks are installed: one good, one broken."""
    site = tmp_path / "site"
    metadata = site / "chess-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "chess_plugin.py").write_text(PLUGIN)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: chess\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[metaplan.benchmarks]\nchess = chess_plugin:BENCHMARK\ngo = chess_plugin:NOTHING\n"
    )
    (tmp_path / "rules.txt").write_text("rules")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extra = {
            "PYTHONPATH": path,
            "RULES": f"http://127.0.0.1:{server.server_port}/rules.txt",
            "no_proxy": "127.0.0.1",
        }
        yield functools.partial(metaplan, env=metaplan.keywords["env"] | extra)
        server.shutdown()


def test_a_third_party_s_files_are_listed_fetched_and_checked(chess, data):
    assert {"chess/rules.txt", "5", "bytes"} <= words(chess("data", "list").stdout)
    fetched = chess("data", "fetch", "chess")
    assert (fetched.returncode, fetched.stdout) == (0, f"{data}/chess/rules.txt: 5 bytes\n")
    assert chess("data", "check", "chess").returncode == 0
    (data / "chess" / "rules.txt").write_text("other rules")
    checked = chess("data", "check", "chess")
    assert checked.returncode == 1
    assert "rules.txt has 11 bytes instead of 5" in checked.stdout


@pytest.mark.parametrize("verb", ["envs", "data"])
def test_a_broken_plugin_is_named_and_the_others_are_listed(chess, verb):
    answer = chess(verb, "list")
    assert answer.returncode == 0
    assert "left out: the benchmark 'go'" in answer.stderr
    assert {"alfworld", "chess"} <= words(answer.stdout)
