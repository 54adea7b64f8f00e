"""What reForge has of Forge, without a `main_entry`."""
