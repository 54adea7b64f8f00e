"""Background work: progress, stopping, what became of it. Knows nothing of what it runs."""

from .lane import Handle, JobState, JobView, Lane
from .pace import Pace

__all__ = ["Handle", "JobState", "JobView", "Lane", "Pace"]
