"""The page: it attaches to the service, has a host, and lives as long as one build of the UI."""

from __future__ import annotations

import copy
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ...choice import AUTOMATIC, BUILTIN, Choice
from ...downloads import Look, too_many_looks
from ...errors import NotFoundError, VaeManagerError
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
from ..trial_job import changed_since
from ..update import loaded_code
from . import views
from .address_view_model import AddressFacts, begin_look, read_look
from .comparison_page import Offers, compare_picture, read_section
from .library_view_model import LibraryRow, RowLog, read_library
from .trial_page import read_trial
from .vae_options import Memo, allow, choose, option_after_look, warning_in_tab
from .view_model import Facts, read_activity, read_facts
from .views import choice_name
from .views.comparison_section import cards, kept, progress, setup, view_of
from .views.trial_section import measured_here, trial
from .views.which_vae import definition, which_vae

if TYPE_CHECKING:
    from ..hosts.host import Host

TABS = ("txt2img", "img2img")
LIBRARY = "library"
"""Identifier of the extension's tab."""
COMPARISON = "comparison"
"""Identifier of that tab's second page."""
DOWNLOADS = "downloads"
"""Identifier of its third page."""

SAME_AS_ABOVE = msg("Same as above", code="same-as-above")
"""The line of a pass without a VAE of its own."""
EVERYWHERE = "everywhere"
THIS_TAB = "tab"


def _digest(lines: Sequence[tuple[str, str]]) -> str:
    return hashlib.blake2s(repr(lines).encode()).hexdigest()  # repr escapes surrogates


@dataclass
class _Lines:
    """The WebUI's words by the lines of the dropdown, shared by all visitors."""

    by_label: dict[str, str] = field(default_factory=dict)


class Page:
    """The interface of the page for the gradio blocks and the route."""

    def __init__(self, host: Host, service: Service) -> None:
        self.host = host
        self.service = service
        loaded_code()  # records the loaded code
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
        """Return the same page over a host with other permissions and displayed values."""
        page = copy.copy(self)
        page.host, page._sent, page._memo = host, RowLog(), Memo()
        return page

    def seen_by(self, visitor: Visitor) -> Page:
        """Return the page with the visitor's permissions."""
        return self._seen_by[visitor]

    @property
    def translate(self) -> Translator:
        """The translator to the WebUI's present language; for a visitor who may see no paths, it hides them."""
        return translator_of(self.host)

    def facts(self) -> Facts:
        """Read the state of the page for its present visitor, after incomplete operations were ended."""
        return read_facts(self.host, self.service, self._files())

    def _files(self) -> Sequence[VaeFile]:
        """List all files of the library; incomplete operations are completed or reverted first."""
        folders = self.host.folders()
        self.service.recover(folder.path for folder in folders)
        return scan(folders)

    def _listed(self) -> Sequence[VaeFile]:
        """List as `_files`, for a poll every few seconds."""
        folders = self.host.folders()
        self.service.recover(folder.path for folder in folders)
        return self._listing.files(folders)

    def state(
        self,
        tab_choices: Mapping[str, str],
        library: tuple[str, str] | None = None,
        comparison: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return all content of the browser that changes while the page is open.

        `tab_choices` holds, for a tab with a VAE of its own, the WebUI's word for it, or its line. `library`, while the
        tab "VAE" is visible: the stamp of the browser's rows, and the key of the selected row. `comparison`, while its
        second page is visible: the digest of the browser's choices, and the id of the selected comparison; empty means
        the newest.
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
        # Last, so that faults of this call are included.
        state["regions"]["status"] = views.faults(FAULTS.all(), self.translate) + state["regions"]["status"]
        return state

    def _faults_alone(self) -> dict[str, Any]:
        """Return the content of the page while the facts cannot be read: all other parts stay as they are."""
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
        status, needs, offers = views.one_primary(
            views.status(facts, translate) + views.pasted(facts, translate), views.needs(facts, translate), offered
        )
        return {
            "titles": {
                tab: views.title(facts, translate, self.word_of(own)) + views.pasted_title(facts, translate)
                for tab, own in ((tab, tab_choices.get(tab, "")) for tab in TABS)
            },
            "regions": {
                "status": status,
                "needs": needs,
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
        """Return the comparison section. The choices, a long list with many files, are sent only after a change."""
        section, translate = read_section(self.host, self.service, files, self._offers, shown), self.translate
        choices, tried = setup(section, translate), read_trial(self.host, self.service)
        now = hashlib.blake2s(choices.encode("utf-8", "replace"), digest_size=8).hexdigest()
        return {
            "digest": now,
            "regions": {
                "which": definition(translate) + self._measured(facts) + which_vae(facts, translate),
                **({"compare-setup": choices} if now != digest else {}),
                "compare-kept": kept(section, self._life, translate),
                "compare-progress": progress(section, translate),
                "compare-cards": cards(section, self._life, translate),
                "trial": trial(tried, self._life, translate),
            },
            "view": view_of(section.now, self._life, translate) if section.now is not None else None,
            "active": section.active or (tried.now is not None and not tried.now.ended),
        }

    def _measured(self, facts: Facts) -> Markup:
        """Return what was measured here with the loaded checkpoint, which comes before what publishers say."""
        record = self.service.trial_records.of(facts.in_use.checkpoint_file)
        if record is None:
            return Markup()
        return measured_here(record, self.translate, changed_since(self.host, record))

    def compare_picture(self, message: str, picture: Path | bytes | None) -> None:
        """Compare the user's own picture. Raises VaeManagerError."""
        compare_picture(self.host, self.service, message, picture)

    def begin_look(self, address: str, page: str) -> Future[Look]:
        """Begin a look at the file behind an address; a newer one of the same `page` of a browser cancels it."""
        try:
            return begin_look(self.host, self.service, address, page)
        except Exception as error:  # noqa: BLE001 - `show_look` shows it, a refusal as well as a fault
            refused: Future[Look] = Future()
            refused.set_exception(error)
            return refused

    def show_look(self, answer: Future[Look], name: str) -> dict[str, Any]:
        """Return the panel about a look, and the name proposed for its file. `name` is the user's own for it.

        The panel shows why an address cannot be looked at, too, and that an `answer` is not there.
        """
        try:
            look = answer.result(0) if answer.done() else Look(error=too_many_looks())
            seen = read_look(self.host, self.service, look, name)
        except VaeManagerError as error:
            seen = AddressFacts(problem=error.message)
        except Exception as error:  # noqa: BLE001 - the panel shows the fault instead
            fault = FAULTS.record(msg("The look at an address"), error)
            seen = AddressFacts(problem=fault.message)
        return {"html": views.address_panel(seen, self.translate), "name": seen.proposed}

    def preview_of(self, key: str) -> Path:
        """Return the preview beside the file of that key. Raises NotFoundError."""
        files = [file for file in self._listed() if key_of(file.path) == key]
        for preview in previews_of(files).values():
            return preview
        raise NotFoundError(msg("This picture is not there."))

    def pace(self) -> dict[str, Any]:
        """Return the figures of the downloads alone, cheap enough for many requests a second.

        `stamp` changes if more than the figures has changed, so that a request for the whole state is worthwhile.
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
        """Return a token that changes if the dropdowns of an open page have to be set again.

        A restart of the WebUI changes it too: the new process has no record of the lines, and gradio 4 rejects a value
        outside its lines.
        """
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
        # The WebUI's own dropdown may show text encoders beside the VAE.
        chosen = (facts.wanted.word, facts.choice.word, ended, refused, tuple(map(str, self.host.components())))
        told = repr((self._life, chosen, means, shown, self.host.quick_settings()))  # repr escapes surrogates
        return hashlib.blake2s(told.encode()).hexdigest()  # a path of this machine is in it

    # gradio 3.41.2 shows a dropdown's values as they are, so a line has to be turned back into the WebUI's word.

    def first_labels(self) -> tuple[list[str], str]:
        """Return the dropdown's lines and value at build time, without an inspection of files."""
        chosen = self.host.choice().word
        files = sorted(self.host.files(), key=str.casefold)
        options = dict.fromkeys([AUTOMATIC.word, BUILTIN.word, *files, chosen])
        lines = [(choice_name(Choice(word), self.translate), word) for word in options]
        self._remember(lines)
        return [label for label, _ in lines], self.label_of(chosen)

    def labels(self, facts: Facts) -> list[str]:
        """Return the current lines of the dropdown."""
        lines = views.dropdown(facts, self.translate)
        self._remember(lines)
        return [label for label, _ in lines]

    def label_of(self, word: str) -> str:
        """Return the line of the dropdown for the WebUI's `word`: the newest one."""
        shown = [label for label, known in self._lines.by_label.items() if known == word]
        return shown[-1] if shown else word

    def word_of(self, label: str) -> str:
        """Return the WebUI's word for a line of the dropdown; an open page may still show older lines."""
        return self._lines.by_label.get(label, label)

    def pass_labels(self, labels: Sequence[str]) -> list[str]:
        """Return the lines of the dropdowns for single passes, from those of the accordion's: Automatic is none."""
        none = self.translate(SAME_AS_ABOVE)
        self._remember([(none, "")])
        return [none, *(label for label in labels if not Choice(self.word_of(label)).is_automatic)]

    def pass_label(self, field: str, pasted: Mapping[str, Any]) -> str:
        """Return the line for the VAE that `field` of a pasted infotext names, in the WebUI's word."""
        word = str(pasted.get(field) or "")
        return self.label_of("" if Choice(word).is_automatic else word)

    def pass_word(self, label: object) -> str:
        """Return the WebUI's word for such a line, or for a word; empty for a pass without a VAE of its own.

        A request through the API can hold anything: what is no text asks for none.
        """
        word = self.word_of(label) if isinstance(label, str) else ""
        return "" if Choice(word).is_automatic else word

    def _remember(self, lines: Iterable[tuple[str, str]]) -> None:
        latest = dict(lines)
        older = {label: word for label, word in self._lines.by_label.items() if label not in latest}
        self._lines.by_label = {**older, **latest}  # in one step, since events of both tabs run on different threads

    def pick(self, word: str, scope: str) -> str:
        """Apply a pick in a tab; return the tab's own choice, empty if the choice applies everywhere.

        An empty `word` removes the tab's own choice.
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
        """Return the warning for a tab's VAE that was probably made for another kind of checkpoint."""
        return warning_in_tab(option_after_look(self.host, self.service, Choice(word)))
