"""A WebUI that no adapter fits, or a newer one: all functions work except those that touch its model."""
