"""Endpoints: what stands between a run and its models is named, and no key is."""

import socket

import pytest
from openai_server import OpenAIServer, Reply, error

from metaplan.recipes import load_recipe
from metaplan.runs.doctor import Verdict, carry_out
from metaplan.runs.doctor.models import model_checks

KEY = "sk-very-secret-0123456789"


class ListingServer(OpenAIServer):
    """A server that says which models it has, too."""

    def __init__(self, *names, **options):
        super().__init__(**options)
        listing = {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}

        class Handler(self._server.RequestHandlerClass):
            def do_GET(self):  # noqa: N802
                self._respond(Reply(body=listing if self.path == "/v1/models" else b""))

        self._server.RequestHandlerClass = Handler


def examine(url, model="tiny", *more):
    asked = (f"agent.served.model={model}", f"agent.served.urls=[{url}]")
    config = load_recipe("quick-openai", [*asked, "evaluate.methods=[none]", *more])
    return list(carry_out(list(model_checks(config))))


def test_a_server_that_answers_is_fine():
    with ListingServer("tiny", "large") as server:
        (finding,) = examine(server.url)
    assert finding.verdict is Verdict.FINE
    assert f"tiny at {server.url} answers in " in finding.fact
    (request,) = server.requests
    assert request["max_tokens"] <= 16  # it costs next to nothing


def test_a_server_without_a_list_is_fine_too():
    with OpenAIServer() as server:
        (finding,) = examine(server.url)
    assert finding.verdict is Verdict.FINE


def test_a_server_that_answers_whatever_it_is_asked_for_is_noted():
    with ListingServer("qwen", "llama") as server:
        (finding,) = examine(server.url)
    assert finding.verdict is Verdict.NOTE
    assert "qwen, llama" in finding.remedy


def test_a_wrong_name_is_answered_with_the_right_ones():
    fault = error(404, "The model `tiny` does not exist")
    with ListingServer("qwen", "llama", fault=lambda number, body: fault) as server:
        (finding,) = examine(server.url)
    assert finding.verdict is Verdict.BROKEN
    assert "does not exist" in finding.fact
    assert "qwen, llama" in finding.remedy


def test_a_wrong_key_is_said_and_not_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    refusal = error(401, f"Incorrect API key provided: {KEY}")
    with ListingServer("tiny", fault=lambda number, body: refusal) as server:
        (finding,) = examine(server.url, "tiny", "agent.served.api_key_env=MY_KEY")
    assert finding.verdict is Verdict.BROKEN
    assert "MY_KEY" in finding.fact
    assert KEY not in str(finding)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_missing_key_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    url = "https://api.example.com/v1"
    (finding,) = examine(url, "tiny", "agent.served.api_key_env=MY_KEY")
    assert finding.verdict is Verdict.BROKEN
    assert finding.remedy == "export MY_KEY=…"


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_a_port_where_nobody_listens_is_said():
    port = closed_port()
    (finding,) = examine(f"http://127.0.0.1:{port}/v1")
    assert finding.verdict is Verdict.BROKEN
    assert f"nothing can be reached at 127.0.0.1, port {port}" in finding.fact
    assert "start the server" in finding.remedy


def test_a_name_that_nobody_knows_is_said():
    (finding,) = examine("http://no-such-host.invalid:8000/v1", "t", "agent.served.api_key_env=K")
    assert finding.verdict is Verdict.BROKEN


def test_an_unknown_host_of_the_private_network_is_said():
    (finding,) = examine("http://nosuchhost:8000/v1")
    assert finding.verdict is Verdict.BROKEN
    assert "the name nosuchhost is not known here" in finding.fact


def test_a_proxy_that_is_gone_is_said_without_its_password(monkeypatch):
    port = closed_port()
    monkeypatch.setenv("https_proxy", f"http://me:{KEY}@127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("MY_KEY", KEY)
    url = "https://api.example.com/v1"
    (finding,) = examine(url, "tiny", "agent.served.api_key_env=MY_KEY")
    assert finding.verdict is Verdict.BROKEN
    assert f"127.0.0.1, port {port}" in finding.fact
    assert "https_proxy" in finding.remedy
    assert KEY not in str(finding)


def test_https_where_there_is_none_is_said():
    with OpenAIServer() as server:
        (finding,) = examine(server.url.replace("http:", "https:"))
    assert finding.verdict is Verdict.BROKEN
    assert "no encrypted connection" in finding.fact


@pytest.mark.parametrize("reply", [Reply(503, b"<html>gone</html>"), Reply(body=b"{'garbage")])
def test_a_server_that_is_ill_is_said(reply):
    with OpenAIServer(fault=lambda number, body: reply) as server:
        (finding,) = examine(server.url)
    assert finding.verdict is Verdict.BROKEN
    assert finding.remedy


def test_a_server_that_hangs_ends_in_time():
    with OpenAIServer(fault=lambda number, body: Reply(delay_s=3600.0)) as server:
        (finding,) = examine(server.url, "tiny", "agent.served.timeout_s=0.5")
    assert finding.verdict is Verdict.BROKEN
    assert "no answer within 0.5 s" in finding.fact


def test_each_endpoint_is_asked_once(monkeypatch):
    with ListingServer("tiny") as one, ListingServer("tiny") as two:
        served = f"{{model: tiny, urls: [{one.url}]}}"
        found = examine(
            f"{one.url}, {two.url}",
            "tiny",
            f"prompted.served={served}",
            "evaluate.methods=[none, prompted]",
        )
    assert [finding.verdict for finding in found] == [Verdict.FINE] * 2
    assert len(one.requests) == len(two.requests) == 1


def test_weights_that_are_not_here_are_noted_and_a_wrong_directory_is_not_taken(tmp_path):
    def planner(base):
        config = load_recipe("household-demo", [f"planner.base={base}"])
        (finding,) = carry_out(list(model_checks(config)))
        return finding

    assert planner("nobody/no-such-model").verdict is Verdict.NOTE
    assert planner(tmp_path).verdict is Verdict.BROKEN
    (wrong,) = carry_out(
        list(model_checks(load_recipe("household-agent", [f"tuning.base={tmp_path}"])))
    )
    assert (wrong.verdict, wrong.subject) == (Verdict.BROKEN, "tuning")
    assert "tuning.base" in wrong.remedy
    (tmp_path / "config.json").write_text("{}")
    assert planner(tmp_path).verdict is Verdict.FINE
