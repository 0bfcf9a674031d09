"""Recipes: YAML presets whose values cite the paper, and the configuration that they fill."""

from metaplan.recipes.config import PromptedConfig, RunConfig, changed_fields
from metaplan.recipes.load import built_in_recipes, dump_config, load_recipe

__all__ = [
    "PromptedConfig",
    "RunConfig",
    "built_in_recipes",
    "changed_fields",
    "dump_config",
    "load_recipe",
]
