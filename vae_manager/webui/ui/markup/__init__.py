"""How the page looks: facts in, HTML out. Pure; every name that comes from a file or a server is escaped."""

from .background_work import Figures, answers, job_figures, work_figures
from .downloads import catalogue, downloads, downloads_now, forms, offers
from .file_panel import adopt_form, file_details
from .labels import choice_name, dropdown
from .library import library_bar, library_frame, library_row, trash
from .parts import answer, one_primary, question
from .pasted_notice import pasted, pasted_title
from .settings import settings
from .status import faults, status, title

__all__ = [
    "Figures",
    "adopt_form",
    "answer",
    "answers",
    "catalogue",
    "choice_name",
    "downloads",
    "downloads_now",
    "dropdown",
    "faults",
    "file_details",
    "forms",
    "job_figures",
    "library_bar",
    "library_frame",
    "library_row",
    "offers",
    "one_primary",
    "pasted",
    "pasted_title",
    "question",
    "settings",
    "status",
    "title",
    "trash",
    "work_figures",
]
