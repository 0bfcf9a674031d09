"""The public one-liners, and that they cost nothing until they are used."""

import subprocess
import sys

import pytest

import metaplan

_MEASURE = """
import sys, time
started = time.process_time()
import metaplan
seconds = time.process_time() - started
heavy = {"torch", "transformers", "trl", "textworld", "alfworld", "matplotlib", "numpy", "openai"}
print(seconds, *sorted(heavy & set(sys.modules)))
"""


def test_importing_metaplan_is_fast_and_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE], capture_output=True, text=True, check=True
    )
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 0.5


@pytest.mark.parametrize("name", metaplan.__all__)
def test_every_public_name_is_there(name):
    assert getattr(metaplan, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="workflow"):
        _ = metaplan.workflow


def test_a_plan_is_put_into_ones_own_conversation():
    plan = metaplan.MetaPlan.parse("Step 1: Look around.")
    messages = [{"role": "user", "content": "Find the mug."}]
    (message,) = metaplan.insert_plan(messages, plan, metaplan.Placement.INSTRUCTION)
    assert message["content"].startswith("Find the mug.")
    assert message["content"].endswith("Step 1: Look around.")
