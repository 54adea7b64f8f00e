"""The checks that need a real WebUI: `pytest tests/live --webui URL`. docs/seen.md says what they gave."""
