import json
import logging
import subprocess
import sys

import pytest

from metaplan.core import ConfigError, DataError
from metaplan.training import (
    DpoSettings,
    LoraSettings,
    SftSettings,
    TrainingResult,
    train_dpo,
    train_sft,
)

SFT = SftSettings(epochs=3, batch_size=8, per_device_batch_size=8, learning_rate=5e-3, seed=1)
DPO = DpoSettings(epochs=2, batch_size=8, per_device_batch_size=8, learning_rate=1e-3)


def weights(path):
    return (path / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def sft(tiny_model, sft_data, tmp_path_factory) -> TrainingResult:
    return train_sft(tiny_model, sft_data, tmp_path_factory.mktemp("sft") / "model", SFT)


def test_sft_lowers_the_loss_and_keeps_its_curve(sft):
    assert [entry["step"] for entry in sft.curve] == [1, 2, 3, 4, 5, 6]
    assert sft.curve[-1]["loss"] < 0.8 * sft.curve[0]["loss"]
    assert sft.curve[0]["learning_rate"] == SFT.learning_rate
    assert TrainingResult.model_validate_json((sft.model / "training.json").read_text()) == sft


def test_checkpoint_is_an_ordinary_model_without_pickles(sft):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(sft.model)
    assert model.generation_config.do_sample is True
    assert AutoTokenizer.from_pretrained(sft.model).chat_template
    files = {path.name for path in sft.model.rglob("*") if path.is_file()}
    assert {path.rpartition(".")[2] for path in files} <= {"json", "jinja", "safetensors"}
    assert not sft.model.with_name("model.partial").exists()


def test_equal_seed_gives_equal_weights_and_another_seed_does_not(
    sft, tiny_model, sft_data, tmp_path
):
    again = train_sft(tiny_model, sft_data, tmp_path / "again", SFT)
    other = train_sft(tiny_model, sft_data, tmp_path / "other", SFT.model_copy(update={"seed": 2}))
    assert weights(again.model) == weights(sft.model)
    assert weights(other.model) != weights(sft.model)


def test_tiny_model_trains_on_one_thread_and_gives_the_others_back(tiny_model, sft_data, tmp_path):
    import torch

    before, seen = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        train_sft(
            tiny_model,
            sft_data,
            tmp_path / "m",
            SFT,
            on_log=lambda _: seen.add(torch.get_num_threads()),
        )
        assert (seen, torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_muon_moves_hidden_matrices_and_adamw_the_rest(tiny_model):
    from torch.optim import Muon
    from transformers import AutoModelForCausalLM

    from metaplan.training.muon import MuonAndAdamW

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    optimizer = MuonAndAdamW(model, learning_rate=0.1, weight_decay=0.0)
    muon, adamw = optimizer._parts
    assert isinstance(muon, Muon)
    by_adamw = {id(weight) for group in adamw.param_groups for weight in group["params"]}
    names = {name for name, weight in model.named_parameters() if id(weight) in by_adamw}
    assert {name for name in names if "norm" not in name} == {"model.embed_tokens.weight"}
    assert len(muon.param_groups[0]["params"]) == 7 * model.config.num_hidden_layers


def test_lora_with_muon_is_refused(tiny_model, sft_data, tmp_path):
    settings = SFT.model_copy(update={"optimizer": "muon", "lora": LoraSettings(r=2)})
    with pytest.raises(ConfigError, match="muon"):
        train_sft(tiny_model, sft_data, tmp_path / "m", settings)


@pytest.mark.parametrize("kind", ["FSDP", "DeepSpeed"])
def test_lora_with_sharded_weights_is_refused(kind, tiny_model, sft_data, tmp_path, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{kind.upper()}", "true")  # as accelerate launch does
    settings = SFT.model_copy(update={"lora": LoraSettings(r=2)})
    with pytest.raises(ConfigError, match=rf"sharded weights \({kind}\).*8-gpu-ddp"):
        train_sft(tiny_model, sft_data, tmp_path / "m", settings)


def test_accumulated_batches_train_like_one_batch(sft, tiny_model, sft_data, tmp_path):
    split = SFT.model_copy(update={"per_device_batch_size": 2})
    result = train_sft(tiny_model, sft_data, tmp_path / "m", split)
    whole = [entry["loss"] for entry in sft.curve]
    assert [entry["loss"] for entry in result.curve] == pytest.approx(whole, rel=1e-2)


def test_forward_passes_by_length_pad_less_and_show_each_example_once_an_epoch(
    tiny_model, sft_data, tmp_path
):
    lines = [json.loads(line) for line in sft_data.read_text().splitlines()]
    for at, line in enumerate(lines):
        line["completion"][0]["content"] += " Take the mug." * (at % 8)
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    settings = SFT.model_copy(update={"epochs": 2, "per_device_batch_size": 2})
    by_length = settings.model_copy(update={"batching": "by_length"})
    curves = [
        train_sft(tiny_model, data, tmp_path / name, each).curve
        for name, each in (
            ("random", settings),
            ("first", by_length),
            ("other", by_length.model_copy(update={"seed": 2})),
        )
    ]
    assert len({curve[-1]["num_tokens"] for curve in curves}) == 1
    assert len({curve[0]["loss"] for curve in curves}) == 3


def test_loss_is_on_the_completion_alone(tiny_model, sft_data, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    line = json.loads(sft_data.read_text().splitlines()[0])
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps(line))
    settings = SFT.model_copy(update={"batch_size": 1, "per_device_batch_size": 1, "epochs": 1})
    result = train_sft(tiny_model, one, tmp_path / "m", settings)

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    prompt = tokenizer.apply_chat_template(
        line["prompt"], add_generation_prompt=True, return_dict=False
    )
    whole = tokenizer.apply_chat_template(line["prompt"] + line["completion"], return_dict=False)
    labels = torch.tensor([[-100] * len(prompt) + whole[len(prompt) :]])
    expected = model(input_ids=torch.tensor([whole]), labels=labels).loss.item()
    assert result.curve[0]["loss"] == pytest.approx(expected, rel=1e-3)


def test_every_turn_of_an_episode_is_trained_in_one_pass(tiny_model, episodes_data, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    line = json.loads(episodes_data.read_text().splitlines()[0])
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps(line))
    settings = SFT.model_copy(update={"batch_size": 1, "per_device_batch_size": 1, "epochs": 1})
    result = train_sft(tiny_model, one, tmp_path / "m", settings)
    assert (result.examples, result.steps) == (1, 1)

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    total, count = 0.0, 0
    for at, message in enumerate(line["messages"]):  # one example a turn, as the slow way does it
        if message["role"] == "assistant":
            before, after = (
                tokenizer.apply_chat_template(
                    line["messages"][:end], add_generation_prompt=end == at, return_dict=False
                )
                for end in (at, at + 1)
            )
            labels = torch.tensor([[-100] * len(before) + after[len(before) :]])
            said = len(after) - len(before)
            loss = model(input_ids=torch.tensor([after]), labels=labels).loss.item()
            total, count = total + said * loss, count + said
    assert result.curve[0]["loss"] == pytest.approx(total / count, rel=1e-3)


def test_dpo_raises_the_margin_over_the_starting_model(sft, dpo_data, tmp_path):
    logged = []
    result = train_dpo(sft.model, dpo_data, tmp_path / "dpo", DPO, on_log=logged.append)
    first, last = result.curve[0], result.curve[-1]
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)  # policy and reference are one
    assert last["rewards/margins"] > first["rewards/margins"] + 0.01
    assert {"logps/chosen", "logps/rejected", "rewards/accuracies"} <= last.keys()
    assert [entry["step"] for entry in logged] == [1, 2, 3, 4]
    assert {entry["total_steps"] for entry in logged} == {4}


def test_weight_on_the_chosen_side_keeps_it_likely(sft, dpo_data, tmp_path):
    def chosen(weight):
        logs = []
        settings = DPO.model_copy(update={"sft_weight": weight})
        train_dpo(sft.model, dpo_data, tmp_path / str(weight), settings, on_log=logs.append)
        return float(logs[-1]["logps/chosen"])

    assert chosen(5.0) > chosen(0.0)


def test_dpo_of_episodes_compares_what_was_said_and_not_what_was_observed(
    sft, episodes_data, tmp_path
):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    good, bad = (json.loads(line)["messages"] for line in episodes_data.read_text().split("\n")[:2])
    pair = {"prompt": good[:1], "chosen": good[1:], "rejected": bad[1:4]}
    data = tmp_path / "pair.jsonl"
    data.write_text(json.dumps(pair))
    settings = DPO.model_copy(
        update={"batch_size": 1, "per_device_batch_size": 1, "epochs": 2, "warmup_ratio": 0.0}
    )
    result = train_dpo(sft.model, data, tmp_path / "dpo", settings)

    # One update by hand.
    tokenizer = AutoTokenizer.from_pretrained(sft.model)
    model = AutoModelForCausalLM.from_pretrained(sft.model)
    end = tokenizer.eos_token_id

    def log_probability(field):
        ids = tokenizer.apply_chat_template(pair["prompt"] + pair[field], return_dict=False)
        speaker, said = None, []
        for at, token in enumerate(ids):
            if speaker == "assistant":
                said.append(at)
            speaker = {"<|assistant|>": "assistant", "<|user|>": "user"}.get(
                tokenizer.decode([token]), None if token == end else speaker
            )
        logps = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        return sum(logps[at - 1, ids[at]] for at in said)

    reference = {field: log_probability(field).item() for field in ("chosen", "rejected")}
    first = result.curve[0]
    for field, logp in reference.items():
        assert first[f"logps/{field}"] == pytest.approx(logp, rel=1e-4)
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)

    optimizer = torch.optim.AdamW(model.parameters(), lr=first["learning_rate"], weight_decay=0.0)

    def loss():
        ratios = {field: log_probability(field) - reference[field] for field in reference}
        margin = settings.beta * (ratios["chosen"] - ratios["rejected"])
        return -torch.nn.functional.logsigmoid(margin)

    loss().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    assert result.curve[1]["loss"] == pytest.approx(loss().item(), rel=1e-3)


@pytest.mark.parametrize("train", [train_sft, train_dpo])
def test_lora_is_merged_into_a_whole_model(train, sft, sft_data, dpo_data, tmp_path):
    from transformers import AutoModelForCausalLM

    data, settings = (sft_data, SFT) if train is train_sft else (dpo_data, DPO)
    lora = settings.model_copy(update={"lora": LoraSettings(r=4, alpha=8), "epochs": 1})
    result = train(sft.model, data, tmp_path / "lora", lora)
    before = AutoModelForCausalLM.from_pretrained(sft.model).state_dict()
    after = AutoModelForCausalLM.from_pretrained(result.model).state_dict()
    changed = {name for name in before if not before[name].equal(after[name])}
    assert before.keys() == after.keys()
    assert changed
    assert all("proj" in name for name in changed)


def test_truncated_examples_are_counted_and_warned_about(tiny_model, sft_data, tmp_path, caplog):
    lines = sft_data.read_text().splitlines()[:4]
    long = json.loads(lines[0])
    long["completion"][0]["content"] += " Take the mug." * 100
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join([*lines, json.dumps(long)]))
    settings = SFT.model_copy(update={"epochs": 1, "max_length": 128})
    with caplog.at_level(logging.WARNING, logger="metaplan.training"):
        result = train_sft(tiny_model, path, tmp_path / "m", settings)
    assert (result.truncated, result.examples, result.length_limit) == (1, 5, 128)
    assert "1 of 5 examples are longer than 128 tokens" in caplog.text


def test_length_limit_that_leaves_no_completion_is_refused(tiny_model, sft_data, tmp_path):
    settings = SFT.model_copy(update={"max_length": 8})
    with pytest.raises(DataError, match="every prompt fills the limit of 8 tokens"):
        train_sft(tiny_model, sft_data, tmp_path / "m", settings)
    assert not (tmp_path / "m").exists()


def test_context_of_the_model_is_a_limit_too(sft):
    assert SFT.max_length == 2048
    assert sft.length_limit == 256


def test_finished_training_is_read_back_and_never_overwritten(sft, tiny_model, sft_data):
    logged = []
    assert train_sft(tiny_model, sft_data, sft.model, SFT, on_log=logged.append) == sft
    smaller = SFT.model_copy(update={"per_device_batch_size": 2})  # for a smaller GPU
    assert train_sft(tiny_model, sft_data, sft.model, smaller) == sft
    assert logged == []
    with pytest.raises(DataError, match="other settings, data or base model"):
        train_sft(tiny_model, sft_data, sft.model, SFT.model_copy(update={"seed": 9}))


def test_directory_of_something_else_is_not_overwritten(tiny_model, sft_data, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is no finished training"):
        train_sft(tiny_model, sft_data, tmp_path, SFT)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_base_without_a_model_is_refused(sft_data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="can't be loaded as a causal language model"):
        train_sft(tmp_path / "empty", sft_data, tmp_path / "m", SFT)


def test_batch_that_can_not_be_divided_is_refused(tiny_model, sft_data, tmp_path):
    settings = SFT.model_copy(update={"per_device_batch_size": 3})
    with pytest.raises(ConfigError, match="no multiple"):
        train_sft(tiny_model, sft_data, tmp_path / "m", settings)


def test_training_is_silent_but_reports_to_tensorboard(
    tiny_model, sft_data, dpo_data, tmp_path, capfd
):
    settings = SFT.model_copy(update={"epochs": 1, "report_to": ("tensorboard",)})
    result = train_sft(tiny_model, sft_data, tmp_path / "sft", settings)
    train_dpo(tiny_model, dpo_data, tmp_path / "dpo", DPO.model_copy(update={"epochs": 1}))
    assert list(result.model.glob("runs/**/events.out.tfevents.*"))
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


KILLED = """
import sys, time
from pathlib import Path
from metaplan.training import SftSettings, train_sft

def on_log(entry):
    if entry["step"] == int(step):
        print("here", flush=True)
        time.sleep(60)

base, data, out, settings, step = sys.argv[1:]
train_sft(base, Path(data), Path(out), SftSettings.model_validate_json(settings), on_log=on_log)
"""


@pytest.mark.parametrize(
    ("step", "changes"),  # there are three epochs of two steps, and a checkpoint after each step
    [
        (5, {"optimizer": "adamw"}),
        (6, {"optimizer": "muon"}),
        (4, {"batching": "by_length", "per_device_batch_size": 2}),
        (2, {"lora": LoraSettings(r=4, dropout=0.2)}),
    ],
)
def test_killed_training_resumes_and_ends_as_if_never_killed(
    step, changes, tiny_model, sft_data, tmp_path
):
    settings = SFT.model_copy(update=changes)
    whole = train_sft(tiny_model, sft_data, tmp_path / "whole", settings)
    out = tmp_path / "m"
    arguments = [str(tiny_model), str(sft_data), str(out), settings.model_dump_json(), str(step)]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "here\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert not out.exists()
    # A checkpoint that was being written when the process died.
    (out.with_name("m.partial") / "checkpoints" / f"checkpoint-{step}").mkdir()

    logged = []
    result = train_sft(tiny_model, sft_data, out, settings, on_log=logged.append)
    assert [entry["step"] for entry in logged] == list(range(step, 7))
    for counted in ("loss", "num_tokens"):
        assert [e[counted] for e in result.curve] == [e[counted] for e in whole.curve]
    seconds = [entry["seconds"] for entry in result.curve]
    assert seconds == sorted(seconds)  # of both parts, without what was lost
    assert 0 < result.duration_s == seconds[-1]
    assert weights(out) == weights(whole.model)
    assert not out.with_name("m.partial").exists()


def test_what_another_training_left_is_not_resumed(sft, tiny_model, sft_data, tmp_path):
    partial = tmp_path / "m.partial"
    (partial / "checkpoints" / "checkpoint-2").mkdir(parents=True)
    (partial / "request").write_text("of another training")
    result = train_sft(tiny_model, sft_data, tmp_path / "m", SFT)
    assert weights(result.model) == weights(sft.model)
