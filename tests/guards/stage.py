"""A running WebUI with good VAEs, bad ones and two checkpoints, and what it is asked for."""

from __future__ import annotations

import functools
import html
import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from ..live.webui import Picture, WebUI, until
from ..words.said import all_calls
from .bad_files import BadFile, remove

FROM_FILE, FROM_BUILTIN, FROM_AUTOMATIC = "a file", "Built-in", "Automatic"
STARTS = (FROM_FILE, FROM_BUILTIN, FROM_AUTOMATIC)
BY_CARD = "sd_vae_overrides_per_model_preferences"
"""Off: a checkpoint's card and a file near it go before the setting."""

LONGEST = 600
"""Characters of a message. The WebUI's own one for the diffusers layout has 19,464."""


_said = functools.cache(all_calls)


@functools.cache
def _sentences_about(name: str) -> re.Pattern[str]:
    """All that the project says in which a file is named, said about this one."""
    patterns = []
    for said in _said():
        if said.names and said.names & {"file", "path", "vae"}:
            parts = re.split(r"(\{\w+\})", said.template or "")
            patterns.append("".join(_filled(part, name) for part in parts))
    return re.compile("|".join(sorted(patterns, key=len, reverse=True)), re.DOTALL)


def _filled(part: str, name: str) -> str:
    if part in ("{file}", "{path}", "{vae}"):
        return rf"(?:/\S*/)?\S*{re.escape(name)}"
    return ".{1,300}?" if part.startswith("{") else re.escape(part)


def assert_told(text: str, name: str) -> None:
    """`text` is a sentence of the project about the file `name`, or holds one, and nothing of torch's."""
    found = _sentences_about(name).search(text)
    assert found, f"not told about {name}: {text[:2000]}"
    assert len(found[0]) < LONGEST
    assert "Error(s) in loading" not in text


class Stage:
    """What tests ask of the WebUI. `good` are names of three VAEs whose pictures differ, `size` is that of pictures."""

    def __init__(self, webui: WebUI, folder: Path, good: tuple[str, str, str], log: Path | None, size: int) -> None:
        self.webui = webui
        self.folder = folder
        self.vaes = folder / "models" / "VAE"
        self.a, self.b, self.c = good
        self.log = log if log is not None and log.exists() else None
        self._asked = {"steps": 1, "width": size, "height": size}
        self.listed: set[str] = set()
        self._set_up: tuple[str, bool, int] | None = None
        self._picture: Picture | None = None
        self._known: dict[str, Picture] = {}
        models = {one["title"]: one for one in webui.get("/sdapi/v1/sd-models")}
        chosen = self._chosen_checkpoint()
        named = (one for title, one in models.items() if chosen in (title, one["model_name"]))
        first = models.get(chosen) or next(named, None) or next(iter(models.values()))
        second = next((one for one in models.values() if one is not first and not _near(first, one)), None)
        if second is None:
            raise LookupError("needs two checkpoints, the second of whose names does not begin with the first's")
        self.first, self.second = str(first["model_name"]), str(second["model_name"])
        self._first_card, self._second_card = (Path(one["filename"]).with_suffix(".json") for one in (first, second))
        self._own_cards = {
            card: card.read_text(encoding="utf-8") if card.exists() else None
            for card in (self._first_card, self._second_card)
        }

    def put_back(self) -> None:
        """Give the person's own cards back."""
        for card, text in self._own_cards.items():
            if text is None:
                card.unlink(missing_ok=True)
            else:
                card.write_text(text, encoding="utf-8")

    def another(self) -> Stage:
        """The same for another thread, with connections of its own."""
        other = copy(self)
        other.webui = self.webui.another()
        return other

    # -- states ------------------------------------------------------------------------------------------------------
    def begin(self, start: str, *, by_card: bool = False, in_memory: int = 1) -> Picture:
        """Put the WebUI into one of `STARTS`; the picture that it makes then.

        `by_card`: whether a card is what brings the next VAE. `in_memory`: how many checkpoints stay there.
        """
        if by_card and start != FROM_AUTOMATIC and "card first" in self.webui.lacks:
            pytest.skip(self.webui.lacks["card first"])
        wanted = start, by_card or start == FROM_AUTOMATIC, in_memory
        if self._set_up != wanted or self._picture is None:
            self._set_up = None
            self.card(self.first, self.b if start == FROM_AUTOMATIC else None)
            self.card(self.second, None)
            word = {FROM_FILE: self.a, FROM_BUILTIN: "None", FROM_AUTOMATIC: "Automatic"}[start]
            self.webui.set(**{BY_CARD: not wanted[1] or start == FROM_AUTOMATIC, "sd_checkpoints_limit": in_memory})
            self.checkpoint(self.first)
            self.webui.set(sd_vae=self.c)
            self.webui.set(sd_vae=word)
            self._picture = self.picture()
            expected = {FROM_FILE: self.a, FROM_BUILTIN: None, FROM_AUTOMATIC: self.b}[start]
            assert self._picture.vae == expected
            self._set_up, self._word = wanted, word
        return self._picture

    def unknown(self) -> None:
        """Nobody knows the WebUI's state any more: the next test sets it up anew."""
        self._set_up = None

    def assert_as_before(self) -> None:
        """Setting, pixels and infotext are what they were at `begin`."""
        before, self._picture = self._picture, None
        assert before is not None
        assert self.webui.option("sd_vae") == self._word
        after = self.picture()
        assert after.vae == before.vae
        assert after.vae_hash in (before.vae_hash, None) or before.vae_hash is None
        assert after.looks_like(before)
        self._picture = after

    def card(self, checkpoint: str, vae: str | None) -> None:
        """Write a checkpoint's card with this preferred VAE; None: no card."""
        card = self._first_card if checkpoint == self.first else self._second_card
        if vae is None:
            card.unlink(missing_ok=True)
        else:
            card.write_text(json.dumps({"vae": vae}), encoding="utf-8")

    @contextmanager
    def carded(self, checkpoint: str, vae: str) -> Iterator[None]:
        """For a while the card of `checkpoint` prefers `vae`."""
        card = self._first_card if checkpoint == self.first else self._second_card
        before = card.read_text(encoding="utf-8") if card.exists() else None
        self.card(checkpoint, vae)
        try:
            yield
        finally:
            if before is None:
                card.unlink()
            else:
                card.write_text(before, encoding="utf-8")

    def checkpoint(self, name: str) -> None:
        if self._chosen_checkpoint().split(" [")[0].removesuffix(".safetensors") != name:
            self.webui.set(sd_model_checkpoint=name)

    def _chosen_checkpoint(self) -> str:
        """Empty until one is chosen, where the WebUI does not write down which one it loads first."""
        return self.webui.options().get("sd_model_checkpoint") or ""

    @functools.cached_property
    def second_builtin(self) -> Picture:
        """What the second checkpoint makes with its own VAE."""
        self.unknown()
        self.webui.set(sd_vae="None")
        self.checkpoint(self.second)
        picture = self.picture()
        self.checkpoint(self.first)
        return picture

    @functools.cached_property
    def loads_any_layout(self) -> bool:
        """Whether this WebUI loads VAEs under the names of diffusers and with a prefix: Forge's family does, whose
        version in infotext begins with an f, and Neo."""
        return re.search(r"\bVersion: (f|neo)", self.picture().infotext) is not None

    @property
    def is_neo(self) -> bool:
        return bool(getattr(self.webui, "is_neo", False))

    @property
    def decodes_batches_at_once(self) -> bool:
        """As Forge's family does; A1111 decodes one picture of a batch after the other."""
        return self.loads_any_layout

    @property
    def previews_are_rough(self) -> bool:
        """As those of Forge's family are: "Full" is "Approx NN" there, for which it downloads a model."""
        return self.loads_any_layout

    # -- questions ---------------------------------------------------------------------------------------------------
    def picture(self, **asked: Any) -> Picture:
        return self.webui.picture(**{**self._asked, **asked})

    def known_picture(self, **asked: Any) -> Picture:
        """The same, asked for once in a state that `begin` has set up."""
        key = json.dumps([self._set_up, asked], sort_keys=True)
        if key not in self._known:
            self._known[key] = self.picture(**asked)
        return self._known[key]

    def steps_of(self, seconds: float) -> int:
        """How many take about that long here."""
        tried = 40
        started = time.monotonic()
        self.picture(steps=tried)
        return max(tried, round(tried * seconds / (time.monotonic() - started)))

    def try_picture(self, **asked: Any) -> tuple[int, Any]:
        """Status and answer of the same request as `picture`."""
        body = {"prompt": "a lighthouse", "seed": 7, "sampler_name": "Euler", "cfg_scale": 7, "batch_size": 1}
        return self.webui.ask("/sdapi/v1/txt2img", {**body, **self._asked, **asked})

    def status(self) -> str:
        """What the page says below the dropdown, once nothing moves any more."""
        state = until(self.webui.state, lambda state: not state["active"])
        return html.unescape(re.sub(r"<[^>]*>", "", state["regions"]["status"]))

    def said(self) -> int:
        """Where the log ends now; for `said_since`."""
        return self.log.stat().st_size if self.log is not None else 0

    def said_since(self, mark: int) -> str | None:
        if self.log is None:
            return None
        with self.log.open("rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")

    def lay(self, files: Iterable[BadFile], marker: Path) -> None:
        """Write bad files and let the WebUI list them; `listed` are those that it does list."""
        for bad in files:
            remove(self.vaes / bad.name)
            bad.write(self.vaes / self.c, self.vaes / bad.name, marker)
        self.webui.refresh()
        self.listed = self.webui.listed()
        for bad in files:
            if bad.before_use is not None and bad.name in self.listed:
                bad.before_use(self.vaes / bad.name)

    def clear(self, files: Iterable[BadFile]) -> None:
        for bad in files:
            remove(self.vaes / bad.name)
        self.webui.refresh()


def _near(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether a file near the second checkpoint would be near the first one too."""
    return str(second["model_name"]).startswith(str(first["model_name"]))
