"""What goes on in the library, and what was done last, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...jobs import JobState, JobView
from ...service import Service
from ...upkeep import Told
from ..hosts.acts import Act

if TYPE_CHECKING:
    from ..hosts.host import Host


@dataclass(frozen=True)
class Activity:
    work: Sequence[JobView]
    """What goes on in the background, or has failed."""
    told: Told | None
    """What the last piece of work has done."""
    can_choose: bool
    in_use: str | None
    """Path of the file in use."""

    @property
    def is_working(self) -> bool:
        return any(job.state in (JobState.WAITING, JobState.RUNNING) for job in self.work)


def read_activity(host: Host, service: Service, in_use: str | None) -> Activity:
    """Look at what goes on, and at what was done last."""
    views = service.upkeep.views()
    return Activity(
        work=[job for job in views if not job.state.ended or job.state is JobState.FAILED],
        told=service.upkeep.told,
        can_choose=host.refusal(Act.CHOOSE) is None,
        in_use=in_use,
    )
