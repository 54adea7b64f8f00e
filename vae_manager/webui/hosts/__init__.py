"""The WebUIs that the extension can live in: one folder a host, and what they have in common."""
