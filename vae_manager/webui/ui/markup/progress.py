"""What a download says of itself. Figures have three digits, so that what is read is what the server counts."""

from __future__ import annotations

from ....jobs import JobState, JobView, Wish
from ....sentences import Sentence, say
from ...translation import Words


def progress_text(job: JobView, words: Words) -> str:
    """How a download stands: its place, its phase, or amount, speed and time left."""
    return " · ".join(part if isinstance(part, str) else words(part) for part in _parts(job, words))


def _parts(job: JobView, words: Words) -> list[Sentence | str]:
    amount_done = _amount_done(job) if job.done else None
    if job.state is JobState.PAUSED:
        return [say("Paused"), *([amount_done] if amount_done is not None else [])]
    if job.state is JobState.WAITING:
        if job.place is not None and job.place > 1:
            return [say("Waiting: number {place} in the queue", place=job.place)]
        return [say("Waiting for its turn")]
    if job.wish is Wish.STOP:
        return [say("Cancelling …")]
    if job.wish is Wish.PAUSE:
        return [say("Pausing …")]
    phases = {
        "resolving": say("Looking for the file …"),
        "resuming": say("Checking what is here already …"),
        "proving": say("Checking every byte …"),
        "publishing": say("Putting it in place …"),
    }
    if job.phase == "waiting":
        return [_others(job)]
    if job.phase in phases or not job.phase:
        return [phases.get(job.phase, phases["resolving"])]
    parts: list[Sentence | str] = [_amount_done(job)]
    if job.speed is not None:
        parts.append(f"{amount(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(time_left(job.seconds_left))
    return parts


def _amount_done(job: JobView) -> Sentence | str:
    if not job.total:
        return amount(job.done)
    return say("{done} of {total}", done=amount(job.done), total=amount(job.total))


def _others(job: JobView) -> Sentence:
    """Another process on this machine, or on the shared folder, has it; this one takes what comes of it."""
    if not job.total:
        return say("Another program is fetching it; {done} are there.", done=amount(job.done))
    return say(
        "Another program is fetching it; {done} of {total} are there.", done=amount(job.done), total=amount(job.total)
    )


def percent(job: JobView) -> float:
    return min(100.0, round(100 * job.done / job.total, 1)) if job.total else 0.0


def amount(count: int) -> str:
    """`count` bytes with three digits: 1.23 MB, 12.3 MB, 123 MB."""
    if count < 999_500:
        return f"{count / 1e3:.0f} kB"
    value, unit = (count / 1e9, "GB") if count >= 999_500_000 else (count / 1e6, "MB")
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def time_left(seconds: float) -> Sentence:
    """As fine as it is meant: half a second in twenty would be a lie of its own."""
    if seconds < 19.95:
        return say("{count} s left", count=f"{max(0.1, seconds):.1f}")
    if seconds < 120:
        return say("{count} s left", count=round(seconds))
    if seconds < 1200:
        minutes, rest = divmod(5 * round(seconds / 5), 60)
        return say("{minutes} min {seconds} s left", minutes=minutes, seconds=rest)
    if seconds < 7200:
        return say("{count} min left", count=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return say("{hours} h {minutes} min left", hours=hours, minutes=minutes)


def time_taken(seconds: float) -> Sentence:
    if seconds < 10:
        return say("{count} s", count=f"{seconds:.1f}")
    if seconds < 120:
        return say("{count} s", count=round(seconds))
    return say("{count} min", count=round(seconds / 60))
