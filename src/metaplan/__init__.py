"""Metaplan: make LLM agents better with optimized meta plans (MPO)."""

__version__ = "0.1.0"
