"""The supported WebUIs: one folder a host, and their common parts."""
