"""The verdict's promises, kept by a running WebUI: the page's row says what the WebUI then does with each file.

Nothing of the extension decodes what pictures are compared with: it is the VAE of a checkpoint that holds the weights.
`--record-promises` writes the figures to bench/results/promises-live.json.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from bench import results  # noqa: E402
from tests.shown import shows  # noqa: E402
from tests.wording import says  # noqa: E402
from vae_manager.maintenance import key_of  # noqa: E402

from ..files.corpus import CASES, Case  # noqa: E402
from ..files.corpus.variants import VARIANTS  # noqa: E402
from .conftest import option  # noqa: E402
from .promised import KINDS, Promised, Weights, weights  # noqa: E402
from .webui import Picture, WebUI, until  # noqa: E402

pytestmark = pytest.mark.live

REFERENCE = "live-reference"
OWN_VAE = "first_stage_model."
SMALL = [*CASES, *VARIANTS]
OF_A_LIST_WITH_ENCODERS = ("lora-ignored", "unknown-ignored")
"""What Forge's family says of a file for its list of VAEs and text encoders that is neither; its row says: no VAE."""
VERDICTS = {"0": "usable", "2": "ask first", "3": "usable after", "4": "refused"}
"""By the rank of a row's state. What asks first and has to be converted has the rank of what has to be converted."""


@dataclass(frozen=True)
class Row:
    """The page's row of a file."""

    verdict: str
    reasons: tuple[str, ...]
    offers: frozenset[str]
    """Actions of its buttons."""
    asks: bool = False
    """A question is asked before it is used."""


@dataclass
class Figures:
    """Of the files that were tried, how many had which verdict; and those whose verdict was not kept."""

    narrow: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    """Pictures compared with those of the reference, bit for bit."""
    exceptions: list[str] = field(default_factory=list)


class Ground:
    """The WebUI, the pictures that are expected of it, and what its page says."""

    def __init__(self, webui: WebUI, folder: Path) -> None:
        self.webui, self.folder = webui, folder
        self.vaes = folder / "models" / "VAE"
        self.figures = Figures()
        webui.choose("None")
        self.builtin = webui.picture()
        self._known: dict[str, Picture] = {}

    def expected(self, promised: Promised | None = None) -> Picture:
        """The picture of a checkpoint that has these weights for its own VAE."""
        changed = promised.changed if promised is not None else None
        id = promised.id if promised is not None and changed is not None else ""
        if id not in self._known:
            self._known[id] = self._of_reference(changed(weights()) if changed is not None else weights())
            assert not self._known[id].looks_like(self.builtin)
        return self._known[id]

    def _of_reference(self, found: Weights) -> Picture:
        models = self.folder / "models" / "Stable-diffusion"
        chosen = self.webui.options()["sd_model_checkpoint"].split(" [")[0]
        source = models / (chosen if chosen.endswith(".safetensors") else f"{chosen}.safetensors")
        config = source.with_suffix(".yaml")
        target = models / f"{REFERENCE}.safetensors"
        _write_reference(source, target, found)
        if config.exists():
            shutil.copyfile(config, target.with_suffix(".yaml"))
        self.webui.post("/sdapi/v1/refresh-checkpoints")
        try:
            self.webui.choose("None")
            self.webui.set(sd_model_checkpoint=target.stem)
            return self.webui.picture()
        finally:
            self.webui.set(sd_model_checkpoint=source.stem)
            assert self.webui.picture().looks_like(self.builtin)
            target.unlink()
            target.with_suffix(".yaml").unlink(missing_ok=True)
            self.webui.post("/sdapi/v1/refresh-checkpoints")

    def act(self, **action: Any) -> None:
        self.webui.act(**action)

    def state(self, path: Path) -> dict[str, Any]:
        """Return the page's row once no work runs."""
        return until(
            lambda: self.webui.state(library="", file=key_of(path)),
            lambda state: not state["active"] and not state["library"]["active"],
        )

    def row(self, path: Path) -> Row:
        state = self.state(path)
        row, details = state["library"]["rows"][key_of(path)], state["library"]["regions"]["file"]
        rank = re.search(r'class="vm-c-state" data-vae-rank="(\d)"', row)
        assert rank is not None
        reasons = (_plain(one) for one in re.findall(r'<p class="vm-line vm-look"[^>]*>.*?</p>', details))
        offers = re.findall(r'"do": "([a-z-]+)"', html.unescape(details))
        asks = any(shows(details, code) for code in ("other-family", "probably-other-family"))
        return Row(VERDICTS[rank[1]], tuple(reasons), frozenset(offers), asks)

    def verified(self, path: Path) -> Row:
        """The row after each byte was read."""
        self.row(path)  # it knows the file
        self.act(do="verify-file", file=key_of(path))
        row = self.row(path)
        self.act(do="forget-told")
        return row

    def status(self) -> str:
        state = until(self.webui.state, lambda state: not state["active"])
        return _plain(state["regions"]["status"])

    # -- what is promised ------------------------------------------------------------------------------------------
    def assert_used(self, path: Path, expected: Picture) -> None:
        assert self.webui.option("sd_vae") == path.name
        picture = self.webui.picture()
        assert picture.vae == path.name
        assert picture.looks_like(expected)
        self.figures.pictures += 1

    def assert_refused(self, path: Path, row: Row) -> None:
        """The setting stays, row and sentence agree before and after, and the picture is that of before."""
        self.webui.choose("None")
        status, _ = self.webui.ask("/sdapi/v1/options", {"sd_vae": path.name})
        assert status == 200
        assert self.webui.option("sd_vae") == "None"
        told = self.status()
        assert path.name in told
        is_neither = any(says(told, code, file=path.name) for code in OF_A_LIST_WITH_ENCODERS)
        assert is_neither or any(reason in told for reason in row.reasons), (told, row.reasons)
        assert self.row(path) == row
        picture = self.webui.picture()
        assert picture.vae is None
        assert picture.looks_like(self.builtin)

    def assert_kept(self, path: Path, row: Row, expected: Callable[[], Picture]) -> None:
        """Do what the row says can be done with the file."""
        if row.verdict == "usable":
            assert "use-file" in row.offers
            wanted = expected()
            self.webui.choose(path.name)
            self.assert_used(path, wanted)
        elif row.verdict == "refused":
            assert not row.offers & {"use-file", "convert-file"}
            self.assert_refused(path, row)
        elif "convert-file" in row.offers:
            assert "use-file" not in row.offers
            self.assert_refused(path, row)
            self.assert_converted(path, row, expected())
        else:
            assert row.verdict == "ask first"
            wanted = expected()
            self.assert_asked(path)
            self.assert_used(path, wanted)

    def assert_asked(self, path: Path) -> None:
        """Nothing changes by *Use*; the answer to its question makes the choice."""
        self.webui.choose("None")
        self.act(do="use-file", file=key_of(path))
        until(self.status, lambda told: path.name in told)
        assert self.webui.option("sd_vae") == "None"
        self.act(do="choose-anyway", choice=path.name)
        until(lambda: self.webui.option("sd_vae"), lambda now: now == path.name)
        self.status()

    def assert_converted(self, path: Path, row: Row, expected: Picture) -> None:
        self.webui.choose("None")
        before = set(self.vaes.iterdir())
        self.act(do="convert-file", file=key_of(path), use=False)
        self.state(path)
        made = set(self.vaes.iterdir()) - before
        assert len(made) == 1, self.state(path)["library"]["regions"]["library-bar"]
        (target,) = made
        try:
            result = self.row(target)
            assert result.verdict == ("ask first" if row.asks else "usable")
            if row.asks:
                self.assert_asked(target)
            else:
                self.webui.choose(target.name)
            self.assert_used(target, expected)
        finally:
            self.webui.choose("None")
            if row.asks:
                self.act(do="set-family", file=key_of(target), family="")  # what was said is remembered for its bytes
            target.unlink()

    def assert_looked_as(self, id: str, path: Path, row: Row, count: Counter[str], expected: Any) -> None:
        try:
            self.assert_kept(path, row, expected)
        except BaseException:
            self.figures.exceptions.append(id)
            raise
        finally:
            count[row.verdict] += 1


def _plain(marked: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r'<span class="vm-sign".*?</span>', "", marked)))


def _write_reference(source: Path, target: Path, found: Weights) -> None:
    """Write the checkpoint with another VAE of its own, under a name that is not listed before it is whole."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(source)
    own = {OWN_VAE + name: tensor for name, tensor in found.items()}
    assert own.keys() <= tensors.keys()
    partial = target.with_suffix(".partial")
    save_file({**tensors, **own}, partial, metadata={"format": "pt"})
    partial.rename(target)


@pytest.fixture(scope="module")
def ground(webui: WebUI, folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    made = Ground(webui, folder)
    yield made
    webui.choose("None")
    if option(request.config, "--record-promises", False):
        _record(made)


def _record(ground: Ground) -> None:
    figures = ground.figures
    found = re.search(r"\bVersion: (\S+)", ground.builtin.infotext)
    assert found is not None
    path = results.FOLDER / "promises-live.json"
    known: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    counts = {"narrow files": figures.narrow, "files of the true shapes": figures.whole}
    own = {
        "files": sum(sum(count.values()) for count in counts.values()),
        **{name: {"files": sum(count.values()), **dict(sorted(count.items()))} for name, count in counts.items()},
        "pictures equal to the reference": figures.pictures,
        "exceptions": figures.exceptions,
    }
    results.write("promises-live", {"webuis": {**known.get("webuis", {}), found[1]: own}})


@pytest.fixture(scope="module")
def small(ground: Ground) -> Iterator[Mapping[str, Path]]:
    """The corpus's own files, all at once: VAEs much narrower than the checkpoint's, and what is no VAE."""
    paths = {
        case.id: ground.vaes / f"live-small-{number}{case.name.removeprefix('x')}" for number, case in enumerate(SMALL)
    }
    for case in SMALL:
        paths[case.id].write_bytes(case.data)
    ground.webui.refresh()
    yield paths
    ground.webui.choose("None")
    for path in paths.values():
        path.unlink(missing_ok=True)
    ground.webui.refresh()


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.id)
def test_small_file(ground: Ground, small: Mapping[str, Path], case: Case) -> None:
    path = small[case.id]
    if path.name not in ground.webui.listed():
        pytest.skip("this WebUI does not list it")
    row = ground.row(path)
    assert row.verdict == "refused"
    ground.assert_looked_as(case.id, path, row, ground.figures.narrow, None)


@pytest.mark.parametrize("promised", KINDS, ids=lambda promised: promised.id)
def test_whole_file(ground: Ground, promised: Promised) -> None:
    path = ground.vaes / f"live-whole-{KINDS.index(promised)}{promised.suffix}"
    partial = path.with_name(f".{path.name}.partial")
    promised.write(partial)
    partial.rename(path)
    ground.webui.refresh()
    try:
        row = ground.verified(path)
        if promised.family is not None:
            ground.act(do="set-family", file=key_of(path), family=promised.family)
            row = ground.row(path)
            assert row.asks
        ground.assert_looked_as(promised.id, path, row, ground.figures.whole, lambda: ground.expected(promised))
    finally:
        ground.webui.choose("None")
        if promised.family is not None:
            ground.act(do="set-family", file=key_of(path), family="")
        path.unlink(missing_ok=True)
        ground.webui.refresh()
