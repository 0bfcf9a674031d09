"""Finding and reading recipes: YAML presets of the package, or files of one's own."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from metaplan.core import ConfigError
from metaplan.recipes.config import RunConfig, set_fields

__all__ = ["built_in_recipes", "dump_config", "load_recipe"]


def built_in_recipes() -> dict[str, str]:
    """Names of the package's recipes, with their descriptions."""
    return {name: load_recipe(name).description for name in _preset_names()}


def _preset_names() -> list[str]:
    presets = (resources.files(__package__) / "presets").iterdir()
    return sorted(
        path.name.removesuffix(".yaml") for path in presets if path.name.endswith(".yaml")
    )


def load_recipe(recipe: str | Path, settings: Sequence[str] = ()) -> RunConfig:
    """Reads a recipe and applies settings to it.

    Args:
        recipe: Name of a built-in recipe, or path of a YAML file.
        settings: ``key=value`` texts; the key is a dotted field name, the value YAML.

    Raises:
        ConfigError: There is no such recipe, or a field is unknown or wrong: the message names
            the file and the field, and says what would be right.
    """
    origin, text = _read(recipe)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{origin} must be a mapping of field names to values")
    return _validate(set_fields(data, dict(map(_setting, settings))), origin)


def dump_config(config: RunConfig) -> str:
    """The resolved configuration as YAML: a recipe that gives the same run again."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(recipe: str | Path) -> tuple[str, str]:
    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        try:
            return str(path), path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"can't read the recipe {path}: {error}") from None
    preset = resources.files(__package__) / "presets" / f"{recipe}.yaml"
    if not preset.is_file():
        names = ", ".join(_preset_names())
        raise ConfigError(
            f"there is no recipe '{recipe}'. Built in: {names}; or give the path of a YAML file"
        )
    return f"recipe '{recipe}'", preset.read_text("utf-8")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not all(name.strip().split(".")):
        raise ConfigError(f"--set needs key=value, as in 'explore.tasks=50', got {text!r}")
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {name}: the value {value!r} is not YAML") from None


def _validate(data: dict[str, Any], origin: str) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{origin} can't be used:\n" + "\n".join(lines)) from None


def _explain(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"  {field}: {problem['msg']} (got {problem['input']!r})"
    near = _nearest(problem["loc"], field)
    hint = f"; did you mean '{near}'?" if near else ""
    return f"  {field}: there is no such field{hint}"


def _nearest(location: Sequence[str | int], field: str) -> str | None:
    """The likeliest field: a neighbour of that name, else one of a similar full name."""
    *path, last = map(str, location)
    neighbours = difflib.get_close_matches(last, _fields_at(path), n=1)
    if neighbours:
        return ".".join([*path, *neighbours])
    return next(iter(difflib.get_close_matches(field, _field_names(RunConfig), n=1)), None)


def _fields_at(path: Sequence[str]) -> Sequence[str]:
    """Names of the fields at a place; a part of the path that is no field is a mapping's key."""
    model: Any = RunConfig
    for part in path:
        if part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inner = (annotation, *get_args(annotation))
            model = next(kind for kind in inner if hasattr(kind, "model_fields"))
    return tuple(model.model_fields)


def _field_names(model: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        names.append(prefix + name)
        if hasattr(field.annotation, "model_fields"):
            names += _field_names(field.annotation, f"{prefix}{name}.")
    return names
