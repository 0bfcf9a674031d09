"""Placeholder docstring, replaced by its module owner."""
