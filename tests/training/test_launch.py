"""Training in other processes, for real: two of them on this machine's CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from metaplan.core import ConfigError
from metaplan.training import (
    DpoSettings,
    SftSettings,
    TrainingProcessError,
    accelerate_file,
    built_in_accelerate,
    train_dpo,
    train_sft,
)

SFT = SftSettings(epochs=3, batch_size=8, per_device_batch_size=4, learning_rate=5e-3, seed=1)
DPO = DpoSettings(epochs=2, batch_size=8, per_device_batch_size=4, learning_rate=1e-3)


def cpu_config(path: Path, processes: int) -> str:
    fields = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if processes > 1 else "NO",  # over gloo, with use_cpu
        "num_machines": 1,
        "num_processes": processes,
        "machine_rank": 0,
        "main_process_port": 0,
        "mixed_precision": "no",
        "use_cpu": True,
    }
    path.write_text(yaml.safe_dump(fields))
    return str(path)


@pytest.fixture
def two(tmp_path: Path) -> str:
    return cpu_config(tmp_path / "two.yaml", 2)


@pytest.fixture
def one(tmp_path: Path) -> str:
    return cpu_config(tmp_path / "one.yaml", 1)


@pytest.fixture(scope="module")
def in_process(tiny_model, sft_data, tmp_path_factory):
    return train_sft(tiny_model, sft_data, tmp_path_factory.mktemp("sft") / "model", SFT)


def tensors(model: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")


def assert_same_model(one: Path, other: Path) -> None:
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype
        assert tensor.allclose(second[name], atol=1e-4), name
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        assert (one / name).read_text() == (other / name).read_text()
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def processes_of(out: Path) -> dict[int, list[str]]:
    """Command lines of all processes that work on a training, by process id."""
    job = f"{out}.job.json".encode()
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if job in words:
            found[int(path.parent.name)] = [word.decode() for word in words]
    return found


def trainers_of(out: Path) -> list[int]:
    """Without the launcher."""
    return [pid for pid, words in processes_of(out).items() if "--config_file" not in words]


def wait_until_gone(out: Path) -> None:
    ends = time.monotonic() + 20
    while processes_of(out):
        assert time.monotonic() < ends, processes_of(out)
        time.sleep(0.1)


def test_two_processes_train_as_one_even_when_one_of_them_is_killed(
    in_process, two, tiny_model, sft_data, tmp_path
):
    out = tmp_path / "model"

    def kill_one(entry):
        if entry["step"] == 5:  # in the last of three epochs of two steps
            trainers = trainers_of(out)
            assert len(trainers) == 2
            os.kill(trainers[1], signal.SIGKILL)
            time.sleep(0.5)  # what comes after this line is not waited for

    with pytest.raises(TrainingProcessError, match="SIGKILL") as error:
        train_sft(tiny_model, sft_data, out, SFT, on_log=kill_one, accelerate=two)
    assert f"{out}.log" in str(error.value)
    assert "Traceback" in Path(f"{out}.log").read_text()
    assert not out.exists()
    assert not processes_of(out)

    logged = []
    result = train_sft(tiny_model, sft_data, out, SFT, on_log=logged.append, accelerate=two)
    assert [entry["step"] for entry in logged] == [5, 6]
    assert {entry["total_steps"] for entry in logged} == {6}
    losses = [entry["loss"] for entry in in_process.curve]
    assert [entry["loss"] for entry in result.curve] == pytest.approx(losses, abs=1e-4)
    assert_same_model(out, in_process.model)
    assert result.request == in_process.request
    assert not out.with_name("model.partial").exists()
    assert train_sft(tiny_model, sft_data, out, SFT) == result


def test_dpo_in_two_processes_is_that_in_one(in_process, two, dpo_data, tmp_path):
    alone = train_dpo(in_process.model, dpo_data, tmp_path / "alone", DPO)
    spread = train_dpo(in_process.model, dpo_data, tmp_path / "spread", DPO, accelerate=two)
    for name in ("loss", "rewards/margins", "logps/chosen"):
        expected = [entry[name] for entry in alone.curve]
        assert [entry[name] for entry in spread.curve] == pytest.approx(expected, abs=1e-3)
    assert_same_model(spread.model, alone.model)


def test_interrupt_ends_all_processes(one, tiny_model, sft_data, tmp_path):
    def interrupt(_):
        assert len(processes_of(tmp_path / "m")) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(tiny_model, sft_data, tmp_path / "m", SFT, on_log=interrupt, accelerate=one)
    wait_until_gone(tmp_path / "m")


PARENT = """
import sys
from pathlib import Path
from metaplan.training import SftSettings, train_sft

base, data, out, settings, accelerate = sys.argv[1:]
train_sft(
    base, Path(data), Path(out), SftSettings.model_validate_json(settings), accelerate=accelerate,
    on_log=lambda _: print("here", flush=True),
)
"""


def test_processes_do_not_outlive_a_killed_parent(one, tiny_model, sft_data, tmp_path):
    out = tmp_path / "m"
    long = SFT.model_copy(update={"epochs": 500})
    arguments = [str(tiny_model), str(sft_data), str(out), long.model_dump_json(), one]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "here\n"
    assert len(processes_of(out)) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_gone(out)


def test_configuration_for_more_gpus_than_there_are_is_refused(tiny_model, sft_data, tmp_path):
    import torch

    if torch.accelerator.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match=r"is for 1 GPU\(s\) and this machine has 0"):
        train_sft(tiny_model, sft_data, tmp_path / "m", SFT, accelerate="1-gpu")


def test_unknown_configuration_is_refused_with_the_names_of_those_that_exist(
    tiny_model, sft_data, tmp_path
):
    with pytest.raises(ConfigError, match="Built in: 1-gpu, 8-gpu-ddp, 8-gpu-deepspeed, 8-gpu-fsd"):
        train_sft(tiny_model, sft_data, tmp_path / "m", SFT, accelerate="9-gpu")


@pytest.mark.parametrize("name", built_in_accelerate())
def test_built_in_configurations_are_ones_that_accelerate_reads(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(accelerate_file(name)))
    assert config.num_processes == int(name.split("-")[0])
    assert config.mixed_precision == "bf16"


def test_job_that_is_none_is_reported_as_a_json_line(tmp_path):
    (tmp_path / "job.json").write_text('{"base": 3}')
    command = [sys.executable, "-m", "metaplan.training", str(tmp_path / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert (done.returncode, told["event"], told["kind"]) == (2, "problem", "DataError")
    assert "job.json is no job of a training" in told["message"]
