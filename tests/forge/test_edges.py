"""Whatever Forge calls of the extension ends in its edge."""

from ..host.test_edges import *  # noqa: F403
