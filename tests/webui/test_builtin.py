"""What the page says of the VAE inside the loaded checkpoint."""

from __future__ import annotations

from pathlib import Path

from tests.files.samples import ldm, safetensors
from tests.library.vaes import sha256
from tests.webui.host import PlainHost
from tests.webui.test_library import plain
from tests.webui.test_page import is_shown, wait_for, write_catalogue
from vae_manager.choice import Choice
from vae_manager.webui.ui.page import Page

UNET = {"model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
OWN = ldm(prefix="first_stage_model.")
ENTRY = "- {{id: known, name: Known, family: sd1, sha256: {sha256}}}\n"


def status(page: Page) -> str:
    return plain(page.state({})["regions"]["status"])


def twin(host: PlainHost, page: Page) -> Path:
    """A file with the weights of the checkpoint's VAE, whose fingerprint is known."""
    safetensors(Path(host.checkpoint_file), {**OWN, **UNET})
    path = safetensors(host.vaes / "twin.safetensors", ldm(), title="under another name")
    host.refresh()
    page.service.stores.index.fingerprints_of(path)
    return path


def test_builtin_is_named_after_a_file_with_the_same_weights(host: PlainHost, page: Page) -> None:
    twin(host, page)
    wait_for(lambda: is_shown(page, "status", "same-weights", "twin.safetensors"))


def test_or_after_the_catalogues_entry_for_it(host: PlainHost, page: Page) -> None:
    path = twin(host, page)
    write_catalogue(host, ENTRY.format(sha256=sha256(path)))
    page.service.hash_in_background([path])
    wait_for(lambda: is_shown(page, "status", "same-weights", "Known"))


def test_a_choice_that_changes_nothing_is_told(host: PlainHost, page: Page) -> None:
    twin(host, page)
    host.choose(Choice("twin.safetensors"), lambda: True)
    wait_for(lambda: is_shown(page, "status", "same-as-built-in", "twin.safetensors"))


def test_other_weights_say_nothing(host: PlainHost, page: Page) -> None:
    twin(host, page)
    other = safetensors(host.vaes / "twin.safetensors", ldm(), "F16")
    page.service.stores.index.fingerprints_of(other)
    page.service.learn([Path(host.checkpoint_file)])
    wait_for(lambda: page.service.stores.index.known_fingerprints(Path(host.checkpoint_file)))
    assert not is_shown(page, "status", "same-weights") and not is_shown(page, "status", "same-as-built-in")


def test_a_checkpoint_without_a_vae_is_pointed_out(host: PlainHost, page: Page) -> None:
    safetensors(Path(host.checkpoint_file), UNET)
    assert "demo holds no VAE of its own" in status(page)


def test_nothing_is_read_where_hashing_is_off(host: PlainHost, page: Page) -> None:
    twin(host, page)
    host.hashing = False
    status(page)
    assert page.service.background.views() == ()
