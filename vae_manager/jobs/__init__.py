"""Background work: its order, progress, pausing, stopping, what became of it. Knows nothing of what it runs."""

from .lane import Handle, JobView, Lane
from .line import JobState, Step, Wish
from .pace import Pace

__all__ = ["Handle", "JobState", "JobView", "Lane", "Pace", "Step", "Wish"]
