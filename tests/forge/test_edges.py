"""Every call from Forge into the extension is wrapped in an error boundary."""

from ..host.test_edges import *  # noqa: F403
