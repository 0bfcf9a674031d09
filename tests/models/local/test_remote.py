"""Engines in processes of their own: the same texts, and nothing lost or left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from metaplan.core import ModelFault
from metaplan.models.contract import Sampling
from metaplan.models.local import LocalModel
from metaplan.training import ScratchSettings, create_scratch_model

WORDS = ["mug", "plate", "apple", "knife", "fridge", "drawer", "countertop", "sinkbasin"]
SHORT = Sampling(max_tokens=40)
CHATS = [[{"role": "user", "content": f"You see a {word}."}] for word in WORDS]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    texts = [f"You see a {word}." for word in WORDS]
    size = ScratchSettings(hidden_size=32, layers=2, heads=2, intermediate_size=64, context=512)
    return create_scratch_model(texts, tmp_path_factory.mktemp("remote") / "tiny", size)


async def talk(model, number, turns=4):
    sampling = Sampling(temperature=0.8, max_tokens=12, seed=3)
    chat = [{"role": "user", "content": f"You see a mug and a {WORDS[number % 8]}."}]
    said = []
    for _ in range(turns):
        [completion] = await model.complete(chat, sampling, session=f"episode {number}")
        said.append(completion)
        chat.append({"role": "assistant", "content": completion.text})
        chat.append({"role": "user", "content": f"You see a {WORDS[len(chat) % 8]}."})
    return said


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text("utf-8").split()[2] != "Z"


def wait_until_ended(pids):
    end = time.monotonic() + 20
    while any(map(is_running, pids)):
        assert time.monotonic() < end, "still running"
        time.sleep(0.05)


async def test_engines_side_by_side_say_what_one_says_and_end_with_the_model(model_dir):
    said = []
    for engines in (1, 2):
        model = LocalModel(model_dir, engines=engines)
        said.append(await asyncio.gather(*(talk(model, at) for at in range(24))))
        pids = [worker.pid for worker in model._workers] if engines > 1 else []
        await model.close()
        wait_until_ended(pids)
    assert said[0] == said[1]


async def test_a_killed_engine_fails_what_it_had_and_another_takes_its_place(model_dir):
    model = LocalModel(model_dir, engines=2)
    expected = await asyncio.gather(*(model.complete(chat, SHORT) for chat in CHATS))
    long = Sampling(temperature=1.0, max_tokens=480, seed=1)
    asked = [asyncio.ensure_future(model.complete(chat, long, n=4)) for chat in CHATS]
    await asyncio.sleep(0.05)
    for worker in model._workers:
        os.kill(worker.pid, signal.SIGKILL)
    for request in asked:
        with pytest.raises(ModelFault, match=r"tiny: the process that generates ended .*SIGKILL"):
            await request
    assert expected == await asyncio.gather(*(model.complete(chat, SHORT) for chat in CHATS))
    await model.close()


async def test_cancelled_requests_make_room(model_dir):
    model = LocalModel(model_dir, engines=2, max_batch=2)
    long = Sampling(temperature=1.0, max_tokens=500, seed=1)
    for request in [asyncio.ensure_future(model.complete(chat, long)) for chat in CHATS * 20]:
        await asyncio.sleep(0)
        request.cancel()
    async with asyncio.timeout(20):
        assert await model.complete(CHATS[0], Sampling(max_tokens=4))
    await model.close()


async def test_closing_answers_what_was_asked(model_dir):
    model = LocalModel(model_dir, engines=2)
    asked = [asyncio.ensure_future(model.complete(chat, Sampling(max_tokens=40))) for chat in CHATS]
    await asyncio.sleep(0)
    await model.close()
    assert all(c.usage.completion_tokens for [c] in await asyncio.gather(*asked))
    with pytest.raises(ModelFault, match="closed"):
        await model.complete(CHATS[0], Sampling(max_tokens=4))


def test_a_killed_program_leaves_no_engine_behind(model_dir):
    program = f"""
        import asyncio
        from metaplan.models.contract import Sampling
        from metaplan.models.local import LocalModel

        async def main():
            model = LocalModel({str(model_dir)!r}, engines=2)
            await model.complete({CHATS[0]!r}, Sampling(max_tokens=2))
            print(*(worker.pid for worker in model._workers), flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_running, pids))
        process.kill()
    wait_until_ended(pids)
