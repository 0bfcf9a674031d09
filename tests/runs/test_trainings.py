"""The trainings of a run: what they start from."""

import shutil

import pytest

from metaplan.runs.trainings import scratch_base
from metaplan.training import ScratchSettings


def test_a_base_model_is_made_anew_only_for_other_texts_or_settings(tmp_path):
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    small = ScratchSettings(hidden_size=16, layers=1, heads=1, intermediate_size=16, context=64)
    texts = ["go to the desk", "Step 1: look"]
    out = tmp_path / "base"
    weights = scratch_base(texts, out, small) / "model.safetensors"
    first = weights.stat().st_mtime_ns
    scratch_base(iter(texts), out, small)
    assert weights.stat().st_mtime_ns == first
    scratch_base(texts, out, small.model_copy(update={"seed": 1}))
    second = weights.stat().st_mtime_ns
    assert second != first
    scratch_base([*texts, "fridge"], out, small)
    assert weights.stat().st_mtime_ns != second
    (out / "scratch.json").unlink()  # an interrupted creation
    shutil.copy(out / "config.json", weights)
    scratch_base(texts, out, small)
    assert weights.read_bytes() != (out / "config.json").read_bytes()
