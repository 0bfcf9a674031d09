import subprocess
import sys

import pytest
from pydantic import ValidationError

from metaplan.core import ConfigError
from metaplan.training import DpoSettings, LoraSettings, SftSettings


def test_defaults_are_the_papers():
    sft, dpo = SftSettings(), DpoSettings()
    for settings in (sft, dpo):
        assert settings.batch_size == 32
        assert settings.learning_rate == 1e-5
        assert settings.scheduler == "cosine"
        assert settings.epochs == 3
        assert settings.lora is None
    assert dpo.beta == 0.1
    assert (sft.warmup_ratio, dpo.warmup_ratio) == (0.0, 0.03)


def test_settings_survive_json():
    settings = DpoSettings(lora=LoraSettings(target_modules=("q_proj",)), report_to=("wandb",))
    assert DpoSettings.model_validate_json(settings.model_dump_json()) == settings


def test_unknown_key_is_an_error():
    with pytest.raises(ValidationError, match="batchsize"):
        SftSettings.model_validate({"batchsize": 8})


@pytest.mark.parametrize(("devices", "steps"), [(1, 8), (2, 4), (8, 1)])
def test_effective_batch_is_exact_on_any_number_of_devices(devices, steps):
    settings = SftSettings(batch_size=32, per_device_batch_size=4)
    assert settings.accumulation_steps(devices) == steps
    assert settings.accumulation_steps(devices) * devices * 4 == settings.batch_size


def test_batch_that_can_not_be_divided_is_refused():
    with pytest.raises(ConfigError, match=r"batch_size is 32.* x 3 device"):
        SftSettings().accumulation_steps(3)


def test_importing_training_imports_neither_torch_nor_trl():
    code = (
        "import sys, metaplan.training, metaplan.models.local;"
        "heavy = {'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
