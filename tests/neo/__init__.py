"""Forge Neo: what differs there from Forge."""
