"""A WebUI that no adapter fits, or a newer one: all works but what touches its model."""
