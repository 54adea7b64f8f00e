"""How the page looks: facts in, HTML out. Pure; every name that comes from a file or a server is escaped."""

from .choices import choice_name, dropdown
from .downloads import downloads, downloads_title, forms
from .jobs import Figures, job_figures
from .offers import offers
from .parts import answer
from .pasted import pasted, pasted_title
from .settings import settings
from .status import status, title

__all__ = [
    "Figures",
    "answer",
    "choice_name",
    "downloads",
    "downloads_title",
    "dropdown",
    "forms",
    "job_figures",
    "offers",
    "pasted",
    "pasted_title",
    "settings",
    "status",
    "title",
]
