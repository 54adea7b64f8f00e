"""Forge's own: from files to a model."""
