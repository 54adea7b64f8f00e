"""Forge Neo, with a checkpoint of FLUX.1 that is a network alone: one click brings its VAE and its text encoders.

All files are made here, of random values and true shapes (`flux_files`): 6.4 GB, beside 5.3 GB that are downloaded. Neo
needs 9 GB of memory. `--needs-files DIR` keeps them for the next run.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ..hub import Fault, Hub
from .catalogue import sha256_of
from .conftest import option
from .flux_files import Written, write_clip_l, write_network, write_t5, write_vae
from .forge import MODULES, ForgeWebUI
from .page import LivePage
from .test_forge_row import _tokens
from .webui import Picture, WebUI, until

pytestmark = pytest.mark.live

REPO: Final = "live/needs"
CHECKPOINT: Final = "live-needs-flux.safetensors"
OF_FLUX, OF_SD = f"{MODULES}_flux", f"{MODULES}_sd"
PRESET: Final = "forge_preset"
NAMES: Final = {"vae": "live-ae.safetensors", "clip": "live-clip-l.safetensors", "t5": "live-t5xxl.safetensors"}
"""Of the published files, by the part."""
OTHER: Final = "live-clip-g.safetensors"
"""A text encoder that FLUX.1 has no use for, chosen before."""
TAP: Final = "vae-manager-live-tap"
"""An extension that keeps the latents of each picture."""
TAP_SCRIPT: Final = """
import pathlib
import numpy
from modules import scripts

class Tap(scripts.Script):
    def title(self):
        return "Live tap"
    def show(self, is_img2img):
        return scripts.AlwaysVisible
    def post_sample(self, p, ps):
        numpy.save(pathlib.Path(__file__).parents[1] / "latents.npy", ps.samples.float().cpu().numpy())
"""
SCALE, SHIFT = 0.3611, 0.1159
"""Of FLUX.1's latents (diffusers' configuration of its VAE)."""
MARGIN: Final = 200_000_000
"""Bytes that may be sent twice: those on the line at the end of a connection, and those not yet in the journal."""
BUTTON: Final = "#vae_manager_txt2img [data-vae-region=needs] [data-vae-do*=get-needs]"
DOWNLOAD_PATIENCE: Final = 600.0
FREE: Final = 20 << 30
"""Bytes on the disk of the WebUI."""


@dataclass
class Parts:
    """The WebUI with the checkpoint, and what is published for it."""

    webui: WebUI
    folder: Path
    hub: Hub
    files: dict[str, Written]

    def target(self, part: str, name: str | None = None) -> Path:
        """The place of a part; `name` is relative to its folder."""
        return self.folder / "models" / ("VAE" if part == "vae" else "text_encoder") / (name or NAMES[part])

    @property
    def targets(self) -> list[str]:
        return sorted(str(self.target(part)) for part in NAMES)

    def found(self) -> dict[str, int]:
        """All files in the two folders, hidden ones too."""
        folders = (self.target("vae").parent, self.target("t5").parent)
        return {str(path): path.stat().st_size for one in folders for path in one.rglob("*") if path.is_file()}

    def put(self, part: str, name: str | None = None) -> Path:
        path = self.target(part, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(self.files[part].path, path)
        return path

    def listed(self, name: str = MODULES) -> list[str]:
        """A list of modules, without the text encoder that was there before."""
        return sorted(str(path) for path in self.webui.options()[name] or [] if Path(path).name != OTHER)

    def region(self) -> str:
        return str(self.webui.get("/vae-manager/state")["regions"]["needs"])

    def row(self, role: str) -> str:
        found = re.search(rf'data-vae-need="{role}">(.*?)</li>', self.region(), re.DOTALL)
        return found[1] if found else ""

    def click(self) -> None:
        """The action of the page's button."""
        self.webui.act(do="get-needs", accept=False)

    def sent(self, part: str = "") -> int:
        return self.hub.cdn.sent(NAMES[part] if part else "")

    def picture(self) -> Picture:
        return self.webui.picture(steps=1, cfg_scale=1, scheduler="Simple", distilled_cfg_scale=3.5)

    def latents(self) -> Any:
        import numpy

        return numpy.load(self.folder / "extensions" / TAP / "latents.npy")


@pytest.fixture(scope="module")
def made(pytestconfig: pytest.Config, webui: WebUI, folder: Path) -> Iterator[dict[str, Written]]:
    """The four files, on the disk of the WebUI's models."""
    if OF_FLUX not in webui.options():
        pytest.skip("only Forge Neo has lists of modules for each preset")
    if shutil.disk_usage(folder).free < FREE:
        pytest.skip("needs 20 GB on the disk")
    given: Path | None = option(pytestconfig, "--needs-files")
    home = given or folder / "models" / "live-needs"
    home.mkdir(parents=True, exist_ok=True)
    writers = {"vae": write_vae, "clip": write_clip_l, "t5": write_t5, "network": write_network}
    hashes = home / "sha256.json"
    known = json.loads(hashes.read_text()) if hashes.exists() else {}
    files = {}
    for part, write in writers.items():
        path = home / f"{part}.safetensors"
        files[part] = Written(path, known[part]) if part in known else write(path)
    hashes.write_text(json.dumps({part: file.sha256 for part, file in files.items()}))
    yield files
    if given is None:
        shutil.rmtree(home)


@pytest.fixture(scope="module")
def setting(
    webui: WebUI, folder: Path, made: dict[str, Written], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Parts]:
    """The WebUI, started with a catalogue of the three files on a hub of this machine, and with the checkpoint."""
    if webui.restart_command is None:
        pytest.skip("needs a way to restart the WebUI: --restart-command CMD")
    assert isinstance(webui, ForgeWebUI)
    before = webui.options()
    catalogue = tmp_path_factory.mktemp("needs") / "built-in.yaml"
    with Hub() as hub, pytest.MonkeyPatch.context() as patch:
        parts = Parts(webui, folder, hub, {part: made[part] for part in NAMES})
        for part, file in parts.files.items():
            hub.add(REPO, NAMES[part], file.path)
        catalogue.write_text("".join(_entry(part, file) for part, file in parts.files.items()), encoding="utf-8")
        patch.setenv("VAE_MANAGER_CATALOGUE", str(catalogue))
        checkpoint = folder / "models" / "Stable-diffusion" / CHECKPOINT
        checkpoint.unlink(missing_ok=True)
        os.link(made["network"].path, checkpoint)
        tap = folder / "extensions" / TAP / "scripts" / "tap.py"
        tap.parent.mkdir(parents=True, exist_ok=True)
        tap.write_text(TAP_SCRIPT, encoding="utf-8")
        webui.restart()
        webui.set(vae_manager_endpoint=hub.endpoint, sd_model_checkpoint=CHECKPOINT)
        yield parts
        shutil.rmtree(folder / "extensions" / TAP)
        checkpoint.unlink()
        presets = {name: before[name] for name in before if name.startswith(("forge_checkpoint_", f"{MODULES}_"))}
        webui.set(**presets, **{PRESET: before[PRESET], "sd_model_checkpoint": before["sd_model_checkpoint"]})
        webui.set(**{MODULES: before[MODULES], "vae_manager_endpoint": before.get("vae_manager_endpoint", "")})
    webui.restart()


def _entry(part: str, file: Written) -> str:
    kind = {"vae": "family: flux1", "clip": "encoder: clip-l", "t5": "encoder: t5xxl"}[part]
    return (
        f"- {{id: live-{part}, name: Live {part}, {kind}, offered: true, sha256: {file.sha256}, size: {file.size},"
        f" source: 'hub:{REPO}/{NAMES[part]}', licence: MIT}}\n"
    )


@pytest.fixture
def parts(setting: Parts) -> Iterator[Parts]:
    """None of the parts is here; preset `flux` is shown, and a text encoder of another model is chosen."""
    _clean(setting)
    _write_other(setting.target("t5", OTHER))
    setting.webui.refresh()
    _show(setting, "flux")
    yield setting
    setting.hub.cdn.repair()
    _clean(setting)


def _show(parts: Parts, preset: str) -> None:
    other = [str(parts.target("t5", OTHER))]
    parts.webui.set(**{PRESET: preset, f"forge_checkpoint_{preset}": CHECKPOINT, MODULES: other, OF_FLUX: other})
    parts.webui.set(**{OF_SD: other})


def _clean(parts: Parts) -> None:
    parts.webui.set(**{MODULES: [], OF_FLUX: [], OF_SD: [], "sd_model_checkpoint": CHECKPOINT})
    ours = {file.sha256[:16] for file in parts.files.values()}
    for path in map(Path, parts.found()):
        if path.name.startswith("live-") or path.parent.name == "live odd" or path.name[1:17] in ours:
            path.unlink()
    for part in NAMES:
        with contextlib.suppress(OSError):
            parts.target(part, "live odd").rmdir()
    parts.webui.refresh()


def _write_other(path: Path) -> None:
    import numpy
    from safetensors.numpy import save_file

    path.parent.mkdir(exist_ok=True)
    save_file({"text_model.encoder.layers.0.layer_norm1.bias": numpy.ones(1280, "float32")}, path)


def _assert_in_use(parts: Parts, files: list[str], *presets: str) -> None:
    """The files stand in the common list and in those of presets, beside the one that was there."""
    for name in (MODULES, *presets):
        assert parts.listed(name) == files, name
        assert any(Path(path).name == OTHER for path in parts.webui.options()[name]), name


def _assert_decoded_by(picture: Picture, latents: Any, vae: Path) -> None:
    """The pixels are what the project's own network makes of the latents with this file."""
    torch = pytest.importorskip("torch")
    numpy = pytest.importorskip("numpy")
    from safetensors.torch import load_file

    from ..vaes.autoencoder import AutoencoderKL, Config

    model = AutoencoderKL(Config(z_channels=16, quant=False)).eval()
    model.load_state_dict(load_file(vae))
    with torch.inference_mode():
        decoded = model.decode_raw(torch.from_numpy(latents) / SCALE + SHIFT)[0]
    expected = (255 * ((decoded + 1) / 2).clamp(0, 1)).permute(1, 2, 0).numpy()
    seen = numpy.frombuffer(picture.pixels, "uint8").reshape(expected.shape)
    difference = numpy.abs(expected - seen)
    print(
        f"pixels {seen.min()}..{seen.max()}, deviation {seen.std():.1f}; away from own decoding {difference.max():.2f}"
    )
    assert seen.std() > 10
    assert difference.max() < 2


def test_one_click_brings_all_into_the_shown_preset(parts: Parts) -> None:
    _show(parts, "sd")
    before = parts.sent()
    until(lambda: parts.region().count("data-vae-need="), lambda count: count == 3)
    parts.click()
    until(lambda: parts.listed() == parts.targets, patience=DOWNLOAD_PATIENCE)
    _assert_in_use(parts, parts.targets, OF_FLUX, OF_SD)
    parts.hub.settle()
    size = sum(file.size for file in parts.files.values())
    assert size <= parts.sent() - before < size + MARGIN
    for part, file in parts.files.items():
        assert sha256_of(parts.target(part)) == file.sha256
    until(lambda: "data-vae-do" not in parts.region())
    picture = parts.picture()
    assert picture.vae == NAMES["vae"]
    _assert_decoded_by(picture, parts.latents(), parts.files["vae"].path)


def test_the_button_of_the_page_brings_all_and_reload_ui_keeps_it(parts: Parts, browser: Any) -> None:
    page = _open(parts, browser, "flux")
    page.raw.locator(BUTTON).click()
    until(lambda: parts.listed() == parts.targets, patience=DOWNLOAD_PATIENCE)
    _assert_in_use(parts, parts.targets, OF_FLUX)
    assert [Path(path).name for path in parts.webui.options()[OF_SD]] == [OTHER], "another preset's list stays"
    _wait_for_tokens(page, [*NAMES.values(), OTHER])
    page.reload_ui(parts.webui)
    _wait_for_tokens(page, [*NAMES.values(), OTHER])
    _assert_in_use(parts, parts.targets, OF_FLUX)
    page.close()


def test_the_button_of_the_page_serves_another_preset_too(parts: Parts, browser: Any) -> None:
    """Preset `sd` is shown with the checkpoint; then `flux`, which has the files as well."""
    for part in NAMES:
        parts.put(part)
    parts.webui.refresh()
    _show(parts, "sd")
    until(lambda: all(name in parts.region() for name in NAMES.values()), patience=DOWNLOAD_PATIENCE)
    page = _open(parts, browser, "sd")
    page.raw.locator(BUTTON).click()
    until(lambda: parts.listed() == parts.targets)
    _assert_in_use(parts, parts.targets, OF_FLUX, OF_SD)
    _wait_for_tokens(page, [*NAMES.values(), OTHER])
    page.reload_ui(parts.webui)
    _wait_for_tokens(page, [*NAMES.values(), OTHER])
    _pick_preset(parts, page, "flux", [*NAMES.values(), OTHER])
    page.reload_ui(parts.webui)
    _wait_for_tokens(page, [*NAMES.values(), OTHER])
    _assert_in_use(parts, parts.targets, OF_FLUX, OF_SD)
    page.close()


def _open(parts: Parts, browser: Any, preset: str) -> LivePage:
    """Open the page with a preset. A newly opened one may set that of Neo's start again, which is Neo's own doing."""
    page = LivePage.open(browser, parts.webui.url)
    page.open_accordion()
    _pick_preset(parts, page, preset, [OTHER])
    return page


def _pick_preset(parts: Parts, page: LivePage, preset: str, files: list[str]) -> None:
    if page.value_of("#forge_ui_preset") != preset:
        page.pick_in("#forge_ui_preset", preset)
    until(lambda: parts.webui.option(PRESET), lambda shown: shown == preset)
    _wait_for_tokens(page, files)


def _wait_for_tokens(page: LivePage, files: list[str]) -> None:
    """Wait until Neo's row shows these files."""

    def tokens() -> list[str]:
        page.rest(0.2)
        return sorted(_tokens(page))

    until(tokens, lambda found: found == sorted(files))


def test_files_under_odd_names_are_used_without_a_download(parts: Parts) -> None:
    odd = sorted(str(parts.put(part, f"live odd/{number} strange.safetensors")) for number, part in enumerate(NAMES))
    _replace_by_copy(parts.target("vae", "live odd/0 strange.safetensors"))
    parts.webui.refresh()
    asked = len(parts.hub.requests)
    until(lambda: parts.region().count("strange.safetensors"), lambda count: count == 3, DOWNLOAD_PATIENCE)
    parts.click()
    until(lambda: parts.listed() == odd)
    _assert_in_use(parts, odd, OF_FLUX)
    assert len(parts.hub.requests) == asked


def _replace_by_copy(path: Path) -> None:
    """Make it another file, whose hash is not known yet."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def test_a_kill_in_the_middle_of_t5(parts: Parts) -> None:
    begun, t5 = parts.sent(), parts.files["t5"]
    before_t5 = parts.sent("t5")
    parts.click()
    until(lambda: parts.sent("t5") - before_t5, lambda sent: sent > 0.4 * t5.size, DOWNLOAD_PATIENCE)
    parts.webui.restart()
    parts.hub.settle()
    first = parts.sent("t5") - before_t5
    assert not parts.target("t5").exists()
    assert parts.listed() == []
    asked = len(parts.hub.requests)
    until(lambda: " are here already" in parts.row("t5xxl"))
    assert len(parts.hub.requests) == asked, "nothing goes on unasked"
    parts.click()
    until(lambda: parts.listed() == parts.targets, patience=DOWNLOAD_PATIENCE)
    parts.hub.settle()
    second = [
        seen for seen in parts.hub.cdn.requests if NAMES["t5"] in seen.path and seen in parts.hub.requests[asked:]
    ]
    again = sum(seen.sent for seen in second)
    print(f"T5: {first} bytes before the kill, {again} after it, of {t5.size}")
    assert again < 0.7 * t5.size  # several connections leave gaps, so the first start says nothing
    assert t5.size <= first + again < t5.size + MARGIN
    assert parts.sent() - begun < sum(file.size for file in parts.files.values()) + 2 * MARGIN
    _assert_in_use(parts, parts.targets, OF_FLUX)
    assert sha256_of(parts.target("t5")) == t5.sha256


def test_a_wrong_byte_changes_no_list_and_is_reported_at_its_row(parts: Parts) -> None:
    """One of two downloads fails: the other file stays, and is not used before all are here."""
    parts.put("t5")
    parts.webui.refresh()
    before, wrong = parts.found(), parts.files["clip"].size // 2
    until(lambda: NAMES["t5"] in parts.region(), patience=DOWNLOAD_PATIENCE)
    parts.hub.cdn.fail_always(Fault.flip(wrong), path=NAMES["clip"])
    begun = parts.sent("clip")
    parts.click()
    until(lambda: "vm-broken" in parts.row("clip-l"), patience=DOWNLOAD_PATIENCE)
    until(lambda: NAMES["vae"] in parts.row("vae"), patience=DOWNLOAD_PATIENCE)
    print(f"CLIP-L: {parts.sent('clip') - begun} bytes of {parts.files['clip'].size} in vain")
    assert parts.found() == {**before, str(parts.target("vae")): parts.files["vae"].size}
    assert parts.listed() == parts.listed(OF_FLUX) == []
    parts.hub.cdn.repair()
    parts.click()
    until(lambda: parts.listed() == parts.targets, patience=DOWNLOAD_PATIENCE)
    _assert_in_use(parts, parts.targets, OF_FLUX)


def test_the_picture_is_that_of_neo_without_the_extension(parts: Parts) -> None:
    for part in NAMES:
        parts.put(part)
    parts.webui.refresh()
    until(lambda: all(name in parts.region() for name in NAMES.values()), patience=DOWNLOAD_PATIENCE)
    parts.click()
    until(lambda: parts.listed() == parts.targets)
    ours, latents = parts.picture(), parts.latents()
    _assert_decoded_by(ours, latents, parts.files["vae"].path)
    extensions = parts.folder / "extensions"
    own = [path.name for path in extensions.iterdir() if (path / "vae_manager").is_dir()]
    parts.webui.set(**{MODULES: []})
    parts.webui.set(disabled_extensions=[*parts.webui.options()["disabled_extensions"], *own])
    try:
        parts.webui.restart_bare()
        parts.webui.set(**{MODULES: list(NAMES.values())})  # as its row does
        plain = parts.picture()
        assert (parts.latents() == latents).all()
        assert ours.looks_like(plain)
    finally:
        left = [name for name in parts.webui.options()["disabled_extensions"] if name not in own]
        parts.webui.set(disabled_extensions=left)
        parts.webui.restart()
