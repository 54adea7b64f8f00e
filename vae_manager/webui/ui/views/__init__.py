"""Views: functions that render facts as HTML, with the templates."""

from ..rendering import answer, one_primary, question
from .address_panel import address_panel
from .download_list import catalogue, downloads, downloads_now, forms, offers, settings
from .labels import choice_name, dropdown
from .library_table import adopt_form, file_details, library_bar, library_row, trash
from .needs_section import needs
from .status import Figures, answers, faults, job_figures, status, title, work_figures
from .which_vae import pasted, pasted_title

__all__ = [
    "Figures",
    "address_panel",
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
    "library_row",
    "needs",
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
