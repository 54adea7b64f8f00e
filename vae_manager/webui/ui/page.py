"""One page: it attaches to the service, knows the host, and lives as long as one build of the UI."""

from __future__ import annotations

import copy
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...choice import AUTOMATIC, BUILTIN, Choice
from ...errors import NotFoundError
from ...jobs import JobState
from ...library import VaeFile, scan
from ...library.folders import Listing, previews_of
from ...maintenance import key_of
from ...messages import Message, msg
from ...service import Service
from ..admission import Visitor, seen_from_elsewhere, seen_from_here
from ..faults import FAULTS
from ..hosts.host_values import Permission
from ..pasted_pictures import chosen_for_tab
from ..translation import Translator, translator_of
from ..update import loaded_code
from . import views
from .comparison_page import Offers, compare_picture, read_section
from .library_view_model import LibraryRow, RowLog, read_library
from .vae_options import Memo, allow, choose, option_after_look, warning_in_tab
from .view_model import Facts, read_activity, read_facts
from .views import choice_name
from .views.comparison_section import cards, kept, progress, setup, view_of
from .views.which_vae import which_vae

if TYPE_CHECKING:
    from ..hosts.host import Host

TABS = ("txt2img", "img2img")
LIBRARY = "library"
"""The tab of its own."""
COMPARISON = "comparison"
"""That tab's second page."""
DOWNLOADS = "downloads"
"""Its third page."""

EVERYWHERE = "everywhere"
THIS_TAB = "tab"


def _digest(lines: Sequence[tuple[str, str]]) -> str:
    return hashlib.blake2s(repr(lines).encode()).hexdigest()  # repr escapes surrogates


@dataclass
class _Lines:
    """The WebUI's words by the lines of the dropdown: one for all who see the page."""

    by_label: dict[str, str] = field(default_factory=dict)


class Page:
    """What the gradio parts and the route ask."""

    def __init__(self, host: Host, service: Service) -> None:
        self.host = host
        self.service = service
        loaded_code()  # notes what was loaded
        self.quick_settings_at_build = "sd_vae" in (host.quick_settings() or ())
        self._lines = _Lines()
        self._sent = RowLog()
        self._offers = Offers()
        self._listing = Listing()
        self._memo = Memo()
        self._life = secrets.token_hex(4)
        self._seen_by = {
            Visitor(is_owner=True): self._as_seen(seen_from_here(host)),
            Visitor(is_owner=False): self._as_seen(seen_from_elsewhere(host)),
        }

    def _as_seen(self, host: Host) -> Page:
        """The same page over a host that allows and shows something else."""
        page = copy.copy(self)
        page.host, page._sent, page._memo = host, RowLog(), Memo()
        return page

    def seen_by(self, visitor: Visitor) -> Page:
        """The page as this visitor may see and use it."""
        return self._seen_by[visitor]

    @property
    def translate(self) -> Translator:
        return translator_of(self.host)

    def facts(self) -> Facts:
        return read_facts(self.host, self.service, self._files())

    def _files(self) -> Sequence[VaeFile]:
        """All files of the library, with what was left half done brought to an end before."""
        folders = self.host.folders()
        self.service.recover(folder.path for folder in folders)
        return scan(folders)

    def _listed(self) -> Sequence[VaeFile]:
        """List as `_files`, for a look that may be repeated every few seconds."""
        folders = self.host.folders()
        self.service.recover(folder.path for folder in folders)
        return self._listing.files(folders)

    def state(
        self,
        tab_choices: Mapping[str, str],
        library: tuple[str, str] | None = None,
        comparison: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """Everything that the browser shows and that changes while the page is open.

        `tab_choices` holds, for a tab that has a VAE of its own, the WebUI's word for it, or its line. `library`, while
        the tab "VAE" is seen: which rows the browser has, by their stamp, and the key of the one that the person looks
        at. `comparison`, while its second page is seen: the digest of the choices that the browser has, and the id of
        the comparison that the person looks at; empty: the newest.
        """
        try:
            files = self._listed()
            facts = read_facts(self.host, self.service, files, self._memo)
        except Exception as error:  # noqa: BLE001 - the page shows the fault instead
            FAULTS.record(msg("The page's state"), error)
            return self._faults_alone()
        state = self._state_of(facts, tab_choices)
        if library is not None:
            with FAULTS.suppressed(msg("The library")):
                state["library"] = self._library(files, *library)
        if comparison is not None:
            with FAULTS.suppressed(msg("The page of comparisons")):
                state["comparison"] = self._comparison(facts, files, *comparison)
        # Last, so that those of this very look are among them.
        state["regions"]["status"] = views.faults(FAULTS.all(), self.translate) + state["regions"]["status"]
        return state

    def _faults_alone(self) -> dict[str, Any]:
        """Content of the page while no facts can be read: all other parts stay as they are."""
        return {
            "titles": dict.fromkeys(TABS, "VAE"),
            "regions": {"status": views.faults(FAULTS.all(), self.translate)},
            "here": {},
            "sync": self._life,
            "active": False,
            "jobs": {},
            "stamp": "",
        }

    def _state_of(self, facts: Facts, tab_choices: Mapping[str, str]) -> dict[str, Any]:
        translate = self.translate
        offered = views.offers(facts, translate)
        status, offers = views.one_primary(views.status(facts, translate) + views.pasted(facts, translate), offered)
        return {
            "titles": {
                tab: views.title(facts, translate, self.word_of(own)) + views.pasted_title(facts, translate)
                for tab, own in ((tab, tab_choices.get(tab, "")) for tab in TABS)
            },
            "regions": {
                "status": status,
                "offers": offers,
                "downloads-now": views.downloads_now(facts, translate),
                "catalogue": views.one_primary(views.catalogue(facts, translate))[0],
                "downloads": views.downloads(facts, translate),
                "forms": views.forms(facts, translate),
                "settings": views.settings(
                    facts, translate, shown_in_page=self.quick_settings_at_build, offered=offered
                ),
            },
            "here": {row.entry.id: row.here.name for row in facts.rows if row.here is not None},
            "answers": views.answers(facts, read_activity(self.host, self.service, facts.in_use.path), translate),
            "sync": self._sync_token(facts),
            "active": facts.active,
            **self.pace(),
        }

    def _library(self, files: Sequence[VaeFile], stamp: str, selected: str) -> dict[str, Any]:
        library, translate = read_library(self.host, self.service, files, selected, self._memo), self.translate
        seen_with = (
            library.in_use.family,
            library.choose_refused,
            library.change_refused,
            library.shows_paths,
            self.host.language(),
        )

        def html(row: LibraryRow) -> str:
            return views.library_row(row, library, translate)

        return {
            **self._sent.since(stamp, library.rows, seen_with, html),
            "selected": library.selected.key if library.selected is not None else "",
            "regions": {
                "library-bar": views.library_bar(library, translate),
                "library-forms": views.adopt_form(library, translate),
                "trash": views.trash(library, translate),
                "file": views.file_details(library, translate),
            },
            "active": library.active,
        }

    def _comparison(self, facts: Facts, files: Sequence[VaeFile], digest: str, shown: str) -> dict[str, Any]:
        """What can be chosen is sent only where it has changed: of a thousand files it is long."""
        section, translate = read_section(self.host, self.service, files, self._offers, shown), self.translate
        choices = setup(section, translate)
        now = hashlib.blake2s(choices.encode("utf-8", "replace"), digest_size=8).hexdigest()
        return {
            "digest": now,
            "regions": {
                "which": which_vae(facts, translate),
                **({"compare-setup": choices} if now != digest else {}),
                "compare-kept": kept(section, self._life, translate),
                "compare-progress": progress(section, translate),
                "compare-cards": cards(section, self._life, translate),
            },
            "view": view_of(section.now, self._life, translate) if section.now is not None else None,
            "active": section.active,
        }

    def compare_picture(self, message: str, picture: Path | bytes | None) -> None:
        """Compare a picture of the person's own. Raises VaeManagerError."""
        compare_picture(self.host, self.service, message, picture)

    def preview_of(self, key: str) -> Path:
        """The preview beside the file of that key. Raises NotFoundError."""
        files = [file for file in self._listed() if key_of(file.path) == key]
        for preview in previews_of(files).values():
            return preview
        raise NotFoundError(msg("This picture is not there."))

    def pace(self) -> dict[str, Any]:
        """The figures of the downloads alone: cheap enough to be asked for many times a second.

        `stamp` changes when more than the figures has changed, so that the whole state is worth asking for.
        """
        translate = self.translate
        jobs = [one.job for one in self.service.downloads.views()]
        work = self.service.maintenance.views()
        return {
            "jobs": {
                **{job.key: views.job_figures(job, translate) for job in jobs if job.state is JobState.RUNNING},
                **{job.key: views.work_figures(job, translate) for job in work if job.state is JobState.RUNNING},
            },
            "stamp": " ".join(f"{job.serial}{job.state.value}{job.command.value}" for job in (*jobs, *work)),
        }

    def _sync_token(self, facts: Facts) -> str:
        """Changes whenever the dropdowns of an open page have to be set anew: after a new start of the WebUI too, which
        knows neither their lines nor, under gradio 4, that it may be given one of them."""
        job = facts.choosing
        ended = str(job.serial) if job is not None and job.state.ended else ""
        shown = self._memo.get(
            "lines",
            (facts.options,),
            (facts.wanted, facts.choice, facts.resolution, facts.in_use.family, facts.family, self.host.language(),
             dict(self.host.translations())),
            lambda: _digest(views.dropdown(facts, self.translate)),
        )  # fmt: skip
        means = (facts.resolution.rule.value, facts.resolution.path)  # stands beside "Automatic"
        refused = facts.in_use.refusal.serial if facts.in_use.refusal is not None else None
        chosen = (facts.wanted.word, facts.choice.word, ended, refused)
        told = repr((self._life, chosen, means, shown, self.host.quick_settings()))  # repr escapes surrogates
        return hashlib.blake2s(told.encode()).hexdigest()  # a path of this machine is in it

    # gradio 3.41.2 shows a dropdown's values as they are: what is read must be turned back into the WebUI's word.

    def first_labels(self) -> tuple[list[str], str]:
        """The dropdown's lines and its value as the UI is built: no file is looked at while the WebUI starts."""
        chosen = self.host.choice().word
        files = sorted(self.host.files(), key=str.casefold)
        options = dict.fromkeys([AUTOMATIC.word, BUILTIN.word, *files, chosen])
        self._remember([(choice_name(Choice(word), self.translate), word) for word in options])
        return list(self._lines.by_label), self.label_of(chosen)

    def labels(self, facts: Facts) -> list[str]:
        """The dropdown's lines now."""
        lines = views.dropdown(facts, self.translate)
        self._remember(lines)
        return [label for label, _ in lines]

    def label_of(self, word: str) -> str:
        """How the dropdown shows the WebUI's `word`: the line that was made last for it."""
        shown = [label for label, known in self._lines.by_label.items() if known == word]
        return shown[-1] if shown else word

    def word_of(self, label: str) -> str:
        """The WebUI's word behind a line of the dropdown, also of an open page that shows older lines."""
        return self._lines.by_label.get(label, label)

    def _remember(self, lines: Iterable[tuple[str, str]]) -> None:
        latest = dict(lines)
        older = {label: word for label, word in self._lines.by_label.items() if label not in latest}
        self._lines.by_label = {**older, **latest}  # in one step: events of both tabs come on threads of their own

    def pick(self, word: str, scope: str) -> str:
        """Take what a person picked in a tab; return the tab's own choice, empty if the choice is for everywhere.

        No `word`: the tab is to have no choice of its own any more.
        """
        if scope == THIS_TAB:
            allow(self.host, Permission.CHOOSE_FOR_TAB)
            self.host.check(Choice(word))
            chosen_for_tab(self.host, self.service, word)
            return word
        if word:
            choose(self.host, self.service, Choice(word))
        return ""

    def doubt_in_tab(self, word: str) -> Message | None:
        """Return the warning for a VAE that a tab has chosen and that is hardly meant for the checkpoint."""
        return warning_in_tab(option_after_look(self.host, self.service, Choice(word)))
