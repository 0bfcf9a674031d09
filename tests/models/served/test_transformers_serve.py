"""The client against `transformers serve` with a small model of ours."""

import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from metaplan.core import ContextLimitError, ModelFault, UserError
from metaplan.models import LocalModel, Sampling
from metaplan.training import ScratchSettings, create_scratch_model

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("fastapi", "uvicorn", "transformers"))),
    reason="needs the packages of `transformers serve`: fastapi, uvicorn",
)

PLAN = "<meta_plan>\nStep 1: Take the mug.\nStep 2: Go to the fridge.\n</meta_plan>"
CHAT = [{"role": "user", "content": "You see a mug, a plate, an apple."}]
WARM = Sampling(temperature=0.9, max_tokens=16, seed=3)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    size = ScratchSettings(
        hidden_size=32, layers=1, heads=2, intermediate_size=64, context=128, seed=5
    )
    words = "You see a mug, a plate, an apple. Take the fridge"
    return create_scratch_model([PLAN, words], tmp_path_factory.mktemp("served") / "tiny", size)


@pytest.fixture(scope="module")
def endpoint(model_dir):
    """The base URL of a running `transformers serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(model_dir)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = model_dir.parent / "serve.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )
        try:
            wait_until_healthy(server, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(20)


def wait_until_healthy(server, url, log):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with opener.open(url, timeout=5) as response:
                assert json.load(response) == {"status": "ok"}
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail("transformers serve does not come up")


@pytest.fixture
def served(client_of, endpoint, model_dir):
    return client_of(endpoint, model=str(model_dir))


def texts(completions):
    return [completion.text for completion in completions]


async def test_greedy_replies_are_those_of_the_model_itself(served, model_dir):
    local = LocalModel(Path(model_dir))
    greedy = Sampling(max_tokens=16)
    here, there = await local.complete(CHAT, greedy), await served.complete(CHAT, greedy)
    await local.close()
    assert there == here  # with usage and finish_reason


async def test_several_completions_differ_and_come_back_with_their_seed(served):
    first = await served.complete(CHAT, WARM, n=4)
    assert len(set(texts(first))) > 1  # its generation_config.json says do_sample
    assert await served.complete(CHAT, WARM, n=1) == first[:1]
    other = await served.complete(CHAT, WARM.model_copy(update={"seed": 4}))
    assert other != first[:1]
    assert served.usage.requests == 6  # it ignores n


async def test_temperature_zero_repeats_itself(served):
    assert len(set(texts(await served.complete(CHAT, Sampling(max_tokens=16), n=3)))) == 1


async def test_stop_strings_hold_whatever_the_server_makes_of_them(served):
    [whole] = await served.complete(CHAT, WARM)
    stop = whole.text[len(whole.text) // 2 :][:2]
    [cut] = await served.complete(CHAT, WARM.model_copy(update={"stop": (stop,)}))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"


async def test_many_at_a_time_are_each_answered(served):
    words = ("mug", "plate", "apple", "fridge")
    chats = [[{"role": "user", "content": f"You see a {word}."}] for word in words]
    greedy = Sampling(max_tokens=8)
    together = await asyncio.gather(*(served.complete(chat, greedy) for chat in chats * 4))
    alone = [await served.complete(chat, greedy) for chat in chats]
    assert together == alone * 4


async def test_the_context_is_ours_to_watch(client_of, endpoint, model_dir):
    long = [{"role": "user", "content": "You see a mug. " * 30}]
    assert await client_of(endpoint, model=str(model_dir)).complete(long, Sampling(max_tokens=8))
    watched = client_of(endpoint, model=str(model_dir), context_tokens=128)
    with pytest.raises(ContextLimitError, match="exceed 128"):
        await watched.complete(long, Sampling(max_tokens=8))


async def test_wrong_name_and_wrong_path_are_told_apart(client_of, endpoint, model_dir):
    with pytest.raises(ModelFault, match="requested 'another'"):
        await client_of(endpoint, model="another").complete(CHAT, WARM)
    elsewhere = client_of(endpoint.removesuffix("/v1"), model=str(model_dir))
    with pytest.raises(UserError, match=r"HTTP 404.*mostly ends in /v1"):
        await elsewhere.complete(CHAT, WARM)


async def test_a_started_reply_is_refused_and_not_answered_instead(client_of, endpoint, model_dir):
    model = client_of(endpoint, model=str(model_dir), can_continue=True)
    started = [*CHAT, {"role": "assistant", "content": "Step 1: "}]
    with pytest.raises(ModelFault, match="continue_final_message"):
        await model.complete(started, WARM)
