"""AUTOMATIC1111's WebUI, 1.6 to 1.10.1. Line numbers in this folder are those of v1.10.1 (82a973c0)."""
