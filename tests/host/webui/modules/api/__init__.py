"""Imitates modules/api."""
