"""What a running download says."""

from __future__ import annotations

from ....jobs import JobState, JobView
from ....sentences import Sentence, megabytes, say
from ...words import Words


def progress_text(job: JobView, words: Words) -> str:
    """What a running download says: phase, or amount, speed and time left."""
    if job.state is JobState.WAITING:
        return words(say("Waiting for its turn"))
    phases = {
        "resolving": say("Looking for the file …"),
        "resuming": say("Checking what is here already …"),
        "proving": say("Checking every byte …"),
        "publishing": say("Putting it in place …"),
    }
    if job.phase in phases or not job.phase:
        return words(phases.get(job.phase, phases["resolving"]))
    parts = [
        words(say("{done} of {total}", done=megabytes(job.done), total=megabytes(job.total)))
        if job.total
        else megabytes(job.done)
    ]
    if job.speed:
        parts.append(f"{megabytes(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(words(_time_left(job.seconds_left)))
    return " · ".join(parts)


def _time_left(seconds: float) -> Sentence:
    if seconds < 90:
        return say("{count} s left", count=max(1, round(seconds)))
    return say("{count} min left", count=round(seconds / 60))
