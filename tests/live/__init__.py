"""The checks that need a real WebUI: `pytest tests/live --webui URL`. See docs/seen.md for what they gave, and where."""
