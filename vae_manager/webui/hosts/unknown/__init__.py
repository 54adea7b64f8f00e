"""A WebUI that the project has no adapter for: it is told so, and nothing is done."""
