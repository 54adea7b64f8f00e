"""Imitates backend/args.py, of which the stand-in knows what the WebUI changes while it runs."""

from __future__ import annotations

from typing import Any

dynamic_args: dict[str, Any] = {"embedding_dir": "./embeddings", "emphasis_name": "original"}
