"""The rescue of failed decodes on the running WebUI: the proofs of tests/guards, and a picture by the page.

A small extension plants the faults and keeps latents and weights; the pictures are compared with an independent decode
in 32 bits in this process.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("torch")

from ..guards import test_rescue as proofs
from ..guards.rescue_inside import install_rescue
from ..guards.stage import Stage
from ..guards.test_rescue import *  # noqa: F403
from .files import write_taesd
from .page import LivePage
from .test_guards import stage  # noqa: F401
from .webui import WebUI

pytestmark = pytest.mark.live

CATALOGUE: Final = Path("vae-manager", "catalogue.yaml")
DECODES: Final = 24
DEAREST: Final = 1.1
"""Of a decode without the rescue's look, far more than that look takes: a busy machine has its noise."""
TAESD: Final = Path("models", "VAE-taesd", "taesd_decoder.pth")


@pytest.fixture(scope="module")  # type: ignore[no-redef]
def here(stage: Stage, webui: WebUI, folder: Path) -> Iterator[Stage]:  # noqa: F811
    """The stage, with the extension that plants faults and a decoder for TAESD. The user's catalogue is put back."""
    if webui.restart_command is None:
        pytest.skip("needs a way to restart the WebUI: --restart-command CMD")
    catalogue, taesd = folder / CATALOGUE, folder / TAESD
    own = catalogue.read_bytes() if catalogue.exists() else None
    is_ours = not taesd.exists()
    install_rescue(folder)
    try:
        if is_ours:  # the WebUI would download it
            taesd.parent.mkdir(exist_ok=True)
            write_taesd(taesd)
        webui.restart()
        stage.unknown()
        yield stage
    finally:
        shutil.rmtree(folder / "extensions" / "rescue")
        if is_ours:
            taesd.unlink()
        if own is None:
            catalogue.unlink(missing_ok=True)
        else:
            catalogue.write_bytes(own)
        webui.restart()
        stage.unknown()


@pytest.mark.usefixtures("no_fallback")
def test_a_picture_by_the_page(here: Stage, page: LivePage) -> None:
    """The page shows the picture that the API gives, the sentence below it, and the VAE in its infotext."""
    proofs.plant(here, "overflow")
    page.prepare()
    shown = page.generate()
    assert proofs.largest(shown.pixels, proofs.expected(here)[0]) <= proofs.TOLERANCE
    assert len(set(shown.pixels)) > 20
    assert here.webui.named(shown.infotext) == here.a
    said = page.raw.inner_text("#html_log_txt2img")
    assert proofs.says(said, "rescued", vae=here.a, by=here.a, now="fp32")
    assert here.webui.picture().looks_like(shown)


def test_what_it_costs_when_all_is_well(here: Stage) -> None:
    """Decodes of 128 × 128, the setting on and off in turn, by the CPU time of the thread, whatever else runs."""
    proofs.plant(here, "none")
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * DECODES):
        on = number % 2 == 0
        here.webui.set(**{proofs.OPTION: on})
        here.webui.get("/rescue/times")
        here.picture(width=128, height=128)
        [(_, cpu)] = here.webui.get("/rescue/times")
        times[on].append(cpu)
    quartiles = {on: [round(one, 4) for one in statistics.quantiles(times[on], n=4)] for on in times}
    ratio = statistics.median(times[True]) / statistics.median(times[False])
    print(
        f"{DECODES} decodes each, seconds in the quartiles: on {quartiles[True]}, off {quartiles[False]}: {ratio:.4f}"
    )
    assert ratio < DEAREST
